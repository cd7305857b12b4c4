"""Locks on files that nobody waits for here: had at once or not, and freed when their holder dies.

``flock`` on Unix, a locked byte on Windows, both of the operating system. Its own few lines and
not filelock: importing that takes as long as a tenth of what one message may take in a fresh
process. A lock file stays where it is, for removing it would let two processes hold "the same".
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mailoauth import paths

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool = False) -> None:  # noqa: ARG001 - it has no shared ones
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool = False) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_BUSY: Final = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}
#: Nonblocking and without links: whoever may write to the folder could put a pipe or a link there.
OPEN: Final = (
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)

#: Excludes the threads of this process from each other and from a fork, for moments. Nothing is
#: logged while it is held: a fork takes it when it has the lock of logging.
guard = threading.RLock()
_open: dict[str, int] = {}


class Lock:
    """A lock file that this process holds until :meth:`release`; a forked child does not."""

    __slots__ = ("_descriptor", "_path", "_process")

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self._process = os.getpid()

    def release(self) -> None:
        """Free it; once more does nothing, nor does it in a forked child."""
        with guard:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is None or self._process != os.getpid():
                return
            _open.pop(self._path, None)
            # A program that is just being started may have the descriptor for an instant
            # longer: closing alone would not free the lock.
            with suppress(OSError):
                _unlock(descriptor)
            with suppress(OSError):
                os.close(descriptor)


def try_lock(path: Path) -> Lock | None:
    """Return the lock of the file, made if missing (0600, its folder 0700); None if it is held.

    Raises ``OSError`` or ``StoreError`` where there can be none.
    """
    name = str(path)
    with guard:
        # Not even opened a second time: on NFS closing it would free this process's lock.
        if name in _open:
            return None
        descriptor = _open_or_make(path)
        if not _had(descriptor):
            os.close(descriptor)
            return None
        _open[name] = descriptor
        return Lock(name, descriptor)


def is_locked(path: Path) -> bool:
    """Say whether another process holds the lock of the file; False where that cannot be known."""
    with guard:
        if str(path) in _open:
            return False
        try:
            descriptor = os.open(path, OPEN)
        except OSError:
            return False
        try:
            _lock(descriptor, shared=True)  # two who look at the same time do not see each other
            _unlock(descriptor)
        except OSError as exc:
            return exc.errno in _BUSY
        finally:
            os.close(descriptor)
        return False


def _open_or_make(path: Path) -> int:
    try:
        return os.open(path, OPEN | os.O_CREAT, 0o600)
    except FileNotFoundError:
        paths.make_private_folder(path.parent)
        return os.open(path, OPEN | os.O_CREAT, 0o600)


def _had(descriptor: int) -> bool:
    try:
        _lock(descriptor)
        # Somebody who empties the folder may come between the open and the lock.
        return os.fstat(descriptor).st_nlink > 0
    except OSError as exc:
        if exc.errno in _BUSY:
            return False
        os.close(descriptor)
        raise


def _let_go_in_child() -> None:
    # Closed and not unlocked: the lock belongs to the open file, which is the parent's as well.
    for descriptor in _open.values():
        with suppress(OSError):
            os.close(descriptor)
    _open.clear()
    guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=guard.acquire, after_in_parent=guard.release, after_in_child=_let_go_in_child
    )
