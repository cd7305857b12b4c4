"""What is attached to a message, read off its BODYSTRUCTURE (RFC 9051 section 7.5.2); pure.

The same parts count as attachments as in a message that was read whole (``view.py``),
but for the pictures that the HTML shows, which only the HTML itself names.
Exchange sends structures that are broken in many ways: what is not understood beyond doubt
is not guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from mailoauth.errors import ConfigError
from mailoauth.mail.decoding import decode_header, decode_parameters
from mailoauth.mail.names import safe_name

_TYPE: Final = re.compile(r"[!-.0-~]+/[!-.0-~]+")
_NAME: Final = re.compile(rb'[^\s=;"]+')
_BODIES: Final = frozenset({"text/plain", "text/html"})
_DISPOSITIONS: Final = frozenset({"attachment", "inline"})
# Servers stop counting somewhere (Dovecot at 10,000 parts), and say nothing of the rest.
_DEEPEST: Final = 50
_MOST_PARTS: Final = 5_000
#: Of the fields of a part: its parameters, Content-ID, encoding and octets.
_PARAMETERS, _CONTENT_ID, _ENCODING, _OCTETS, _FIELDS = 2, 3, 5, 6, 7


class _NotUnderstood(Exception):
    """The structure is not one."""


@dataclass(frozen=True)
class RemotePart:
    """A part that is still on the server; ``message`` says in which message."""

    content_type: str
    filename: str = field(repr=False)
    content_id: str = field(repr=False)
    #: Octets of the content, a few per cent off where it is encoded.
    size: int
    #: What FETCH calls it (RFC 9051 section 6.4.5).
    section: str
    encoding: str
    message: object = field(default=None, repr=False)

    def decode(self) -> NoReturn:
        """Raise ``ConfigError``: there is nothing to decode."""
        raise ConfigError(
            "The content of this attachment was not fetched, only its name and its size.",
            remedy="Write it to the disk with mail.save_attachment(message, attachment, path), or "
            "read the message without headers_only.",
        )


@dataclass(frozen=True)
class _Leaf:
    part: RemotePart
    disposition: str
    related: bool
    root: bool

    @property
    def is_body(self) -> bool:
        if self.part.content_type not in _BODIES or self.disposition == "attachment":
            return False
        return self.root or not self.part.filename

    @property
    def is_shown(self) -> bool:
        """Whether HTML probably shows it: a picture, or what calls itself inline, beside HTML."""
        picture = self.part.content_type.startswith("image/")
        if not self.related or not self.part.content_id:
            return False
        return picture or self.disposition == "inline"


def attached(structure: Any, message: object = None) -> list[RemotePart] | None:
    """List the attachments in imapclient's reading of a BODYSTRUCTURE; None if it is not clear.

    An attached message is one attachment, whatever is in it. Parts of a multipart/related
    that have a Content-ID are left out if they are pictures or inline, and there is HTML.
    """
    try:
        leaves = _leaves(structure, message)
    except _NotUnderstood:
        return None
    html = any(leaf.is_body and leaf.part.content_type == "text/html" for leaf in leaves)
    return [leaf.part for leaf in leaves if not leaf.is_body and not (html and leaf.is_shown)]


def _leaves(structure: Any, message: object) -> list[_Leaf]:
    leaves: list[_Leaf] = []
    waiting: list[tuple[Any, str, bool]] = [(structure, "", False)]
    while waiting:
        node, section, related = waiting.pop()
        if not isinstance(node, (tuple, list)) or not node:
            raise _NotUnderstood
        if not isinstance(node[0], (tuple, list)):
            leaves.append(_leaf(node, section, message, related=related))
            continue
        children, kind = _multipart(node)
        numbered = [
            (child, f"{section}.{number}".lstrip("."), related or kind == "related")
            for number, child in enumerate(children, start=1)
        ]
        waiting += reversed(numbered)
        if section.count(".") >= _DEEPEST or len(leaves) + len(waiting) > _MOST_PARTS:
            raise _NotUnderstood
    return leaves


def _multipart(node: Any) -> tuple[Any, str]:
    """Return the parts of a multipart and its subtype."""
    if isinstance(node[0], list):  # imapclient put the parts into one
        children, rest = node[0], node[1:]
    else:
        count = next((n for n, each in enumerate(node) if not isinstance(each, tuple)), len(node))
        children, rest = node[:count], node[count:]
    if not children or not rest or not isinstance(rest[0], bytes):
        raise _NotUnderstood
    # Something between two parts makes the numbers of those behind it doubtful.
    if any(_looks_like_a_part(each) for each in rest[1:]):
        raise _NotUnderstood
    # Servers take a multipart whose boundary is lost for one with a single part.
    if len(rest) > 1 and not any("boundary" in _parameters(each) for each in rest[1:]):
        raise _NotUnderstood
    return children, _word(rest[0])


def _looks_like_a_part(field: Any) -> bool:
    if not isinstance(field, (tuple, list)) or not field:
        return False
    return isinstance(field[0], (tuple, list)) or (len(field) > _OCTETS and None in field)


def _leaf(node: Any, section: str, message: object, *, related: bool) -> _Leaf:
    # A field that is missing would make the next ones mean something else.
    if len(node) < _FIELDS or not isinstance(node[_OCTETS], int):
        raise _NotUnderstood
    content_type = f"{_word(node[0])}/{_word(node[1])}"
    if not _TYPE.fullmatch(content_type) or content_type.startswith("multipart/"):
        raise _NotUnderstood
    encoding = _word(node[_ENCODING]) if node[_ENCODING] else "7bit"
    disposition, given = _disposition(node[_FIELDS:])
    name = given.get("filename") or _parameters(node[_PARAMETERS]).get("name", "")
    root = not section
    part = RemotePart(
        content_type=content_type,
        filename=safe_name(name) if name else "",
        content_id=_content_id(node[_CONTENT_ID]),
        size=_size(node[_OCTETS], encoding),
        section=section or _only_section(content_type),
        encoding=encoding,
        message=message,
    )
    return _Leaf(part, disposition, related, root)


def _only_section(content_type: str) -> str:
    """Name the content of a message that is not multipart.

    That of one which is itself nothing but an attached message has no number: "1" is there
    the first part of the message inside.
    """
    return "TEXT" if content_type.startswith("message/") else "1"


def _word(field: Any) -> str:
    if not isinstance(field, bytes):
        raise _NotUnderstood
    return field.strip().lower().decode("ascii", "replace")


def _content_id(field: Any) -> str:
    return decode_header(field).strip("<> ") if isinstance(field, bytes) else ""


def _disposition(fields: Any) -> tuple[str, dict[str, str]]:
    """Find the disposition among what follows the octets.

    Its place depends on the type, and Exchange leaves out fields before it; nothing else
    there looks like it. Exchange also sends a bare word and (NIL NIL), pymap the header.
    """
    for each in fields:
        if isinstance(each, bytes):
            value, parameters = decode_parameters(each)
            if value in _DISPOSITIONS:
                return value, dict(parameters)
        if not isinstance(each, tuple) or not each or not isinstance(each[0], bytes):
            continue
        if len(each) == 1 and _word(each[0]) in _DISPOSITIONS:
            return _word(each[0]), {}
        if len(each) == 2 and (each[1] is None or isinstance(each[1], tuple)):  # noqa: PLR2004 - RFC
            return _word(each[0]), _parameters(each[1])
    return "", {}


def _parameters(field: Any) -> dict[str, str]:
    """Decode parameters with what decodes them in a header (RFC 2231, RFC 2047)."""
    if not isinstance(field, tuple):
        return {}
    header = b"x"
    for name, value in zip(field[::2], field[1::2], strict=False):
        if not isinstance(name, bytes) or not _NAME.fullmatch(name) or value is None:
            continue
        text = value if isinstance(value, bytes) else str(value).encode()
        quoted = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        header += b"; " + name + b'="' + quoted + b'"'
    return dict(decode_parameters(header)[1])


def _size(octets: int, encoding: str) -> int:
    """Estimate the octets of the content from those of its encoding."""
    if encoding == "base64":  # lines of 76 characters and their ends, or a short one
        return octets * 57 // 78 if octets > 78 else octets * 3 // 4  # noqa: PLR2004 - RFC 2045
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return octets * 45 // 63
    return octets
