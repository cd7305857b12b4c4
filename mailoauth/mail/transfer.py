"""Transfer encodings undone: base64 and uuencode, as much as can be of damaged ones."""

from __future__ import annotations

import binascii
import re

# Compiled when first needed: they serve damaged mail only.
_NOT_BASE64 = rb"[^A-Za-z0-9+/=]+"
_PADDING = rb"=+"


def decode_base64(data: bytes, start: int = 0, end: int | None = None) -> tuple[bytes, bool]:
    """Decode as much as can be; the second value says whether all was well.

    ``start`` and ``end`` mark a stretch of the data, which is not copied.
    """
    end = len(data) if end is None else end
    with memoryview(data) as whole, whole[start:end] as stretch:
        try:
            decoded = binascii.a2b_base64(stretch)
        except ValueError:
            return _decode_damaged(data[start:end])
    # The decoder skips what is not base64 without a word. Every three octets of content
    # take four characters, so any other characters were skipped ones: all is well if
    # those are line breaks and nothing else.
    skipped = (end - start) - (len(decoded) + 2) // 3 * 4
    if skipped and not _are_line_breaks(skipped, data, start, end):
        return _decode_damaged(data[start:end])
    return decoded, True


def _are_line_breaks(skipped: int, data: bytes, start: int, end: int) -> bool:
    """Say whether so many octets are just the line breaks of a stretch."""
    # Where all lines but the last are as long, looking at their ends is enough.
    feed = data.find(b"\n", start, end)
    if feed > start:
        step = feed + 1 - start
        feeds = data[feed:end:step]
        returns = data[feed - 1 : feed - 1 + step * len(feeds) : step]
        trailing = 0
        if (end - start) % step:  # the last line is shorter: its end is elsewhere
            trailing = data.endswith(b"\n", start, end) + data.endswith(b"\r\n", start, end)
        found = feeds.count(b"\n") + returns.count(b"\r") + trailing
        if skipped == found:
            return True
    return skipped == data.count(b"\n", start, end) + data.count(b"\r", start, end)


def _decode_damaged(data: bytes) -> tuple[bytes, bool]:
    compact = data.translate(None, b" \t\r\n")
    try:
        return binascii.a2b_base64(compact, strict_mode=True), True
    except ValueError:
        clean = re.sub(_NOT_BASE64, b"", compact)
    runs = [run for run in re.split(_PADDING, clean) if run]
    if len(clean) < len(compact):
        runs = runs[:1]  # what follows the padding is somebody's footer, not more content
    return b"".join(map(_decode_run, runs)), False


def _decode_run(run: bytes) -> bytes:
    if len(run) % 4 == 1:  # six bits of a byte whose rest is lost
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def decode_uu(body: bytes) -> tuple[bytes, bool]:
    """Decode the lines of a uuencoded body; the second value says whether all was well."""
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
