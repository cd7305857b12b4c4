"""Mailer: sends from any thread; the blocking twin of ``AsyncMailer``."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from mailoauth.aio import Feed, run_on_loop
from mailoauth.mail.mailer import TIMEOUT, AsyncMailer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from email.message import Message as EmailMessage
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.mail.many import Progress
    from mailoauth.mail.receipt import SendReceipt
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


class Receipts:
    """What became of the messages of ``send_many``: an iterator of receipts.

    Leaving the loop early stops the run at the next :meth:`close`, or with its mailer.
    """

    def __init__(
        self, mailer: AsyncMailer, messages: Iterable[Any], options: dict[str, Any]
    ) -> None:
        # A list is counted beforehand, and may be looked at from another thread; what is
        # no input at all is said there.
        as_it_is = isinstance(messages, Collection) or not isinstance(messages, Iterable)
        self._feed: Feed[Any] = Feed(() if as_it_is else messages)
        self._receipts = mailer.send_many(messages if as_it_is else self._feed, **options)

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self._receipts.progress

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SendReceipt:
        try:
            return self._feed.serve(self._receipts.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop sending; what is being sent is waited for."""
        run_on_loop(self._receipts.aclose())


class Mailer:
    """Sends from any thread, on several connections at a time; connects at the first message.

    The blocking twin of ``AsyncMailer``, with the same options. One a process is
    enough, for its whole life; after a fork make a new one.
    """

    def __init__(
        self,
        account: Account | str,
        *,
        mailbox: str | None = None,
        tokens: TokenSource | None = None,
        timeout: float = TIMEOUT,
        deadline: float | None = None,
        connections: int | None = None,
    ) -> None:
        self._mailer = AsyncMailer(
            account,
            mailbox=mailbox,
            tokens=tokens,
            timeout=timeout,
            deadline=deadline,
            connections=connections,
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

    @property
    def address(self) -> str:
        """The mailbox that it sends from."""
        return self._mailer.address

    send = blocking(AsyncMailer.send)
    settle = blocking(AsyncMailer.settle)

    def send_many(
        self,
        messages: Iterable[EmailMessage | bytes | Mapping[str, Any]],
        *,
        connections: int | None = None,
        on_progress: Callable[[Progress], Any] | None = None,
        journal: str | os.PathLike[str] | None = None,
        key: Callable[[Any], str | None] | None = None,
    ) -> Receipts:
        """Send messages over several connections; see ``AsyncMailer.send_many``.

        The messages of an iterator are made in the thread that iterates over the receipts;
        ``on_progress`` and ``key`` are called in another and must not block.
        """
        self._used = True
        options = {
            "connections": connections,
            "on_progress": on_progress,
            "journal": journal,
            "key": key,
        }
        return Receipts(self._mailer, messages, options)

    def left_today(self) -> int | None:
        """Return how many more recipients the provider takes today, None if it sets no limit."""
        return self._mailer.left_today()

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
        """Say goodbye and close; waits for the messages that are being sent."""
        if self._pid != os.getpid():
            return
        if self._used:
            run_on_loop(self._mailer.aclose())
        else:
            self._mailer.shut()  # there is no connection, and no loop is started for it
