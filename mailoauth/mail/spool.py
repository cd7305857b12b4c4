"""Messages in anonymous files: read by the usual parser, but kept on the disk."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, cast

from mailoauth.mail.incremental import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.mail.parts import Part

#: Octets read at once.
_PIECE: Final = 1024 * 1024


@dataclass(frozen=True)
class SpooledPart:
    """A part of a message that lies in an anonymous file, which is gone when its parts are."""

    part: Part
    message: object

    @property
    def filename(self) -> str:
        """Its name, made safe."""
        return self.part.filename

    @property
    def content_type(self) -> str:
        """Its type in lower case."""
        return self.part.content_type

    @property
    def content_id(self) -> str:
        """Its Content-ID without the angle brackets."""
        return self.part.content_id

    def decode(self) -> tuple[bytes, bool]:
        """Undo its transfer encoding, in memory."""
        return self.part.decode()

    def pieces(self) -> Iterator[bytes]:
        """Yield its content piece by piece."""
        part = self.part
        places = range(part.body_start, part.end, _PIECE)
        encoded = (part.raw[place : min(place + _PIECE, part.end)] for place in places)
        encoding = part.header(b"content-transfer-encoding").decode("ascii", "replace")
        return decoded(encoding, encoded)


class Spool(mmap.mmap):
    """A file that is read as if it were bytes, with the methods that the parser uses."""

    @classmethod
    def of(cls, file: IO[bytes]) -> bytes:
        """Map a whole file; it can be closed then."""
        file.flush()
        if not file.tell():
            return b""  # which cannot be mapped
        # The parser takes bytes, and uses no more of them than this class has.
        return cast("bytes", cls(file.fileno(), 0, access=mmap.ACCESS_READ))

    def startswith(self, prefix: bytes, start: int = 0, end: int | None = None) -> bool:
        """Say whether a stretch begins so."""
        first, last, _ = slice(start, end).indices(len(self))
        return last - first >= len(prefix) and self[first : first + len(prefix)] == prefix

    def endswith(self, suffix: bytes, start: int = 0, end: int | None = None) -> bool:
        """Say whether a stretch ends so."""
        first, last, _ = slice(start, end).indices(len(self))
        return last - first >= len(suffix) and self[last - len(suffix) : last] == suffix

    def count(self, what: bytes, start: int = 0, end: int | None = None) -> int:
        """Count what does not overlap in a stretch."""
        first, last, _ = slice(start, end).indices(len(self))
        found = 0
        while (first := self.find(what, first, last)) >= 0:
            found += 1
            first += len(what)
        return found
