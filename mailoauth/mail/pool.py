"""The connections of one mailer: as many as are needed and allowed, shared in turn.

How data flows: whoever sends waits in one queue; connections are opened by tasks of the
pool's own, each with a slot that excludes other processes of the machine, and handed to
whoever waits longest. One that nobody needs stays for a while, unless another process
waits for its slot.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConnectionTimedOut
from mailoauth.network import Deadline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailoauth.accounts import Account
    from mailoauth.errors import MailOAuthError
    from mailoauth.mail.limits.slots import Slot, Slots
    from mailoauth.mail.smtp import SubmissionConnection

#: Seconds after which a connection that nobody uses is closed.
IDLE: Final = 30.0
#: Seconds for which a connection may be kept while another process waits for its slot.
_TENURE: Final = 1.0
#: Seconds between two looks at who waits elsewhere.
_GLANCE: Final = 0.2


@dataclass(slots=True, eq=False)
class Line:
    """A connection that is signed in, and until when its token is good (wall clock; None: always)."""

    connection: SubmissionConnection
    ends: float | None
    slot: Slot | None = None
    opened: float = field(default_factory=time.monotonic)
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether a message may be sent on it."""
        # Servers look at the token only when it is used to sign in, but one that has
        # ended is no ground to go on sending for hours.
        return self.connection.usable and (self.ends is None or time.time() < self.ends)


class Pool:
    """At most ``limit`` connections of one event loop; ``open_line`` makes one that is signed in."""

    def __init__(
        self,
        open_line: Callable[[], Awaitable[Line]],
        slots: Callable[[], Slots],
        limit: int,
        account: Account,
    ) -> None:
        self._open_line = open_line
        self._make_slots = slots
        self._limit = limit
        self._account = account
        self._waiting: deque[asyncio.Future[Line]] = deque()
        self._idle: list[Line] = []
        self._busy: set[Line] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._refusal: Callable[[], MailOAuthError] | None = None
        self._slots: Slots | None = None

    async def take(self, deadline: Deadline, *, fresh: bool = False) -> Line:
        """Return a connection for one message; waits for it until ``ConnectionTimedOut``.

        ``fresh`` closes those that are idle: one of them was found dead.
        """
        if self._refusal is not None:
            raise self._refusal()
        if fresh:
            self._close_idle()
        waiter: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._serve()
        try:
            async with asyncio.timeout(deadline.remaining()):
                line = await waiter
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError) and not isinstance(error, ConnectionTimedOut):
                raise self._too_late() from error
            raise
        line.connection.deadline = deadline
        return line

    def give_back(self, line: Line) -> None:
        """Take a connection back after a message, whatever became of it."""
        self._busy.discard(line)
        line.idle_since = time.monotonic()
        if not line.usable or (
            line.idle_since - line.opened > _TENURE and self._wanted_elsewhere()
        ):
            self._close(line)
        else:
            self._idle.append(line)
        self._serve()
        self._tend()

    def refuse(self, error: Callable[[], MailOAuthError]) -> None:
        """End every wait with an error, and those that begin from now on."""
        self._refusal = error
        for task in self._opening:
            task.cancel()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error())

    def drop(self) -> None:
        """Close everything at once, without a goodbye."""
        for line in (*self._idle, *self._busy):
            line.connection.close()
            _release(line)
        self._idle.clear()
        self._stop_looking()

    async def aclose(self) -> None:
        """Say goodbye on every connection that is idle, and wait for what is being closed."""
        self._close_idle()
        while under_way := [*self._opening, *self._closing]:
            await asyncio.wait(under_way)
            self._close_idle()  # one may have been opened just now
        self._stop_looking()

    def _serve(self) -> None:
        """Hand out what is idle, and see that enough is being opened for the rest."""
        while self._waiting and self._idle:
            line = self._idle.pop()  # the one that was used last is the likeliest to live
            if not line.usable:
                self._close(line)
                continue
            self._hand_out(line)
        self._waiting = deque(waiter for waiter in self._waiting if not waiter.done())
        # The server counts those that are being closed, too.
        taken = sum(map(len, (self._busy, self._idle, self._opening, self._closing)))
        needed = min(self._limit - taken, len(self._waiting) - len(self._opening))
        if needed > 0 and taken and self._wanted_elsewhere():
            self._tend()  # another process may have none at all; asked again in a moment
            return
        for _ in range(needed):
            task = asyncio.ensure_future(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opened)

    def _hand_out(self, line: Line) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._busy.add(line)
                waiter.set_result(line)
                return
        line.idle_since = time.monotonic()
        self._idle.append(line)

    def _leave(self, waiter: asyncio.Future[Line]) -> None:
        """Let somebody go who waits no longer, with a connection in hand or without."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.give_back(waiter.result())
            return
        waiter.cancel()
        # What is being opened may go on, for the next message.
        self._serve()

    async def _open(self) -> None:
        slot: Slot | None = None
        try:
            if self._slots is None:
                self._slots = self._make_slots()
            slot = await self._slots.take(Deadline(None))  # whoever waits has a deadline
            line = await self._open_line()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits longest
            if slot is not None:
                slot.release()
            self._fail(error)
        except BaseException:
            if slot is not None:
                slot.release()
            raise
        else:
            line.slot = slot
            # Even if its token has ended by this machine's clock: the server took it just now.
            self._hand_out(line)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._serve()
        self._tend()

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                return

    def _too_late(self) -> ConnectionTimedOut:
        return ConnectionTimedOut(
            f"No connection to {self._account.smtp} was to be had within the deadline: nothing was "
            f"sent. The account may have {self._limit} of them at a time.",
            remedy="Try again later, or allow more time.",
            account=self._account.name,
        )

    def _wanted_elsewhere(self) -> bool:
        return self._slots is not None and self._slots.wanted()

    def _close_idle(self) -> None:
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, line: Line) -> None:
        task = asyncio.ensure_future(_goodbye(line))
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        self._serve()

    def _tend(self) -> None:
        """Look after what is idle, and whoever waits, from time to time."""
        if (self._idle or self._waiting) and self._look is None:
            self._look = asyncio.get_running_loop().call_later(_GLANCE, self._glance)

    def _glance(self) -> None:
        self._look = None
        wanted = self._wanted_elsewhere()
        now = time.monotonic()
        for line in [*self._idle]:
            if wanted or not line.usable or now - line.idle_since > IDLE:
                self._idle.remove(line)
                self._close(line)
        self._serve()
        self._tend()

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None


async def _goodbye(line: Line) -> None:
    try:
        await line.connection.quit()
    finally:
        # Not before: a server counts a connection as long as it is open.
        _release(line)


def _release(line: Line) -> None:
    slot, line.slot = line.slot, None
    if slot is not None:
        slot.release()
