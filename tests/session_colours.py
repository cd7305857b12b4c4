"""One test for both colours: a ``MailSession``, and an ``AsyncMailSession`` with the same face."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self

from mailoauth import AsyncMailSession, MailSession
from tests.judges import TIMEOUT, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator
    from types import TracebackType

    from mailoauth import Message, SendReceipt
    from mailoauth.accounts import Account
    from mailoauth.mail.async_mailbox import AsyncMessageIterator
    from tests.judges import Colour, Judge

ADA = "ada@example.com"


class Session(Protocol):
    """What a test does with a session of either colour."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def unseen(
        self,
        *,
        folder: str = ...,
        mark_seen: bool = ...,
        limit: int | None = ...,
        newest_first: bool = ...,
    ) -> Iterator[Message]: ...
    def search(
        self,
        *,
        folder: str = ...,
        mark_seen: bool = ...,
        limit: int | None = ...,
        newest_first: bool = ...,
    ) -> Iterator[Message]: ...
    def mark_seen(self, messages: Message | Iterable[Message]) -> None: ...
    def mark_unseen(self, messages: Message | Iterable[Message]) -> None: ...
    def flag(self, messages: Message | Iterable[Message]) -> None: ...
    def send(self, message: Any = ..., **parts: Any) -> SendReceipt: ...


class AwaitedSession:
    """An ``AsyncMailSession`` whose every verb is run on one event loop and waited for."""

    def __init__(self, account: Account | str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        try:
            self._session = self._runner.run(self._make(account, options))
        except BaseException:
            self._runner.close()
            raise

    async def _make(self, account: Account | str, options: dict[str, Any]) -> AsyncMailSession:
        return AsyncMailSession(account, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._runner as runner:
            runner.run(self._session.__aexit__(kind, error, trace))

    def unseen(self, **options: Any) -> Iterator[Message]:
        return AwaitedMessages(self._runner, self._session.unseen(**options))

    def search(self, **options: Any) -> Iterator[Message]:
        return AwaitedMessages(self._runner, self._session.search(**options))

    def mark_seen(self, messages: Message | Iterable[Message]) -> None:
        self._wait(self._session.mark_seen(messages))

    def mark_unseen(self, messages: Message | Iterable[Message]) -> None:
        self._wait(self._session.mark_unseen(messages))

    def flag(self, messages: Message | Iterable[Message]) -> None:
        self._wait(self._session.flag(messages))

    def send(self, message: Any = None, **parts: Any) -> SendReceipt:
        return self._runner.run(self._session.send(message, **parts))

    def _wait(self, call: Coroutine[Any, Any, None]) -> None:
        self._runner.run(call)


class AwaitedMessages:
    """An asynchronous iterator that is waited for."""

    def __init__(self, runner: asyncio.Runner, messages: AsyncMessageIterator) -> None:
        self._runner = runner
        self._messages = messages

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            return self._runner.run(self._messages.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None


def session_of(judge: Judge, colour: Colour, **options: Any) -> Session:
    """Return Ada's session, signed in unless ``tokens`` or ``account`` say otherwise."""
    account = options.pop("account", None) or judge.account(ADA)
    options.setdefault("tokens", signed_in_source(judge, account, holder=account.user or ADA))
    options.setdefault("timeout", TIMEOUT)
    kind: Any = MailSession if colour == "sync" else AwaitedSession
    session: Session = kind(account, **options)
    return session
