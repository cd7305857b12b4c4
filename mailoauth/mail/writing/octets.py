"""The octets of a message: line ends made CRLF, lines measured, headers taken out."""

from __future__ import annotations

import os
import re

_HEAD_END = re.compile(rb"\A(?:\r\n)|(?:\r\n){2}")
_LONGEST_LINE = 998  # octets without the line end: RFC 5321 section 4.5.3.1.6


def crlf(raw: bytes) -> bytes:
    """Return a message whose lines end in CRLF; one that is so already is not copied."""
    if raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def header_end(raw: bytes) -> int:
    """Return where the header block of CRLF bytes ends, its last line break included."""
    found = _HEAD_END.search(raw)
    if found is None:
        return len(raw)
    return 0 if found.start() == 0 else found.start() + 2


def without(raw: bytes, *names: str) -> bytes:
    """Leave out every header of these names, lines that continue it included."""
    end = header_end(raw)
    pattern = rb"^(?:%s)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)" % "|".join(names).encode()
    return re.sub(pattern, b"", raw[:end], flags=re.IGNORECASE | re.MULTILINE) + raw[end:]


def long_line(raw: bytes) -> int:
    """Return the number of the first line that is too long for SMTP, counted from 1; 0 for none."""
    position, reach = 0, _LONGEST_LINE + 2
    while len(raw) - position > _LONGEST_LINE:
        cut = raw.rfind(b"\n", position, position + reach)
        if cut < 0:
            return raw.count(b"\n", 0, position) + 1
        position = cut + 1
    return 0


def drawn_boundary() -> str:
    """Return a line between parts that is in none of them."""
    # RFC 2045 section 6.7: "=_" occurs in no encoded text; nobody guesses the rest.
    return f"=_{os.urandom(12).hex()}"
