"""The sessions: a mailbox and a mailer for one account, in both colours.

``MailSession`` blocks and is for one thread; ``AsyncMailSession`` awaits and takes calls
from any task of its loop, in order. ``Mailer`` sends from any thread.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mailoauth.accounts import load_account
from mailoauth.aio import run_on_loop
from mailoauth.mail.async_mailbox import AsyncMailbox
from mailoauth.mail.mailbox import TIMEOUT, Mailbox, interrupted
from mailoauth.mail.mailer import AsyncMailer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import TokenSource

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["AsyncMailSession", "AsyncMailbox", "MailSession", "Mailer"]


def lent(
    verb: Callable[Concatenate[Any, P], T], *, by: str = "mailbox"
) -> Callable[Concatenate[Any, P], T]:
    """Make a verb of a session's mailbox or mailer one of the session, signature and help kept."""

    @functools.wraps(verb)
    def call(self: Any, /, *args: P.args, **options: P.kwargs) -> T:
        return verb(getattr(self, by), *args, **options)

    call.__qualname__ = verb.__name__
    return call


def blocking(
    verb: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """Make a verb of the asynchronous mailer one that blocks, signature and help kept."""

    @functools.wraps(verb)
    def call(self: Mailer, /, *args: P.args, **options: P.kwargs) -> T:
        return self.lend(verb, *args, **options)

    call.__qualname__ = f"Mailer.{verb.__name__}"
    return call


class Mailer:
    """Sends from any thread, one message after the other; connects at the first.

    The blocking twin of ``AsyncMailer``, with the same options. One a process is
    enough; after a fork make a new one.
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
        self._mailer = AsyncMailer(
            account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self._pid = os.getpid()
        self._used = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._mailer.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def account(self) -> Account:
        """Whose mailer it is."""
        return self._mailer.account

    send = blocking(AsyncMailer.send)

    def lend(self, verb: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> T:
        """Run a verb of the asynchronous twin on the loop thread; see :func:`blocking`."""
        self._used = True
        return run_on_loop(verb(self._mailer, *args, **options))

    def shut(self) -> None:
        """End whatever is under way, for good; from any thread or signal handler, takes no lock.

        A message that had been handed over by then is ``DeliveryUnknown``.
        """
        self._mailer.shut()

    def close(self) -> None:
        """Say goodbye and close; waits for a message that is being sent."""
        if self._pid != os.getpid():
            return
        if self._used:
            run_on_loop(self._mailer.aclose())
        else:
            self._mailer.shut()  # there is no connection, and no loop is started for it


class MailSession:
    """Reads and sends mail for one account, from one thread; connects at the first verb.

    ::

        with MailSession("ada@example.com") as mail:
            for message in mail.unseen():
                print(message.subject)
            mail.send(to="bob@example.com", subject="Report", text="...")

    ``mailbox`` opens another mailbox with the same token; ``tokens`` is any object with
    ``get(rejected=None)``. ``timeout`` bounds one network step, ``deadline`` one whole
    call, in seconds.
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
        self.account = load_account(account) if isinstance(account, str) else account
        self.mailbox = Mailbox(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self.mailer = Mailer(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mailbox.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.mailbox.settle(failed=kind is not None, hurried=interrupted(kind))
        finally:
            self.mailer.close()

    unseen = lent(Mailbox.unseen)
    search = lent(Mailbox.search)
    mark_seen = lent(Mailbox.mark_seen)
    mark_unseen = lent(Mailbox.mark_unseen)
    flag = lent(Mailbox.flag)
    unflag = lent(Mailbox.unflag)
    send = lent(Mailer.send, by="mailer")

    def close(self) -> None:
        """End whatever is under way; from any thread or signal handler. See ``Mailbox.close``."""
        self.mailbox.close()
        self.mailer.shut()


class AsyncMailSession:
    """Reads and sends mail for one account, from any task of one event loop.

    The verbs of ``MailSession``, awaited; the options are the same::

        async with AsyncMailSession("ada@example.com") as mail:
            async for message in mail.unseen():
                print(message.subject)
            await mail.send(to="bob@example.com", subject="Report", text="...")
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
        self.account = load_account(account) if isinstance(account, str) else account
        self.mailbox = AsyncMailbox(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self.mailer = AsyncMailer(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mailbox.address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.mailbox.settle(failed=kind is not None, hurried=interrupted(kind))
        finally:
            await self.mailer.aclose()

    unseen = lent(AsyncMailbox.unseen)
    search = lent(AsyncMailbox.search)
    mark_seen = lent(AsyncMailbox.mark_seen)
    mark_unseen = lent(AsyncMailbox.mark_unseen)
    flag = lent(AsyncMailbox.flag)
    unflag = lent(AsyncMailbox.unflag)
    send = lent(AsyncMailer.send, by="mailer")

    def close(self) -> None:
        """End whatever is under way; from any thread or signal handler. See ``Mailbox.close``."""
        self.mailbox.close()
        self.mailer.shut()
