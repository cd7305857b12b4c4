"""What the emulator and the real servers have in common, and the two colours of clients."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mailoauth import AsyncMailSession, MailSession, MemoryStore, TokenCache
from mailoauth.tokens.source import LazyRefresher, identity_of
from mailoauth.tokens.token import Grant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from mailoauth.accounts import Account, Endpoint
    from mailoauth.emulator.identity import IdentityService
    from mailoauth.emulator.identity_app import TokenRequest
    from mailoauth.emulator.records import Connection

Wire = Literal["imap", "smtp"]
Colour = Literal["sync", "async"]

#: Seconds that a client waits for a silent server; short, because tests wait it out.
TIMEOUT = 3.0


class Stored(Protocol):
    """A message in a mailbox."""

    @property
    def raw(self) -> bytes: ...
    @property
    def flags(self) -> Collection[str]: ...


class Judge(Protocol):
    """A mail server with an identity service: the emulator, or Dovecot and Postfix."""

    identity: IdentityService

    @property
    def imap(self) -> Endpoint: ...
    @property
    def smtp(self) -> Endpoint: ...
    @property
    def ca_file(self) -> Path: ...
    @property
    def token_requests(self) -> Sequence[TokenRequest]: ...
    @property
    def connections(self) -> list[Connection]: ...
    def account(self, address: str) -> Account: ...
    def deliver(self, address: str, message: EmailMessage | bytes) -> int: ...
    def messages(self, address: str, folder: str = "INBOX") -> Sequence[Stored]: ...
    def expire_tokens(self) -> None: ...
    def disconnect(self, protocol: Wire | None = None) -> None: ...
    def browser(self, url: str) -> bool: ...


class MovedClock:
    """The wall clock, set ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def signed_in_source(
    judge: Judge, account: Account, *, holder: str = "ada@example.com", clock: Any = time.time
) -> TokenCache:
    """Return a source with tokens as a sign-in of ``holder`` would have brought them."""
    access, refresh = judge.identity.issue(holder)
    source = TokenCache(
        LazyRefresher(account, identity_of(account)),
        MemoryStore(),
        account=account.name,
        clock=clock,
    )
    source.adopt(
        Grant(
            access_token=access,
            expires_in=3600,
            refresh_token=refresh,
            username=account.user,
        )
    )
    return source


def note(subject: str, to: str = "ada@example.com") -> bytes:
    """Return a small message."""
    return (
        f"From: bob@example.com\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.com>\r\n\r\nbody of {subject}\r\n"
    ).encode()


class SyncClient:
    """A ``MailSession`` driven by a test."""

    def __init__(self, account: Account, tokens: TokenCache) -> None:
        self._session = MailSession(account, tokens=tokens, timeout=TIMEOUT)

    def use(self, wire: Wire) -> list[str | None]:
        """Read the unseen subjects, or send one message."""
        if wire == "imap":
            return [message.subject for message in self._session.unseen()]
        self._session.send(to="ada@example.com", subject="sent", text="text")
        return ["sent"]

    def end(self) -> None:
        self._session.__exit__(None, None, None)


class AsyncClient:
    """An ``AsyncMailSession`` driven by a test."""

    def __init__(self, account: Account, tokens: TokenCache) -> None:
        self._runner = asyncio.Runner()
        self._session = self._runner.run(self._open(account, tokens))

    async def _open(self, account: Account, tokens: TokenCache) -> AsyncMailSession:
        return AsyncMailSession(account, tokens=tokens, timeout=TIMEOUT)

    def use(self, wire: Wire) -> list[str | None]:
        """Read the unseen subjects, or send one message."""
        return self._runner.run(self._use(wire))

    async def _use(self, wire: Wire) -> list[str | None]:
        if wire == "imap":
            return [message.subject async for message in self._session.unseen()]
        await self._session.send(to="ada@example.com", subject="sent", text="text")
        return ["sent"]

    def end(self) -> None:
        self._runner.run(self._session.__aexit__(None, None, None))
        self._runner.close()


Client = SyncClient | AsyncClient


def client(colour: Colour, account: Account, tokens: TokenCache) -> Client:
    """Return a client of the colour."""
    return SyncClient(account, tokens) if colour == "sync" else AsyncClient(account, tokens)
