"""Journal: what became of each message of a run, so that a stopped run can be continued.

How data flows: tasks ask for rows to be written and wait; a single thread writes all that
wait at that moment in one transaction, so that many connections share the disk's pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mailoauth.aio import Worker
from mailoauth.checks import expand_path
from mailoauth.errors import ConfigError, MailOAuthError, StoreError
from mailoauth.mail.mailing.journal_file import JournalFile, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

R = TypeVar("R")

__all__ = ["Journal", "Row"]


class Journal:
    """The journal of one run, used by the tasks of one event loop.

    ``account`` and ``mailbox`` are kept in it: another's journal is refused, and so is one
    begun with ``key=`` where there is none now, or the other way round. The folder
    must exist. Raises ``ConfigError``, ``StoreError``, and ``Throttled`` where another run
    has it.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, account: str, mailbox: str, keyed: bool
    ) -> None:
        place = expand_path("journal", os.fsdecode(path)).absolute()
        if place.is_dir():
            raise ConfigError(f"The journal {place} is a folder.", remedy="Name a file.")
        self._file = JournalFile(place, account, mailbox, keyed=keyed)
        self._thread = _Thread("mailoauth-journal")
        self._closed = False
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._batch: list[tuple[Row, asyncio.Future[None]]] = []  # being written
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the file or make it (0600)."""
        await self._call(self._file.open)

    async def take(self, key: str) -> Row | bool:
        """Return what is known of a message, True for a new one, False for one taken before."""
        return await self._call(self._file.take, key)

    async def states(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the states of those of the messages that are known."""
        return await self._call(self._file.states, keys)

    async def rows(self) -> list[Row]:
        """Return all rows in the order of the input."""
        return await self._call(self._file.rows)

    async def write(self, row: Row) -> None:
        """Write a row; it is on the disk when this returns."""
        await self.note(row)

    def note(self, row: Row) -> asyncio.Future[None]:
        """Have a row written, after those asked for before; the result says when it is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_look_at)
        if self._closed:
            done.cancel()
            return done
        self._waiting.append((row, done))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())
        return done

    async def _write(self) -> None:
        try:
            while self._waiting:
                self._batch, self._waiting = self._waiting, []
                try:
                    await self._call(self._file.write, [row for row, _ in self._batch])
                except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                    _fail(self._batch, error)
                for _, done in self._batch:
                    if not done.done():
                        done.set_result(None)
                self._batch = []
        finally:
            self._writing = None
            for _, done in self._batch:
                done.cancel()  # no effect on one that is done

    async def close(self) -> None:
        """Write what waits, and let the next run have the file."""
        try:
            if self._writing is not None:
                await asyncio.wait([self._writing])
            if not self._closed:
                await self._call(self._file.close)
        finally:
            self.drop()

    def drop(self) -> None:
        """Do the same as far as that goes, soon, in the thread: nobody waits for it."""
        if self._closed:
            return
        self._closed = True
        # Some may be on the disk already; once more does no harm.
        rows = [row for row, _ in (*self._batch, *self._waiting)]
        for _, done in self._waiting:
            done.cancel()
        self._waiting = []
        self._thread.stop_after(partial(_end, self._file, rows))

    async def _call(self, verb: Callable[..., R], *values: Any) -> R:
        if self._closed:  # a new thread would never end
            raise StoreError("The journal is closed.")
        return await self._thread.call(verb, _go_on, *values)


class _Thread(Worker):
    def stop_after(self, last: Callable[[], None]) -> None:
        """Let the thread end after one more call, which must not raise."""
        if self._thread is not None:
            self._jobs.put(last)
            self.stop()


def _end(file: JournalFile, rows: list[Row]) -> None:
    # What cannot be written stays "sending", which the next run reports as unknown.
    with contextlib.suppress(MailOAuthError):
        if rows:
            file.write(rows)
    with contextlib.suppress(MailOAuthError):
        file.close()


def _fail(batch: list[tuple[Row, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)


def _look_at(done: asyncio.Future[None]) -> None:
    # What became of a row that nobody waits for any more is not logged by asyncio.
    if not done.cancelled():
        done.exception()


def _go_on() -> None:
    """Let a write be finished that nobody waits for any more."""
