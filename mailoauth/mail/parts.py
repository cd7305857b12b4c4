"""The MIME structure of a message: a scan for boundaries that decodes nothing until asked.

The standard library's parser reads every line in Python and calls itself for every
level; this one neither does so nor raises, whatever the bytes are.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from mailoauth.mail import decoding
from mailoauth.mail.decoding import decode_parameters
from mailoauth.mail.names import safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD = re.compile(
    rb"([!-9;-~]*)[ \t]*:((?:[^\r\n]*)(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)(?:\r\n|\r|\n|\Z)"
)
_TYPE = re.compile(r"[!-.0-~]+/[!-.0-~]+")
_MBOX_LINE = re.compile(rb">?From [^\r\n]*(?:\r\n|\r|\n)")
_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_BEGINS_WITH_BOUNDARY = re.compile(rb"\s*--([^\r\n]{1,200}?)[ \t]*[\r\n]")

_DEEPEST = 100  # levels of multipart; deeper ones are shown as one part
_MOST_PARTS = 50_000


@dataclass(frozen=True)
class Part:
    """A stretch of the message with headers and a body of its own."""

    raw: bytes = field(repr=False)
    start: int
    end: int
    fallback_type: str = "text/plain"

    @cached_property
    def _head(self) -> tuple[list[tuple[bytes, bytes]], int, list[str]]:
        return _read_head(self.raw, self.start, self.end)

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Its headers in order: the name as written, the value as written but on one line."""
        return self._head[0]

    @property
    def body_start(self) -> int:
        """Where its body begins in ``raw``."""
        return self._head[1]

    @property
    def head_defects(self) -> list[str]:
        """What is wrong with its headers."""
        return self._head[2]

    def header(self, name: bytes) -> bytes:
        """Return the first header of a name given in lower case, b"" if there is none."""
        return next((value for key, value in self.fields if key.lower() == name), b"")

    @cached_property
    def _type(self) -> tuple[str, dict[str, str]]:
        value, parameters = decode_parameters(self.header(b"content-type"))
        value = value.partition(" ")[0]  # a forgotten semicolon
        # RFC 2045 section 5.2: what cannot be read is text.
        return (value if _TYPE.fullmatch(value) else self.fallback_type), parameters

    @property
    def content_type(self) -> str:
        """Its type in lower case, without parameters."""
        return self._type[0]

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of its type."""
        return self._type[1]

    @cached_property
    def _disposition(self) -> tuple[str, dict[str, str]]:
        return decode_parameters(self.header(b"content-disposition"))

    @property
    def disposition(self) -> str:
        """How it is to be shown: "attachment", "inline" or another word; "" if not said."""
        return self._disposition[0]

    @cached_property
    def filename(self) -> str:
        """A name that is safe to use in a folder, "" if it gives none."""
        name = self._disposition[1].get("filename") or self.parameters.get("name", "")
        return safe_name(name) if name else ""

    @cached_property
    def content_id(self) -> str:
        """Its Content-ID without the angle brackets."""
        return decoding.decode_header(self.header(b"content-id")).strip("<> ")

    @property
    def body(self) -> bytes:
        """Its body as it was sent."""
        return self.raw[self.body_start : self.end]

    def decode(self) -> tuple[bytes, bool]:
        """Undo its transfer encoding; the second value says whether all was well."""
        encoding = self.header(b"content-transfer-encoding").strip().lower().rstrip(b";")
        if encoding == b"base64":
            return decoding.decode_base64(self.body)
        if encoding == b"quoted-printable":
            return binascii.a2b_qp(self.body), True
        if encoding in {b"x-uuencode", b"uuencode", b"x-uue", b"uue"}:
            return _decode_uu(self.body)
        return self.body, encoding in {b"", b"7bit", b"8bit", b"binary"}


def _read_head(
    raw: bytes, start: int, end: int
) -> tuple[list[tuple[bytes, bytes]], int, list[str]]:
    fields: list[tuple[bytes, bytes]] = []
    defects: list[str] = []
    position = start
    if mbox := _MBOX_LINE.match(raw, position, end):
        position = mbox.end()
    while match := _FIELD.match(raw, position, end):
        if match[1]:
            fields.append((match[1], _LINE_BREAK.sub(b"", match[2]).strip()))
        else:
            defects.append("a header has no name")
        position = match.end()
    if blank := _LINE_BREAK.match(raw, position, end):
        return fields, blank.end(), defects
    if position < end:
        defects.append("no empty line between headers and body")
    return fields, position, defects


def _decode_uu(body: bytes) -> tuple[bytes, bool]:
    decoded: list[bytes] = []
    whole = True
    for line in body.splitlines():
        if line.startswith((b"begin ", b"end")) or not line.strip():
            continue
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            whole = False
    return b"".join(decoded), whole


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that has no parts, and which multipart/alternative it is a version in."""

    part: Part
    alternative: int | None
    root: bool


@dataclass(slots=True)
class Scan:
    """The leaves of a message in the order of reading, and what is wrong with it."""

    leaves: list[Leaf] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


def scan(root: Part) -> Scan:
    """Find the leaves of a message; attached messages are leaves."""
    result = Scan()
    waiting: list[tuple[Part, int | None, int]] = [(root, None, 0)]
    seen = 0
    while waiting:
        part, alternative, depth = waiting.pop()
        seen += 1
        result.defects += part.head_defects
        children: list[Part] = []
        if part.content_type.startswith("multipart/"):
            room = _MOST_PARTS - seen - len(waiting) if depth < _DEEPEST else 0
            children = list(islice(_split(part, result.defects), room))
            if len(children) == room:
                result.defects.append("too many parts, or parts nested too deeply")
        if not children:
            result.leaves.append(Leaf(part, alternative, part is root))
        if part.content_type == "multipart/alternative" and alternative is None:
            alternative = seen
        waiting += [(child, alternative, depth + 1) for child in reversed(children)]
    return result


def _split(part: Part, defects: list[str]) -> Iterator[Part]:
    """Cut a multipart at its boundary lines; nothing comes where there are none."""
    boundary = _boundary(part, defects)
    if not boundary:
        return
    fallback = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    # RFC 2046 section 5.1.1; the look-ahead leaves "--b-2" to a boundary of that name.
    line = re.compile(rb"--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|\r|\n|\Z)")
    start: int | None = None
    for match in line.finditer(part.raw, part.body_start, part.end):
        before = match.start()
        if before > part.body_start and part.raw[before - 1] not in b"\r\n":
            continue
        if start is not None:
            yield Part(part.raw, start, max(start, _trim(part.raw, before)), fallback)
        start = match.end()
        if match[1]:
            return
    if start is None:
        defects.append("the boundary of a multipart does not occur in it")
        return
    defects.append("the last boundary is missing: the message may be cut off")
    if start < part.end:
        yield Part(part.raw, start, part.end, fallback)


def _boundary(part: Part, defects: list[str]) -> bytes:
    said = part.parameters.get("boundary", "").rstrip()
    if said:
        return said.encode("utf-8", "replace")
    defects.append("a multipart names no boundary")
    guess = _BEGINS_WITH_BOUNDARY.match(part.raw, part.body_start, part.end)
    return guess[1] if guess else b""


def _trim(raw: bytes, end: int) -> int:
    """Leave out the line break before a boundary, which belongs to the boundary."""
    if raw[end - 2 : end] == b"\r\n":
        return end - 2
    return end - 1 if raw[end - 1 : end] in {b"\r", b"\n"} else end
