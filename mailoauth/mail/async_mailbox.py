"""AsyncMailbox: a Mailbox for programs that await, on a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mailoauth.aio import Worker, threaded
from mailoauth.errors import ConcurrentUse
from mailoauth.mail.line import HURRY
from mailoauth.mail.mailbox import TIMEOUT, Mailbox, interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.mail.message import Message
    from mailoauth.mail.reading import MessageIterator
    from mailoauth.tokens.token import TokenSource

_logger = logging.getLogger("mailoauth.mail")

P = ParamSpec("P")
T = TypeVar("T")


class AsyncMessageIterator:
    """Messages in UID order, awaited; the asynchronous twin of ``MessageIterator``."""

    def __init__(self, mailbox: AsyncMailbox, messages: MessageIterator) -> None:
        self._mailbox = mailbox
        self._messages = messages
        self._undelivered: Message | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = await self._mailbox.call(self._step)
        self._undelivered = None
        if message is None:
            raise StopAsyncIteration
        return message

    def _step(self) -> Message | None:
        # Kept until the task has it: one that was cancelled at this moment never saw it.
        if self._undelivered is None:
            self._undelivered = next(self._messages, None)
        return self._undelivered

    async def aclose(self) -> None:
        """End the iteration; the message in hand is not marked."""
        await self._mailbox.end(self._messages)


def iterated(
    verb: Callable[Concatenate[Any, P], MessageIterator],
) -> Callable[Concatenate[Any, P], AsyncMessageIterator]:
    """Make a verb that returns an iterator one that returns its asynchronous twin; does no I/O."""

    @functools.wraps(verb)
    def call(self: AsyncMailbox, /, *args: P.args, **options: P.kwargs) -> AsyncMessageIterator:
        return self.iterate(verb(self.twin, *args, **options))

    call.__qualname__ = f"Async{verb.__qualname__}"
    return call


class AsyncMailbox:
    """One mailbox, for any task of one event loop; calls are made in order.

    The options and verbs of ``Mailbox``, awaited; a thread of its own makes them.
    Cancelling a task ends its call at once, and the connection with it.
    """

    def __init__(
        self,
        account: Account | str,
        *,
        mailbox: str | None = None,
        tokens: TokenSource | None = None,
        timeout: float = TIMEOUT,
        deadline: float | None = None,
    ) -> None:
        self.twin = Mailbox(
            account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self._worker = Worker("mailoauth-imap")
        self._pid = os.getpid()
        self._settled = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.settle(failed=kind is not None, hurried=interrupted(kind))

    @property
    def account(self) -> Account:
        """Whose mailbox is opened."""
        return self.twin.account

    @property
    def address(self) -> str:
        """The mailbox."""
        return self.twin.address

    async def call(self, verb: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Make a blocking call on the mailbox's thread."""
        if self._pid != os.getpid():
            raise ConcurrentUse(
                f"The session of {self.address} belongs to the process before the fork.",
                remedy="Open a new one in each process.",
                account=self.account.name,
            )
        return await self._worker.call(verb, self.twin.interrupt, *args, **options)

    async def end(self, messages: MessageIterator) -> None:
        """End an iteration, behind the call that is under way: that may be using it."""
        if self._settled:
            messages.close()
        else:
            await self.call(messages.close)

    async def lend(self, verb: Callable[..., T], *args: Any, **options: Any) -> T:
        """Make a verb of the synchronous twin; see ``aio.threaded``."""
        return await self.call(verb, self.twin, *args, **options)

    def iterate(self, messages: MessageIterator) -> AsyncMessageIterator:
        """Lend an iterator of the synchronous twin; see :func:`iterated`."""
        return AsyncMessageIterator(self, messages)

    def close(self) -> None:
        """End whatever is under way; from any thread or signal handler. See ``Mailbox.close``."""
        self.twin.close()

    async def settle(self, *, failed: bool = False, hurried: bool = False) -> None:
        """Write what is outstanding, log out and close; see ``Mailbox.settle``."""
        try:
            # The thread may be where nothing can wake it: in a connect, or in the DNS.
            async with asyncio.timeout(2 * HURRY if hurried else None):
                await self.lend(Mailbox.settle, failed=failed, hurried=hurried)
        except TimeoutError:
            _logger.warning("the session of %s was left without a goodbye", self.address)
        finally:
            self._settled = True
            self._worker.stop()

    unseen = iterated(Mailbox.unseen)
    search = iterated(Mailbox.search)
    mark_seen = threaded(Mailbox.mark_seen)
    mark_unseen = threaded(Mailbox.mark_unseen)
    flag = threaded(Mailbox.flag)
    unflag = threaded(Mailbox.unflag)
    move = threaded(Mailbox.move)
    copy = threaded(Mailbox.copy)
    delete = threaded(Mailbox.delete)
    append = threaded(Mailbox.append)
    folders = threaded(Mailbox.folders)
    special = threaded(Mailbox.special)
    create_folder = threaded(Mailbox.create_folder)
    rename_folder = threaded(Mailbox.rename_folder)
    delete_folder = threaded(Mailbox.delete_folder)
    subscribe = threaded(Mailbox.subscribe)
    unsubscribe = threaded(Mailbox.unsubscribe)
    save = threaded(Mailbox.save)
    attachments = threaded(Mailbox.attachments)
    save_attachment = threaded(Mailbox.save_attachment)
