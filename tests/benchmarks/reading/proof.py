"""Checksums of what contenders read, cheap enough not to count and the same for all."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

from tests.benchmarks.reading.job import Done

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Readings:
    """Adds up what was read of messages; their order does not matter."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0

    def add(
        self,
        subject: str,
        sender: str,
        date: datetime,
        text: str = "",
        names: Iterable[str] = (),
    ) -> None:
        """Take a message into account, its text whatever the line ends."""
        # Libraries differ in the blanks of folded subjects and beside encoded words.
        subject = "".join(subject.split())
        text = text.replace("\r\n", "\n").strip()
        read = "\0".join((subject, sender, str(int(date.timestamp())), text, *names))
        self._sum += zlib.crc32(read.encode())
        self._count += 1

    def done(self, note: str = "") -> Done:
        """Return the report."""
        return Done(self._count, f"{self._sum:x}", note=note)


class Contents:
    """Hashes contents in the order of the messages."""

    def __init__(self) -> None:
        self._count = 0
        self._hash = hashlib.sha256()

    def add(self, content: bytes) -> None:
        """Take one content into account."""
        self._count += 1
        self._hash.update(content)

    def done(self) -> Done:
        """Return the report."""
        return Done(self._count, self._hash.hexdigest()[:16])
