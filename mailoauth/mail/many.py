"""AsyncReceipts: many messages sent, and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from mailoauth.errors import ConcurrentUse, ConfigError, DeliveryUnknown, MailOAuthError
from mailoauth.mail.mailing.desk import Skipped
from mailoauth.mail.mailing.intake import Intake
from mailoauth.mail.mailing.pace import Pace
from mailoauth.mail.mailing.run import Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

    from mailoauth.mail.mailing.desk import Submitter
    from mailoauth.mail.mailing.journal import Journal
    from mailoauth.mail.receipt import SendReceipt

    OnProgress = Callable[["Progress"], Awaitable[object] | object]


class Progress(NamedTuple):
    """How far a run is: ``done`` is all of the others together, ``total`` None if not known.

    ``partly`` went to some of their recipients, ``skipped`` were done with by an earlier run.
    """

    done: int = 0
    sent: int = 0
    partly: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    total: int | None = None


class AsyncReceipts:
    """Sends as it is iterated over, and gives a receipt for each message as it is done.

    A failure is a receipt with an ``error``. A loop that is left should be followed by
    :meth:`aclose`; iterating on after that gives the receipts that there are, then ends.
    One task at a time.

    What ``on_progress`` raises is raised here. It ends the run, and it is not called again;
    the receipt that it was called for is the next that is given.

    What ends the run is raised after the last receipt: an exception of the input or of
    ``key``, ``StoreError`` of the journal, and ``Throttled`` where the day's limit is reached.
    """

    def __init__(
        self,
        mailer: Submitter,
        messages: Iterable[Any] | AsyncIterable[Any],
        *,
        connections: int | None = None,
        on_progress: OnProgress | None = None,
        journal: str | os.PathLike[str] | None = None,
        key: Callable[[Any], str | None] | None = None,
        pace: Pace | None = None,
    ) -> None:
        if connections is not None and connections < 1:
            raise ConfigError(f"connections is {connections}.", remedy="It is 1 at least.")
        intake = Intake(messages, key)
        most = mailer.connections
        self._run = Run(
            mailer,
            intake,
            workers=most if connections is None else min(connections, most),
            journal=_journal(mailer, journal, keyed=key is not None),
            pace=pace or Pace(),
        )
        self._progress = Progress(total=intake.total)
        self._on_progress = on_progress
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = False
        self._closed = False
        self._held: SendReceipt | None = None  # counted, and not given out yet
        self._pid = os.getpid()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SendReceipt:
        self._check()
        self._asked = True
        try:
            return await self._next()
        finally:
            self._asked = False

    @property
    def progress(self) -> Progress:
        """How far the run is, counting the receipts that were given out."""
        return self._progress

    async def aclose(self, because: MailOAuthError | None = None) -> None:
        """End the run; waits for the messages whose octets are on their way, sends no others.

        Whoever still iterates is given the receipts that there are, and then, with
        ``because``, that error. Cancelled, it waits for nothing: such messages are unknown
        then.
        """
        self._closed = self._closed or because is None
        if self._loop is None or self._pid != os.getpid():
            self._closed = True
            return
        self._run.stop(because)
        await self._run.ended()

    def shut(self, because: MailOAuthError | None = None) -> None:
        """Do the same without waiting; from any thread or signal handler, takes no lock."""
        loop = getattr(self, "_loop", None)  # none where __init__ has raised
        if loop is None or self._run.finished or self._pid != os.getpid():
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the tasks
            loop.call_soon_threadsafe(self._run.stop, because)

    def __del__(self) -> None:
        self.shut()

    async def _next(self) -> SendReceipt:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if self._loop is None and not self._closed:
            self._loop = asyncio.get_running_loop()
            self._run.start()
        while (done := await self._next_done()) is not None:
            self._count(done)
            try:
                await self._tell()
            except BaseException:
                self._on_progress = None
                self._held = None if isinstance(done, Skipped) else done
                await self.aclose()
                raise
            if not isinstance(done, Skipped):
                return done
        self._closed = True
        raise StopAsyncIteration

    async def _next_done(self) -> SendReceipt | Skipped | None:
        if self._loop is None:  # closed before it began
            return None
        try:
            return await self._run.next()
        except Exception:
            if self._closed:  # whoever ended the run is not told why it ended
                return None
            raise

    async def _tell(self) -> None:
        if self._on_progress is not None:
            result = self._on_progress(self._progress)
            if inspect.isawaitable(result):
                await result

    def _count(self, done: SendReceipt | Skipped) -> None:
        field = _kind(done)
        counts = self._progress
        self._progress = counts._replace(
            **{"done": counts.done + 1, field: getattr(counts, field) + 1}
        )

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise ConcurrentUse(
                "These receipts belong to the process before the fork.",
                remedy="Call send_many() in each process, with a journal of its own.",
            )
        if self._asked or self._loop not in {None, asyncio.get_running_loop()}:
            raise ConcurrentUse(
                "Two tasks ask for the next receipt at the same time, or two event loops do.",
                remedy="Iterate in one task, and hand the receipts on from there.",
            )


def _kind(done: SendReceipt | Skipped) -> str:
    if isinstance(done, Skipped):
        return "skipped"
    if done.error is not None:
        return "unknown" if isinstance(done.error, DeliveryUnknown) else "failed"
    return "partly" if done.refused else "sent"


def _journal(
    mailer: Submitter, path: str | os.PathLike[str] | None, *, keyed: bool
) -> Journal | None:
    if path is None:
        return None
    from mailoauth.mail.mailing.journal import Journal  # noqa: PLC0415 - most runs have none

    return Journal(path, account=mailer.account.name, mailbox=mailer.address, keyed=keyed)
