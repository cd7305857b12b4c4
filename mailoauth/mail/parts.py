"""The MIME structure of a message: a scan for boundaries that decodes nothing until asked.

The standard library's parser reads every line in Python and calls itself for every
level; this one neither does so nor raises, whatever the bytes are.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mailoauth.mail.decoding import decode_header, decode_parameters
from mailoauth.mail.head import read_block, read_head
from mailoauth.mail.once import once
from mailoauth.mail.transfer import decode_base64, decode_uu

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPE = re.compile(r"[!-.0-~]+/[!-.0-~]+")
# Names that are safe as they are: safe_name() leaves them alone, and loading it takes longer.
_SAFE_NAME = re.compile(
    r"(?!(?i:con|prn|aux|nul|com|lpt))[A-Za-z0-9](?:[A-Za-z0-9 _.()-]{0,150}[A-Za-z0-9])?"
)
_BOUNDARY_END = re.compile(rb"(--)?[ \t]*(?:\r\n|\r|\n|\Z)")
_LINE_END = re.compile(rb"[\r\n]")
# Compiled when first needed.
_BEGINS_WITH_BOUNDARY = rb"\s*--([^\r\n]{1,200}?)[ \t]*[\r\n]"

_SHORT = 300  # octets: what is remembered must not take much room
_NOTHING: list[str] = []
_DEEPEST = 100  # levels of multipart; deeper ones are shown as one part
_MOST_PARTS = 50_000
_UUENCODE = frozenset({b"x-uuencode", b"uuencode", b"x-uue", b"uue"})
_UNENCODED = frozenset({b"", b"7bit", b"8bit", b"binary"})


class Head:
    """The headers of a part, and what they say of its body."""

    __slots__ = ("disposition", "disposition_parameters", "fields", "first", "kind", "parameters")

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        self.first = {name.lower(): value for name, value in reversed(fields)}
        #: The type in lower case, "" where it cannot be read (RFC 2045 section 5.2).
        self.kind, self.parameters = _read_type(self.first.get(b"content-type", b""))
        said = self.first.get(b"content-disposition", b"").strip()
        self.disposition, self.disposition_parameters = decode_parameters(said)


class Part:
    """A stretch of the message with headers and a body of its own."""

    def __init__(self, raw: bytes, start: int, end: int, fallback_type: str = "text/plain") -> None:
        self.raw = raw
        self.start = start
        self.end = end
        head: Head | None = None
        cut = raw.find(b"\r\n\r\n", start, min(end, start + _SHORT))
        if cut >= start:
            head = _remembered_head(raw[start : cut + 2])
        #: Where its body begins in ``raw``, and what is wrong with its headers.
        self.body_start, self.head_defects = cut + 4, _NOTHING
        if head is None:
            fields, self.body_start, self.head_defects = read_head(raw, start, end)
            head = Head(fields)
        self._head = head
        self._first = head.first
        #: Its type in lower case, without parameters, and they.
        self.content_type = head.kind or fallback_type
        self.parameters: Mapping[str, str] = head.parameters
        #: How it is to be shown: "attachment", "inline" or another word; "" if not said.
        self.disposition = head.disposition

    def __repr__(self) -> str:
        return f"<Part {self.start}-{self.end}>"  # its bytes are private

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Its headers in order: the name as written, the value as written but on one line."""
        return [(name, value.strip()) for name, value in self._head.fields]

    def header(self, name: bytes) -> bytes:
        """Return the first header of a name given in lower case, b"" if there is none."""
        return self._first.get(name, b"").strip()

    def headers(self, name: bytes) -> list[bytes]:
        """Return every header of a name given in lower case, in order."""
        if name not in self._first:
            return []
        return [value.strip() for key, value in self._head.fields if key.lower() == name]

    @once
    def filename(self) -> str:
        """Name of its file, safe to use in a folder; "" if it gives none."""
        name = self._head.disposition_parameters.get("filename") or self.parameters.get("name", "")
        return _safe(name) if name else ""

    @once
    def content_id(self) -> str:
        """Its Content-ID without the angle brackets."""
        value = self.header(b"content-id")
        return decode_header(value).strip("<> ") if value else ""

    @property
    def body(self) -> bytes:
        """Its body as it was sent."""
        return self.raw[self.body_start : self.end]

    def decode(self) -> tuple[bytes, bool]:
        """Undo its transfer encoding; the second value says whether all was well."""
        encoding = self.header(b"content-transfer-encoding").lower().rstrip(b";")
        if encoding == b"base64":
            return decode_base64(self.raw, self.body_start, self.end)
        if encoding == b"quoted-printable":
            return binascii.a2b_qp(self.body), True
        if encoding in _UUENCODE:
            return decode_uu(self.body)
        return self.body, encoding in _UNENCODED


