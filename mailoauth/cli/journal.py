"""What is being appended to a file, so that half of it can be told and taken off again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailoauth.cli.files import write_all
from mailoauth.tokens.durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LONGEST = 1000


@dataclass(frozen=True)
class Entry:
    """One append: where it begins, how long it is, its first line and its digest."""

    offset: int
    length: int
    first_line: bytes
    digest: str

    @classmethod
    def of(cls, offset: int, first_line: bytes, texts: Iterable[bytes]) -> Entry:
        """Describe what is about to be appended: the texts, one after the other."""
        digest = hashlib.sha256()
        length = 0
        for text in texts:
            digest.update(text)
            length += len(text)
        return cls(offset, length, first_line, digest.hexdigest())

    def written(self) -> bytes:
        """Return it as a line that shows whether it is whole itself."""
        text = b"%d %d %s %s" % (self.offset, self.length, self.digest.encode(), self.first_line)
        return hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Entry | None:
        """Read a line that :meth:`written` made; None if it is another, or cut off."""
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if hashlib.sha256(text).hexdigest().encode() != checksum:
            return None
        offset, length, digest, first_line = text.split(b" ", 3)
        return cls(int(offset), int(length), first_line, digest.decode())


class Journal:
    """A file that holds one entry while there may be an append that is not done."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Entry | None:
        """Return what was being appended when somebody was killed, if anything. Raises ``OSError``."""
        try:
            with self._path.open("rb") as file:
                return Entry.read(file.read(_LONGEST))
        except FileNotFoundError:
            return None

    def write(self, entry: Entry) -> None:
        """Have the entry on the disk. Raises ``OSError``."""
        is_new = not self._path.exists()
        flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            # Torn by a power cut it is no entry, and nothing has been appended by then.
            write_all(descriptor, entry.written())
            os.ftruncate(descriptor, len(entry.written()))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._path.parent)

    def clear(self) -> None:
        """Forget the entry: what it says is done, or undone."""
        with contextlib.suppress(OSError):
            self._path.unlink()
