"""Who of this process waits for one of an account's slots, and which of them it holds.

How turns go: all tasks of a process form one line, whatever event loop they run in. The first
of them queues for the lock of the file ``.next``, against the firsts of other processes; who
has it takes the first slot that gets free, and leaves it to the next.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from mailoauth.errors import StoreError
from mailoauth.mail.limits.lock_files import Lock, guard, is_locked, try_lock

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds after which somebody in front who gives no sign of life is passed by.
_STALE: Final = 2.0
#: Seconds between two looks: of who is next, of who has waited for long, and of newcomers.
_NEXT: Final = (0.010, 0.020)
_LONG: Final = (0.010, 0.030)
_NEW: Final = (0.030, 0.050)
#: Seconds after which somebody has waited for long.
_NEW_FOR: Final = 1.0


class Ticket:
    """One task's place in the line; ``owner`` is on whose behalf it waits."""

    __slots__ = ("_loop", "_sign", "called", "drawn", "owner")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.drawn = self._sign = time.monotonic()
        self.called = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def gone(self) -> bool:
        """Whether its event loop has ended, and the task with it."""
        return self._loop.is_closed()

    @property
    def stale(self) -> bool:
        """Whether its event loop is stuck."""
        return time.monotonic() - self._sign > _STALE

    def sign(self) -> None:
        """Give a sign of life."""
        self._sign = time.monotonic()

    def call(self) -> None:
        """Wake the task, from any thread."""
        with suppress(RuntimeError):  # its loop has just ended
            self._loop.call_soon_threadsafe(self.called.set)

    async def pause(self, seconds: float) -> None:
        """Sleep, but for as long as nobody calls."""
        self.called.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.called.wait()


class Turns:
    """The line of this process for the slots of one name in one folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._next = folder / f"{name}.next"
        self._waiting: deque[Ticket] = deque()
        self._front: Lock | None = None
        self._held: dict[int, Lock | None] = {}
        #: What was in the way of the lock files when last tried.
        self.trouble: Exception | None = None

    def join(self, owner: object) -> Ticket:
        """Stand at the end of the line."""
        ticket = Ticket(owner)
        with guard:
            self._waiting.append(ticket)
        return ticket

    def attempt(self, ticket: Ticket, count: int) -> int | None:
        """Return the number of the slot that the ticket's owner holds from now on, if any."""
        ticket.sign()
        with guard:
            if self._first() is not ticket:
                return None
            try:
                index = self._attempt(count)
                self.trouble = None
            except (OSError, StoreError) as error:
                self.trouble = error
                index = next((i for i in range(count) if i not in self._held), None)
                if index is not None:
                    self._held[index] = None
            return index

    def leave(self, ticket: Ticket, *, served: bool) -> None:
        """Leave the line; who was served leaves it to other processes to be next."""
        with guard:
            with suppress(ValueError):  # in a forked child
                self._waiting.remove(ticket)
            if self._front is not None and (served or not self._waiting):
                self._front.release()
                self._front = None
        self._call_first()

    def free(self, index: int) -> None:
        """Give a slot back."""
        with guard:
            lock = self._held.pop(index, None)
            if lock is not None:
                lock.release()
        self._call_first()

    def patience(self, ticket: Ticket) -> float:
        """Return for how many seconds to sleep before the next attempt."""
        if self._front is not None:
            bounds = _NEXT
        else:
            # Who has waited longer looks more often, and so is sooner next.
            bounds = _NEW if time.monotonic() - ticket.drawn < _NEW_FOR else _LONG
        return random.uniform(*bounds)  # noqa: S311 - no secret

    def wanted_by_others(self, owner: object) -> bool:
        """Say whether who is first in line, here or elsewhere, is somebody else than the owner."""
        with guard:
            first = self._first()
            if first is not None and first.owner is not owner:
                return True
            # With this process in front, whatever is given back would come back to the owner.
            return self._front is None and is_locked(self._next)

    def forget(self) -> None:
        """Begin anew in a forked child: those who wait and the slots are the parent's."""
        self._waiting.clear()
        self._held.clear()
        self._front = None

    def _first(self) -> Ticket | None:
        while self._waiting and self._waiting[0].gone:
            self._waiting.popleft()
        return next((ticket for ticket in self._waiting if not ticket.stale), None)

    def _attempt(self, count: int) -> int | None:
        if self._front is None:
            self._front = try_lock(self._next)
        if self._front is None and not self._stuck():
            return None
        for index in range(count):
            if index in self._held:
                continue
            lock = try_lock(self._folder / f"{self._name}.slot-{index}")
            if lock is not None:
                self._held[index] = lock
                return index
        self._sign()
        return None

    def _sign(self) -> None:
        """Give other processes a sign of life of who is next."""
        if self._front is None:
            return
        now = time.time()
        try:
            os.utime(self._next, (now, now))
        except FileNotFoundError:  # somebody has emptied the folder: queue for another file
            self._front.release()
            self._front = None

    def _stuck(self) -> bool:
        """Whether the process that is next is stopped, or its event loop is."""
        try:
            signed = self._next.stat().st_mtime
        except FileNotFoundError:
            return False
        return abs(time.time() - signed) > _STALE

    def _call_first(self) -> None:
        with guard:
            first = self._first()
        if first is not None:
            first.call()


_all: WeakValueDictionary[tuple[str, str], Turns] = WeakValueDictionary()


def turns_of(folder: Path, name: str) -> Turns:
    """Return the one line of this process for the name in the folder."""
    with guard:
        key = (str(folder), name)
        turns = _all.get(key)
        if turns is None:
            turns = _all[key] = Turns(folder, name)
        return turns


def _forget_all() -> None:
    for turns in list(_all.values()):
        turns.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
