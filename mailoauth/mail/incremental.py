"""Transfer encodings undone piece by piece, for content that is too large to hold; pure.

What comes out is what :mod:`mailoauth.mail.parts` makes of the whole, wherever the pieces
are cut. Two cases a stream cannot decide are noted at the decoders.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/=]+")
_PADDING: Final = re.compile(rb"=+")
#: Octets decoded at once: two octets of uuencoded dirt may become forty-five.
_AT_ONCE: Final = 64 * 1024
#: Octets that wait after the padding of base64 until it shows whether they are content.
_DOUBTFUL: Final = 1024 * 1024
# In the order of binascii: a pair, an equals sign that stands for itself, a line that goes on.
_ESCAPE: Final = re.compile(rb"=(?:=|\r|[0-9A-Fa-f]{2})?")
_LINE: Final = re.compile(rb"[^\r\n]+")
#: A line of uuencoded data has 61 characters and perhaps some filling.
_LONGEST_UU_LINE: Final = 64 * 1024


class Decoder(Protocol):
    """Undoes one transfer encoding (RFC 2045 section 6)."""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece and return what is certain by now."""

    def finish(self) -> bytes:
        """Return the rest."""


def decoded(encoding: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode pieces as they come; an unknown encoding is passed through."""
    decoder = decoder_for(encoding)
    for piece in pieces:
        for start in range(0, len(piece), _AT_ONCE):
            yield decoder.feed(piece[start : start + _AT_ONCE])
    yield decoder.finish()


def decoder_for(encoding: str) -> Decoder:
    """Return a new decoder for a Content-Transfer-Encoding."""
    name = encoding.strip().lower().rstrip(";")
    if name == "base64":
        return _Base64()
    if name == "quoted-printable":
        return _QuotedPrintable()
    if name in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _Uuencode()
    return _Plain()


class _Plain:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Base64:
    """Base64 with whatever is between it.

    Padding in the middle is passed over in data that is otherwise clean, and ends the
    content where there is dirt, usually a mailing list's footer. What follows the first
    padding is held back until that shows, but at most a mebibyte: dirt that
    comes later than that is taken out and ends nothing.
    """

    def __init__(self) -> None:
        self._characters = b""  # of a group that is not complete
        self._began = False
        self._padded = False
        self._dirty = False
        self._ended = False
        self._doubtful: bytearray | None = bytearray()  # None once it is taken for content

    def feed(self, data: bytes) -> bytes:
        clean = data.translate(None, b" \t\r\n")
        if clean.translate(None, _BASE64):  # much faster than the pattern, which is rarely needed
            clean = _NOT_BASE64.sub(b"", clean)
            self._dirty = True
        if self._ended:
            return b""
        first = b""
        if not self._padded:
            first, clean = self._first_run(clean)
        return first + self._later_runs(clean)

    def _first_run(self, clean: bytes) -> tuple[bytes, bytes]:
        """Decode up to the padding; return that and what follows it."""
        if not self._began:
            clean = clean.lstrip(b"=")
            self._began = bool(clean)
        run, padding, rest = clean.partition(b"=")
        if not padding:
            return self._decode(run), b""
        self._padded = True
        return self._decode(run) + self._end_run(), rest

    def _later_runs(self, clean: bytes) -> bytes:
        if self._padded and self._dirty and self._doubtful is not None:
            self._ended = True
            self._characters = b""
            return b""
        result = bytearray()
        for number, run in enumerate(_PADDING.split(clean)):
            if number:
                result += self._end_run()
            result += self._decode(run)
        if self._doubtful is None:
            return bytes(result)
        self._doubtful += result
        if len(self._doubtful) <= _DOUBTFUL:
            return b""
        result, self._doubtful = self._doubtful, None
        return bytes(result)

    def finish(self) -> bytes:
        if self._ended:
            return b""
        return bytes(self._doubtful or b"") + self._end_run()

    def _decode(self, run: bytes) -> bytes:
        characters = self._characters + run if self._characters else run
        end = len(characters) - len(characters) % 4
        self._characters = characters[end:]
        return binascii.a2b_base64(characters[:end])

    def _end_run(self) -> bytes:
        characters, self._characters = self._characters, b""
        if len(characters) == 1:  # six bits of a byte whose rest is lost
            return b""
        return binascii.a2b_base64(characters + b"=" * (-len(characters) % 4))


class _QuotedPrintable:
    """Quoted-printable as ``binascii`` reads it, which is handed nothing that is cut in two."""

    def __init__(self) -> None:
        self._held = b""
        self._skipping = False  # after "=" and a carriage return, up to the line feed

    def feed(self, data: bytes) -> bytes:
        if self._skipping:
            _, found, data = data.partition(b"\n")
            self._skipping = not found
        data = self._held + data
        end = self._certain(data)
        self._held = b"" if self._skipping else data[end:]
        return binascii.a2b_qp(data[:end])

    def _certain(self, data: bytes) -> int:
        """Return where the last escape begins that the next piece may be a part of."""
        for escape in _ESCAPE.finditer(data, data.rfind(b"\n") + 1):
            if escape[0] == b"=\r":
                self._skipping = True
                return escape.start()
            if escape[0] == b"=" and escape.end() > len(data) - 2:
                return escape.start()
        return len(data)

    def finish(self) -> bytes:
        return binascii.a2b_qp(self._held)


class _Uuencode:
    """Uuencoded lines; one of more than 64 KiB, which is no such line, is left out."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        # An empty line says nothing, so a line break that is cut in two does no harm.
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        # A line that is too long stays too long; that is all that must be known of it.
        self._held = data[end:][: _LONGEST_UU_LINE + 1]
        return _decode_lines(data[:end])

    def finish(self) -> bytes:
        return _decode_lines(self._held)


def _decode_lines(data: bytes) -> bytes:
    decoded_lines: list[bytes] = []
    for found in _LINE.finditer(data):
        line = found[0]
        if line.startswith((b"begin ", b"end")) or not line.strip():
            continue
        if len(line) > _LONGEST_UU_LINE:
            continue
        try:
            decoded_lines.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(decoded_lines)
