"""What is wrong with a message, in words that give nothing of it away."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from mailoauth.mail.decoding import charsets_of_words, decode_date, decode_header, known_charset

if TYPE_CHECKING:
    from mailoauth.mail.parts import Part

#: Headers that a message has once at most (RFC 5322 section 3.6, RFC 2045 section 3).
_ONCE = frozenset(
    {b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"message-id", b"subject"}
    | {b"in-reply-to", b"references", b"mime-version", b"content-type"}
    | {b"content-transfer-encoding", b"content-disposition", b"content-id"}
)
_LONG_LINE = rb"[^\r\n]{999}"  # RFC 5322 section 2.1.1
_CONTROLS = rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"


def header_defects(root: Part) -> list[str]:
    """Say what is wrong with the header block of a message."""
    found = list(root.head_defects)
    fields = root.fields
    if not fields:
        found.append("there are no headers")
    counts = Counter(name.lower() for name, _ in fields)
    found += [
        f"more than one {name.decode()} header"
        for name, count in counts.items()
        if count > 1 and name in _ONCE
    ]
    block = root.raw[root.start : root.body_start]
    if re.search(_LONG_LINE, block):
        found.append("a line of the headers is longer than 998 octets")
    if re.search(_CONTROLS, block):
        found.append("control characters in a header")
    if not all(map(_is_utf8, (value for _, value in fields))):
        found.append("8-bit characters that are not UTF-8 in a header")
    date = root.header(b"date")
    if date and decode_date(decode_header(date)) is None:
        found.append("the date cannot be read")
    for charset in charsets_of_words([value for _, value in fields if b"=?" in value]):
        if known_charset(charset) is None:
            found.append(f"unknown charset {charset[:40]}")
    return found


def part_defects(part: Part) -> list[str]:
    """Say what is wrong with the content of a part; this decodes it."""
    found: list[str] = []
    content, whole = part.decode()
    if not whole:
        found.append(f"damaged or unknown transfer encoding in a part of type {part.content_type}")
    charset = part.parameters.get("charset")
    if charset and known_charset(charset) is None:
        found.append(f"unknown charset {charset[:40]}")
    elif charset and part.content_type.startswith("text/") and not _fits(content, charset):
        found.append(f"a text that is not in its charset {charset[:40]}")
    elif not charset and part.content_type == "text/plain" and not content.isascii():
        found.append("a text with 8-bit characters that names no charset")
    return found


def _is_utf8(value: bytes) -> bool:
    return value.isascii() or _fits(value, "utf-8")


def _fits(content: bytes, charset: str) -> bool:
    try:
        content.decode(known_charset(charset) or "ascii")
    except (ValueError, LookupError):
        return False
    return True
