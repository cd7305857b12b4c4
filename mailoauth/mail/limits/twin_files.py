"""A text that is whole after a kill at any moment, without the cost of a rename.

It lies in two files that are written in turn, each with a number that counts up and a
checksum: whatever is cut short, the other file has what was there before.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Final

from mailoauth.mail.limits.lock_files import OPEN

if TYPE_CHECKING:
    from pathlib import Path

#: Octets: what is larger was not written by us.
_LARGEST: Final = 4_000_000
_DIGITS: Final = 18


class Torn(ValueError):
    """There is something in the files, and it was not written by :class:`TwinFiles`."""


class TwinFiles:
    """Two files (0600) beside each other, ``.0`` and ``.1``; one writer at a time, by a lock."""

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(f"{path.name}.{twin}") for twin in (0, 1)]
        self._number = 0

    def read(self) -> bytes | None:
        """Return what was written last, None if nothing was; needs no lock.

        Raises ``Torn``, and ``OSError``.
        """
        contents = [_read(path) for path in self._paths]
        whole = [found for content in contents if content and (found := _open(content))]
        self._number, text = max(whole, default=(0, b""))
        if whole:
            return text
        if contents == [None, None]:
            return None
        raise Torn("it is cut short, or written by something else")

    def write(self, text: bytes) -> None:
        """Replace what was read before."""
        number = self._number + 1
        body = b"%d\n%b" % (number, text)
        data = b"%08x " % zlib.crc32(body) + body
        descriptor = os.open(self._paths[number % 2], OPEN | os.O_CREAT, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)
        self._number = number


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, OPEN)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        return os.read(descriptor, min(size, _LARGEST))
    finally:
        os.close(descriptor)


def _open(content: bytes) -> tuple[int, bytes] | None:
    """Return the number and the text, None if they are not whole."""
    checksum, _, body = content.partition(b" ")
    number, _, text = body.partition(b"\n")
    known = number.isdigit() and len(number) <= _DIGITS
    if not known or checksum != b"%08x" % zlib.crc32(body):
        return None
    return int(number), text
