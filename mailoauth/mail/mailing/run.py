"""One run of many messages: workers that take from the input, send, wait and repeat.

How data flows: each worker takes one message at a time from the input, or one that is to be
repeated by now, and has the mailer submit it; its receipt goes to ``ready``. A worker takes no
more while too many receipts wait there, so memory is bounded at both ends. What waits for a
repetition is bounded, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from mailoauth.errors import MailOAuthError
from mailoauth.mail.mailing.day import check_day, stopped
from mailoauth.mail.mailing.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.mail.mailing.attempts import Item
    from mailoauth.mail.mailing.desk import Skipped, Submitter
    from mailoauth.mail.mailing.intake import Intake
    from mailoauth.mail.mailing.journal import Journal
    from mailoauth.mail.mailing.pace import Pace
    from mailoauth.mail.receipt import SendReceipt

#: Messages for each worker that may wait for a repetition; beyond, no new ones are taken.
_SET_ASIDE: Final = 16
# A task that nobody holds may be collected in the middle of its work.
_running: set[asyncio.Task[None]] = set()


class Run:
    """The work behind the receipts: begins with :meth:`start`, ends by itself or by :meth:`stop`."""

    def __init__(
        self,
        mailer: Submitter,
        intake: Intake,
        *,
        workers: int,
        journal: Journal | None,
        pace: Pace,
    ) -> None:
        self.ready: deque[SendReceipt | Skipped] = deque()
        self.failure: BaseException | None = None
        self.finished = False
        self._mailer = mailer
        self._intake = intake
        self._journal = journal
        self._pace = pace
        self._count = workers
        self._workers: list[asyncio.Task[None]] = []
        self._hands: list[Item | None] = [None] * workers
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._later: list[tuple[float, int, Item]] = []
        self._taking = 0  # workers that wait for the input
        self._idle: set[asyncio.Task[None]] = set()  # those, and who waits for a repetition
        self._exhausted = False  # nothing more is taken from the input
        self._desk = Desk(
            mailer,
            journal=journal,
            pace=pace,
            keyed=intake.keyed,
            deliver=self._deliver,
            stop=self._stop_for_all,
        )

    # Whoever consumes

    def start(self) -> None:
        """Begin to work, in tasks of the running loop."""
        self._task = asyncio.ensure_future(self._whole())
        _running.add(self._task)
        self._task.add_done_callback(self._over)

    async def next(self) -> SendReceipt | Skipped | None:
        """Return the next that is ready, None after the last; raises what ended the run."""
        while not self.ready:
            if self.finished:
                failure, self.failure = self.failure, None
                if failure is not None:
                    raise failure
                return None
            self._news.clear()
            await self._news.wait()
        if len(self.ready) <= self._count:
            self._room.set()
        return self.ready.popleft()

    def stop(self, because: MailOAuthError | None = None) -> None:
        """Take nothing more; only messages whose octets are on their way are waited for."""
        if because is not None and not self.finished:
            self._end(because)
        self._exhausted = self._desk.halted = True
        self._room.set()
        if not self._workers and self._task is not None:
            self._task.cancel()
        for worker, item in zip(self._workers, self._hands, strict=False):
            if item is None or not item.begun:
                worker.cancel()

    async def ended(self) -> None:
        """Wait for the end; cancelled, end at once, whatever is on its way."""
        if self._task is None:
            return
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    # The whole

    async def _whole(self) -> None:
        try:
            if self._journal is not None:
                await self._journal.open()
            await check_day(self._mailer, self._intake, self._journal)
            for number in range(self._count):
                self._workers.append(asyncio.ensure_future(self._work(number)))
            await asyncio.wait(self._workers)
            if self._desk.unsent and self.failure is not None and self._desk.broken is None:
                self.failure = stopped(self.failure, self._desk.sent, self._desk.unsent)
        except Exception as error:  # noqa: BLE001 - whoever consumes is told, after the receipts
            self._end(error)
        finally:
            await self._wind_up()

    async def _wind_up(self) -> None:
        try:
            for worker in self._workers:
                worker.cancel()
            if self._workers:
                await asyncio.wait(self._workers)
            if self._journal is not None:
                await self._journal.close()
        except MailOAuthError as error:
            self._end(error)
        finally:
            if self._journal is not None:
                self._journal.drop()  # where a cancellation came before the close

    def _over(self, task: asyncio.Task[None]) -> None:
        """Tell whoever consumes; called even if the task was cancelled before its first step."""
        _running.discard(task)
        self.finished = True
        self._news.set()

    def _end(self, error: BaseException) -> None:
        """Take nothing more from the input and raise the error in the end; the first one counts."""
        if self.failure is None:
            self.failure = error
        self._exhausted = True
        for worker in self._idle:  # an input may let them wait for hours; whoever calls goes on
            worker.cancel()

    def _stop_for_all(self, error: MailOAuthError) -> None:
        self._end(error)
        self._desk.halted = True

    # Each worker

    async def _work(self, number: int) -> None:
        while True:
            self._hands[number] = None
            try:
                item = self._hands[number] = await self._next_item()
                if item is None:
                    return
                due = await self._desk.deal_with(item)
                if due is not None:
                    heapq.heappush(self._later, (due, item.position, item))
            except Exception as error:  # noqa: BLE001 - raised when all that is under way has ended
                self._end(error)

    async def _next_item(self) -> Item | None:
        while True:
            await self._room.wait()
            if self._desk.halted:
                await self._give_up_repetitions()
                return None
            if self._later and self._later[0][0] <= self._pace.clock():
                return heapq.heappop(self._later)[2]
            if self._may_take():
                item = await self._take()
                if item is not None:
                    return item
                self._exhausted = True
            elif self._later:
                with self._as_idle():
                    await self._pace.sleep(self._later[0][0] - self._pace.clock())
            else:
                return None

    def _may_take(self) -> bool:
        if self._exhausted or len(self._later) >= _SET_ASIDE * self._count:
            return False
        # An async input may let us wait for long: one worker stays for what is to be repeated.
        return not self._later or not self._intake.awaits or self._taking < self._count - 1

    async def _take(self) -> Item | None:
        self._taking += 1
        try:
            with self._as_idle():
                return await self._intake.take()
        finally:
            self._taking -= 1

    @contextlib.contextmanager
    def _as_idle(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy: workers are tasks
        self._idle.add(task)
        try:
            yield
        finally:
            self._idle.discard(task)

    async def _give_up_repetitions(self) -> None:
        while self._later:
            await self._desk.give_up(heapq.heappop(self._later)[2])

    def _deliver(self, receipt: SendReceipt | Skipped) -> None:
        self.ready.append(receipt)
        if len(self.ready) >= self._count and not self._desk.halted:
            self._room.clear()  # once halted, nobody may make room any more
        self._news.set()