def _read_type(value: bytes) -> tuple[str, Mapping[str, str]]:
    """Read a Content-Type; it is "" where it cannot be read (RFC 2045 section 5.2)."""
    kind, parameters = decode_parameters(value.strip())
    kind = kind.partition(" ")[0]  # a forgotten semicolon
    return (kind if _TYPE.fullmatch(kind) else ""), parameters


@lru_cache(maxsize=256)
def _remembered_head(block: bytes) -> Head | None:
    """Read a short block of headers: the same few come again and again in the parts of mail."""
    fields = read_block(block)
    return None if fields is None else Head(fields)


def _safe(name: str) -> str:
    if _SAFE_NAME.fullmatch(name):
        return name
    from mailoauth.mail.names import safe_name  # noqa: PLC0415 - slow to import, rarely needed

    return safe_name(name)


class Leaf:
    """A part that has no parts, and which multipart/alternative it is a version in."""

    __slots__ = ("alternative", "part", "root")

    def __init__(self, part: Part, alternative: int | None, *, root: bool) -> None:
        self.part = part
        self.alternative = alternative
        self.root = root


def scan(root: Part) -> tuple[list[Leaf], list[str]]:
    """Find the leaves of a message in the order of reading, and what is wrong with it.

    Attached messages are leaves.
    """
    leaves: list[Leaf] = []
    defects: list[str] = []
    waiting: list[tuple[Part, int | None, int]] = [(root, None, 0)]
    seen = 0
    while waiting:
        part, alternative, depth = waiting.pop()
        seen += 1
        if part.head_defects:
            defects += part.head_defects
        kind = part.content_type
        if kind.startswith("multipart/"):
            room = _MOST_PARTS - seen - len(waiting) if depth < _DEEPEST else 0
            children = _split(part, defects, room)
            if len(children) >= room:
                defects.append("too many parts, or parts nested too deeply")
            if children:
                if alternative is None and kind == "multipart/alternative":
                    alternative = seen
                waiting += [(child, alternative, depth + 1) for child in reversed(children)]
                continue
        leaves.append(Leaf(part, alternative, root=part is root))
    return leaves, defects


def _split(part: Part, defects: list[str], room: int) -> list[Part]:
    """Cut a multipart at its boundary lines; nothing comes where there are none."""
    children: list[Part] = []
    boundary = _boundary(part, defects) if room > 0 else b""
    if not boundary:
        return children
    raw, end = part.raw, part.end
    fallback = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    start = -1
    delimiter = b"--" + boundary
    position = part.body_start
    while (found := raw.find(delimiter, position, end)) >= 0:
        # RFC 2046 section 5.1.1: a line of its own; "--b-2" is a boundary of that name.
        line = found == part.body_start or raw[found - 1] in b"\r\n"
        match = _BOUNDARY_END.match(raw, found + len(delimiter), end) if line else None
        if match is None:  # from line to line: hostile boundaries are found everywhere in one
            rest = _LINE_END.search(raw, found, end)
            position = rest.end() if rest else end
            continue
        if start >= 0:
            children.append(Part(raw, start, max(start, _trim(raw, found)), fallback))
            if len(children) >= room:
                return children
        start = position = match.end()
        if match[1]:
            return children
    if start < 0:
        defects.append("the boundary of a multipart does not occur in it")
        return children
    defects.append("the last boundary is missing: the message may be cut off")
    if start < end:
        children.append(Part(raw, start, end, fallback))
    return children


def _boundary(part: Part, defects: list[str]) -> bytes:
    said = part.parameters.get("boundary", "").rstrip()
    if said:
        return said.encode("utf-8", "replace")
    defects.append("a multipart names no boundary")
    guess = re.compile(_BEGINS_WITH_BOUNDARY).match(part.raw, part.body_start, part.end)
    return guess[1] if guess else b""


def _trim(raw: bytes, end: int) -> int:
    """Leave out the line break before a boundary, which belongs to the boundary."""
    if raw[end - 2 : end] == b"\r\n":
        return end - 2
    return end - 1 if raw[end - 1 : end] in {b"\r", b"\n"} else end
