"""Mailer: sends from any thread; the blocking twin of ``AsyncMailer``."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mailoauth.aio import run_on_loop
from mailoauth.mail.mailer import TIMEOUT, AsyncMailer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import TokenSource

P = ParamSpec("P")
T = TypeVar("T")


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
