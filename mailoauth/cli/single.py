"""Runs that must not go on at the same time: `--single`, and files that one run writes at a time.

The locks are the operating system's: they end with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from mailoauth import paths
from mailoauth.cli import screen
from mailoauth.errors import ConnectionTimedOut, Throttled
from mailoauth.tokens.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

_LONGEST_RUN: Final = 3600.0
_LONGEST_APPEND: Final = 60.0
_PAUSE: Final = 0.05


class AnotherRun(Throttled):
    """Another run is on: exit code 7, and `--retry-for` waits it out, as for a busy server."""


def key_of(*parts: str) -> str:
    """Return the name of a lock for what these words describe; it shows none of them."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"fetch-{hashlib.sha256(text).hexdigest()[:32]}"


def key_of_path(path: Path) -> str:
    """Return the same text for every way of writing a path."""
    return os.path.normcase(os.path.realpath(path))


@contextlib.contextmanager
def alone(job: str) -> Iterator[None]:
    """Hold the lock of a job; raise :class:`AnotherRun` at once if another run has it."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_lock(job, timeout=0.0))
        except ConnectionTimedOut as exc:
            raise _another_run("Another run of the same command is still on.") from exc
        yield


@contextlib.contextmanager
def in_turn(writer: str, place: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of what a run writes, one run after the other.

    Without ``wait``, or after an hour, raises :class:`AnotherRun`.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_lock(writer, timeout=0.0))
        except ConnectionTimedOut as exc:
            if not wait:
                raise _another_run(f"Another run still writes to {place}.") from exc
            screen.talk(f"Another run writes to {place}: waiting for it to end.")
            try:
                held.enter_context(_lock(writer, timeout=_LONGEST_RUN))
            except ConnectionTimedOut as late:
                raise _another_run(f"Another run still writes to {place}.") from late
        yield


@contextlib.contextmanager
def appending(path: Path, file: IO[bytes]) -> Iterator[None]:
    """Hold the locks for appending to an open mbox: ours, and the one that mail programs take."""
    with contextlib.ExitStack() as held:
        try:
            writer = key_of("append", key_of_path(path))
            held.enter_context(_lock(writer, timeout=_LONGEST_APPEND))
            _lock_for_mail_programs(file)
        except ConnectionTimedOut as exc:
            raise AnotherRun(
                f"Another program has {path} locked.", remedy="Close it there, and try again."
            ) from exc
        yield


@contextlib.contextmanager
def folder_locked(path: Path) -> Iterator[None]:
    """Hold the lock for adding a file to a folder that other runs add files to."""
    with contextlib.ExitStack() as held:
        try:
            writer = key_of("folder", key_of_path(path))
            held.enter_context(_lock(writer, timeout=_LONGEST_APPEND))
        except ConnectionTimedOut as exc:
            raise _another_run(f"Another run has {path} locked.") from exc
        yield


def _lock(key: str, *, timeout: float) -> contextlib.AbstractContextManager[None]:
    return exclusive(paths.locks_folder() / f"{key}.lock", busy="does the same", timeout=timeout)


def _another_run(what: str) -> AnotherRun:
    return AnotherRun(
        what,
        remedy="Wait for it to end, or let this one wait with --retry-for 10m. If nothing seems to "
        "run, look for a mailoauth process: the lock is free as soon as its process ends.",
    )


def _lock_for_mail_programs(file: IO[bytes]) -> None:
    """Take the record lock that mutt and others take; it is free when the file is closed."""
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    end = time.monotonic() + _LONGEST_APPEND
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as exc:
            if time.monotonic() > end:
                raise ConnectionTimedOut("The file stays locked.") from exc
            time.sleep(_PAUSE)
        except OSError:
            return  # a file system without locks
        else:
            return
