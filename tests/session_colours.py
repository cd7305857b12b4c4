"""One test for both colours: a ``MailSession``, and an ``AsyncMailSession`` with the same face."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from mailoauth import AsyncMailSession, MailSession
from tests.judges import TIMEOUT, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from mailoauth import Folder, Message, SendReceipt
    from mailoauth.accounts import Account
    from mailoauth.mail.async_mailbox import AsyncMessageIterator
    from tests.judges import Colour, Judge

ADA = "ada@example.com"

T = TypeVar("T")


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
        headers_only: bool = ...,
    ) -> Iterator[Message]: ...
    def search(
        self,
        *,
        folder: str = ...,
        mark_seen: bool = ...,
        limit: int | None = ...,
        newest_first: bool = ...,
        headers_only: bool = ...,
        **criteria: Any,
    ) -> Iterator[Message]: ...
    def mark_seen(self, messages: Message | Iterable[Message]) -> None: ...
    def mark_unseen(self, messages: Message | Iterable[Message]) -> None: ...
    def flag(self, messages: Message | Iterable[Message], *, flag: str = ...) -> None: ...
    def move(self, messages: Message | Iterable[Message], folder: str) -> None: ...
    def copy(self, messages: Message | Iterable[Message], folder: str) -> None: ...
    def delete(self, messages: Message | Iterable[Message], *, permanently: bool = ...) -> None: ...
    def append(self, message: Any, folder: str) -> int | None: ...
    def folders(self) -> list[Folder]: ...
    def create_folder(self, name: str) -> None: ...
    def save(self, message: Message, path: Path) -> Path: ...
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

    def flag(self, messages: Message | Iterable[Message], *, flag: str = "\\Flagged") -> None:
        self._wait(self._session.flag(messages, flag=flag))

    def move(self, messages: Message | Iterable[Message], folder: str) -> None:
        self._wait(self._session.move(messages, folder))

    def copy(self, messages: Message | Iterable[Message], folder: str) -> None:
        self._wait(self._session.copy(messages, folder))

    def delete(self, messages: Message | Iterable[Message], *, permanently: bool = False) -> None:
        self._wait(self._session.delete(messages, permanently=permanently))

    def append(self, message: Any, folder: str) -> int | None:
        return self._wait(self._session.append(message, folder))

    def folders(self) -> list[Folder]:
        return self._wait(self._session.folders())

    def create_folder(self, name: str) -> None:
        self._wait(self._session.create_folder(name))

    def save(self, message: Message, path: Path) -> Path:
        return self._wait(self._session.save(message, path))

    def send(self, message: Any = None, **parts: Any) -> SendReceipt:
        return self._runner.run(self._session.send(message, **parts))

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)


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
