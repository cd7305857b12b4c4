"""Files of fetched mail: they appear whole, for this user only, and survive a power cut."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError
from mailoauth.mail.names import make_folder, safe_name
from mailoauth.tokens.durable import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailoauth.mail.message import Message

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_BROKEN: Final = {errno.EIO, errno.ENXIO, errno.ENODEV, getattr(errno, "ESTALE", errno.EIO)}
_NAME_LENGTH: Final = 40

_SYNCING_THREADS: Final = 8


@dataclass(frozen=True)
class Source:
    """The folder of a mailbox that messages come from."""

    mailbox: str
    folder: str

    @cached_property
    def tag(self) -> str:
        """What tells its messages from those of any other folder, in a file name."""
        known = f"{self.mailbox.casefold()}\0{canonical(self.folder)}"
        return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()[:10]

    @cached_property
    def name(self) -> str:
        """Its folder as part of a file name, for people; not unique."""
        folder = unicodedata.normalize("NFC", canonical(self.folder))
        return safe_name(re.sub(r"[^\w.+-]+", "_", folder))[:_NAME_LENGTH]


def canonical(folder: str) -> str:
    """Return the one way of writing a folder (RFC 9051 section 5.1: INBOX is so in any case)."""
    return "INBOX" if folder.upper() == "INBOX" else folder


class FileGroup:
    """Files that get their names together, once the disk has their contents."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Path, Path]] = []

    def add(self, data: bytes, temporary: Path, place: Path, time: float | None = None) -> None:
        """Write the temporary file, which becomes the other with the next commit.

        ``time`` is when it was last modified, in seconds since the epoch. Raises ``OSError``.
        """
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            write_all(descriptor, data)
            if time is not None:
                os.utime(temporary, (time, time))
        except BaseException:
            # Half a message must not get its name with the others.
            _remove(descriptor, temporary)
            raise
        self._waiting.append((descriptor, temporary, place))

    def commit(self) -> None:
        """Put everything on the disk under its name. Raises ``OSError``."""
        folders = set()
        try:
            _sync([descriptor for descriptor, _, _ in self._waiting])
            while self._waiting:
                descriptor, temporary, place = self._waiting.pop(0)
                os.close(descriptor)  # first: Windows renames no open file
                temporary.replace(place)
                folders.add(place.parent)
        finally:
            self.discard()
        for folder in folders:
            sync_folder(folder)

    def discard(self) -> None:
        """Remove what has no name yet."""
        for descriptor, temporary, _ in self._waiting:
            _remove(descriptor, temporary)
        self._waiting.clear()


def _sync(descriptors: list[int]) -> None:
    """Have them all on the disk: a disk takes many at a time faster than one by one."""
    if len(descriptors) == 1:
        os.fsync(descriptors[0])
    elif descriptors:
        with ThreadPoolExecutor(_SYNCING_THREADS) as threads:
            list(threads.map(os.fsync, descriptors))


def _remove(descriptor: int, temporary: Path) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)
    with contextlib.suppress(OSError):
        temporary.unlink()


def received_at(message: Message) -> int:
    """Return when the server received it, in seconds since the epoch; 0 if it does not say."""
    with contextlib.suppress(OverflowError, ValueError, OSError):  # out of all range
        if message.internal_date is not None:
            return max(0, int(message.internal_date.timestamp()))
    return 0


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data. Raises ``OSError``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def make_private_folder(folder: Path) -> None:
    """Make a folder for this user only; one that is there stays as it is. Raises ``OSError``."""
    make_folder(folder)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


@contextlib.contextmanager
def explained(path: Path, option: str) -> Iterator[None]:
    """Raise ``ConfigError`` in plain words for an ``OSError`` of what is written there."""
    try:
        yield
    except OSError as exc:
        raise _explanation(path, option, exc) from exc


def _explanation(path: Path, option: str, exc: OSError) -> ConfigError:
    reason = exc.strerror or str(exc)
    again = "then run the command again: it goes on where it was."
    if exc.errno in _FULL:
        remedy = f"Make room or raise the quota, {again}"
    elif exc.errno in _FORBIDDEN:
        remedy = f"Give this user the right to write there, or name another place with {option}."
    elif isinstance(exc, FileExistsError | NotADirectoryError):
        reason = "there is a file where a folder is needed"
        remedy = f"Name another folder with {option}, or move the file away."
    elif isinstance(exc, IsADirectoryError):
        reason = "it is a folder"
        remedy = f"Name a file with {option}."
    elif exc.errno in _BROKEN:
        remedy = f"Check the disk, {again}"
    else:
        remedy = f"Name another place with {option}."
    return ConfigError(f"{path} cannot be written: {reason}.", remedy=remedy)
