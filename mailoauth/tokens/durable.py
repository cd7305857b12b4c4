"""Files that are whole or not there: made beside their place, synced, and moved into it."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, TypeVar

from mailoauth.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Result = TypeVar("_Result")
_ON_WINDOWS = sys.platform == "win32"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_CREATE = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)


class Temporary:
    """A file that becomes a record by a rename; locked while its writer lives.

    The lock is the operating system's, so it tells a writer at work from one
    that was killed, in whatever container or on whatever host that was.
    """

    _open: ClassVar[set[Temporary]] = set()

    def __init__(self, folder: Path, key: str) -> None:
        self._process = os.getpid()
        self._file: int | None = None
        for _ in range(10):
            self.path = folder / f"{key}.{secrets.token_hex(8)}.tmp"
            descriptor = os.open(self.path, _CREATE, 0o600)
            # Somebody who cleans up can come between the open and the lock.
            if _try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                self._file = descriptor
                self._open.add(self)
                return
            os.close(descriptor)
        raise BlockingIOError(errno.EAGAIN, "temporary files vanish", str(folder))

    @property
    def is_ours(self) -> bool:
        """False in a child that was forked while the file was open: it is the parent's."""
        return self._process == os.getpid()

    def reserve(self, size: int) -> None:
        """Give the file that many bytes, on the disk when this returns."""
        descriptor = self._descriptor
        if not _allocate(descriptor, size):
            _write_all(descriptor, bytes(size))
        os.fsync(descriptor)
        sync_folder(self.path.parent)

    def become(self, target: Path, data: bytes) -> None:
        """Hold the data and take the target's place, both on the disk when this returns."""
        descriptor = self._descriptor
        os.lseek(descriptor, 0, os.SEEK_SET)
        _write_all(descriptor, data)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
        if _ON_WINDOWS:  # an open file cannot be renamed there
            self._close()
        _patiently(lambda: os.replace(self.path, target))  # noqa: PTH105 - Path.replace is the same
        sync_folder(target.parent)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.is_ours:
            # Before the close, while the lock still tells others that the file has an owner.
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self._close()
            if _ON_WINDOWS:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise OSError(errno.EBADF, "the temporary file is closed", str(self.path))
        return self._file

    def _close(self) -> None:
        descriptor, self._file = self._file, None
        self._open.discard(self)
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    @classmethod
    def _close_all(cls) -> None:
        for temporary in list(cls._open):
            temporary._close()  # noqa: SLF001 - its own class


if hasattr(os, "register_at_fork"):
    # A child that kept the descriptor would keep the lock, and so the file, beyond its parent.
    os.register_at_fork(after_in_child=Temporary._close_all)  # noqa: SLF001 - as above


def read(path: Path) -> tuple[bytes, int]:
    """Return what the file holds and its permission bits."""

    def attempt() -> tuple[bytes, int]:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            return file.read(), mode & 0o777

    return _patiently(attempt)


def sync_folder(folder: Path) -> None:
    """Put the folder's list of names on the disk."""
    if _ON_WINDOWS:
        return  # folders cannot be opened there; NTFS journals the rename
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # Some network and FUSE file systems cannot; the rename has happened all the same.
        if exc.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(descriptor)


def remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file whose writer is dead, which its lock tells."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        abandoned = _try_lock(descriptor)
        if abandoned and not _ON_WINDOWS:
            # While the lock is held: its writer may be just about to take it.
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    if abandoned and _ON_WINDOWS:
        path.unlink(missing_ok=True)


def trouble(done: str, path: Path, error: OSError) -> StoreError:
    """Say what could not be done to the path, with the operating system's reason and a remedy."""
    elsewhere = "set MAILOAUTH_HOME to a folder on a local disk that this process may write."
    if error.errno in _FULL:
        remedy = "Free some space or raise the quota; nothing that was there before is lost."
    elif error.errno in _FORBIDDEN:
        remedy = f"Give this user the right to use {path.parent}, or {elsewhere}"
    elif isinstance(error, NotADirectoryError | FileExistsError | IsADirectoryError):
        remedy = f"Move away what is in the way there, or {elsewhere}"
    else:
        remedy = f"Check the disk; if it is a network file system, {elsewhere}"
    return StoreError(f"{path} cannot be {done}: {error.strerror or error}.", remedy=remedy)


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the lock was free, None where the file system has no locks."""
    import filelock  # noqa: PLC0415 - only what writes needs it

    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:
        return None


def _allocate(descriptor: int, size: int) -> bool:
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(descriptor, 0, max(1, size))
    except OSError as exc:
        if exc.errno not in _NOT_SUPPORTED:
            raise
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _patiently(action: Callable[[], _Result]) -> _Result:
    """On Windows a file cannot be read or replaced in the instant that another does so: retry."""
    for _ in range(40 if _ON_WINDOWS else 0):
        try:
            return action()
        except PermissionError:
            time.sleep(0.025)
    return action()


def create(path: Path, data: bytes) -> None:
    """Make a file (0600) that must not exist yet; it is on the disk when this returns.

    Raises ``FileExistsError`` and leaves what is there, whoever made it.
    """
    descriptor = os.open(path, _CREATE, 0o600)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
