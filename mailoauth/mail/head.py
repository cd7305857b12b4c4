"""The header block of a message or a part, taken apart and not yet decoded."""

from __future__ import annotations

import re

#: Name as written and value on one line of each header, where the body begins, what is wrong.
Head = tuple[list[tuple[bytes, bytes]], int, list[str]]

_USUAL_SIZE = 65_536  # octets; a longer block may be no block at all, but all of a damaged mail

# "." leaves the carriage return of the line's end to the pattern and takes lone ones in.
_WHOLE_LINE = re.compile(rb"^([!-9;-~]+):(.*)\r\n", re.MULTILINE)
_WHOLE_UNIX_LINE = rb"(?m)^([!-9;-~]+):(.*)\n"

# Compiled when first needed: they serve mail that is not written as it should be.
_FIELD = rb"([!-9;-~]*)[ \t]*:((?:[^\r\n]*)(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)(?:\r\n|\r|\n|\Z)"
_MBOX_LINE = rb">?From [^\r\n]*(?:\r\n|\r|\n)"
_LINE_BREAK = rb"\r\n|\r|\n"


def read_head(raw: bytes, start: int, end: int) -> Head:
    """Read the headers of a stretch of a message; values keep the spaces around them."""
    return (
        _read_regular(raw, start, end) or _read_unix(raw, start, end) or read_any(raw, start, end)
    )


def _read_regular(raw: bytes, start: int, end: int) -> Head | None:
    """Read a block of which every line is as it should be, None if one is not."""
    if raw.startswith(b"\r\n", start, end):
        return [], start + 2, []
    cut = raw.find(b"\r\n\r\n", start, min(end, start + _USUAL_SIZE))
    if cut < 0:
        return None
    fields = read_block(raw[start : cut + 2])
    return None if fields is None else (fields, cut + 4, [])


def read_block(block: bytes) -> list[tuple[bytes, bytes]] | None:
    """Read a block that ends with its last line, None if a line is not as it should be."""
    if b"\r\n " in block:
        block = block.replace(b"\r\n ", b" ")
    if b"\r\n\t" in block:
        block = block.replace(b"\r\n\t", b"\t")
    fields = _WHOLE_LINE.findall(block)
    # As many matches as line breaks of either kind: each match is a line, and each line one.
    if not len(fields) == block.count(b"\n") == block.count(b"\r"):
        return None
    return fields


def _read_unix(raw: bytes, start: int, end: int) -> Head | None:
    """Do the same for mail from a file, whose lines end in line feeds alone."""
    cut = raw.find(b"\n\n", start, min(end, start + _USUAL_SIZE))
    if cut < 0:
        return None
    block = raw[start : cut + 1].replace(b"\n ", b" ").replace(b"\n\t", b"\t")
    fields = re.findall(_WHOLE_UNIX_LINE, block)
    if b"\r" in block or len(fields) != block.count(b"\n"):
        return None
    return fields, cut + 2, []


def read_any(raw: bytes, start: int, end: int) -> Head:
    """Read a block line by line, whatever its lines are like."""
    fields: list[tuple[bytes, bytes]] = []
    defects: list[str] = []
    field, line_break = re.compile(_FIELD), re.compile(_LINE_BREAK)
    position = start
    if mbox := re.compile(_MBOX_LINE).match(raw, position, end):
        position = mbox.end()
    while match := field.match(raw, position, end):
        if match[1]:
            fields.append((match[1], line_break.sub(b"", match[2])))
        else:
            defects.append("a header has no name")
        position = match.end()
    if blank := line_break.match(raw, position, end):
        return fields, blank.end(), defects
    if position < end:
        defects.append("no empty line between headers and body")
    return fields, position, defects
