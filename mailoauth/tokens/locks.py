"""Locks that exclude threads and processes, and that the operating system frees when a holder dies.

On Unix they are ``flock`` locks, on Windows ``LockFileEx``. A lock file stays
where it is: removing it would let two processes hold "the same" lock on two files.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet, WeakValueDictionary

from mailoauth import paths
from mailoauth.errors import ConnectionTimedOut, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds to wait for a lock: longer than one refresh may take (30 s).
LOCK_WAIT = 45.0

_log = logging.getLogger("mailoauth.tokens")


class ThreadLocks:
    """Locks by name between the threads of this process, made anew in a forked child."""

    _all: ClassVar[WeakSet[ThreadLocks]] = WeakSet()

    def __init__(self) -> None:
        self._forget()
        ThreadLocks._all.add(self)

    @contextmanager
    def hold(self, name: str, *, timeout: float, busy: str) -> Iterator[None]:
        """Wait for the lock; ``ConnectionTimedOut`` says ``busy`` when the seconds are over."""
        with self._guard:
            # A plain Lock, not an RLock: it may be freed by another thread than its taker.
            lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=max(0.0, timeout)):
            raise ConnectionTimedOut(
                f"Another thread of this process {busy}; it did not end within the time given."
            )
        try:
            yield
        finally:
            lock.release()

    def _forget(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    @classmethod
    def _forget_all(cls) -> None:
        for locks in cls._all:
            locks._forget()  # noqa: SLF001 - its own class


_threads = ThreadLocks()

if hasattr(os, "register_at_fork"):
    # The threads that held them do not exist in the child. The descriptors of the
    # lock files are closed there by filelock, which has a hook of its own.
    os.register_at_fork(after_in_child=ThreadLocks._forget_all)  # noqa: SLF001 - as above


@contextmanager
def exclusive(path: Path, *, busy: str, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock file, made if missing, against every other thread and process.

    ``busy`` completes "Another process ...". Blocks for at most ``timeout``
    seconds (:data:`LOCK_WAIT`), then raises ``ConnectionTimedOut``; ``StoreError``
    where there can be no lock. It is not re-entrant. After a fork the child
    does not hold it.
    """
    until = time.monotonic() + (LOCK_WAIT if timeout is None else timeout)
    # The threads first: on NFS the kernel's lock belongs to the whole process.
    with (
        _threads.hold(str(path), timeout=until - time.monotonic(), busy=busy),
        _file_lock(path, until, busy),
    ):
        yield


@contextmanager
def _file_lock(path: Path, until: float, busy: str) -> Iterator[None]:
    import filelock  # noqa: PLC0415 - a token that is fresh in memory needs no lock

    paths.make_private_folder(path.parent)
    # Never its fallback to a marker file: that would outlive a killed holder.
    lock = filelock.FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=max(0.0, until - time.monotonic()))
    except filelock.Timeout as exc:
        raise ConnectionTimedOut(
            f"Another process {busy}; it did not end within the time given.",
            remedy=f"Try again; if it stays so, see which process holds {path}.",
        ) from exc
    except OSError as exc:
        raise StoreError(
            f"The lock {path} cannot be taken: {exc.strerror or exc}.",
            remedy="Set MAILOAUTH_HOME to a folder on a local disk that this process may write.",
        ) from exc
    try:
        yield
    finally:
        try:
            lock.release()
        except OSError as exc:
            # What the lock protected is done; an error would deny that.
            _log.warning("The lock %s could not be freed before this process ends: %s", path, exc)
