"""Fakes for what the token policy stands on: a clock, an identity service, a source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mailoauth.tokens.token import AccessToken, Grant, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IDENTITY = Identity(
    authority="https://login.example.com/common",
    tenant="common",
    client_id="client",
    user="ada@example.com",
    scopes=("https://outlook.office.com/IMAP.AccessAsUser.All",),
)


class Clock:
    """Wall-clock time that the test moves."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeRefresher:
    """An identity service in memory: hands out access-1, access-2, ... or raises what it is told."""

    def __init__(
        self,
        *,
        identity: Identity = IDENTITY,
        durable: bool = True,
        expires_in: float | None = 3600,
    ) -> None:
        self.identity = identity
        self.durable = durable
        self.expires_in = expires_in
        self.refresh_tokens: list[str | None] = []
        self.fail_with: Exception | None = None
        self.before_answer: Callable[[], object] = lambda: None
        self.value: str | None = None
        self.rotates = True
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        return len(self.refresh_tokens)

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        with self._lock:
            self.refresh_tokens.append(refresh_token)
            number = len(self.refresh_tokens)
        self.before_answer()
        if self.fail_with is not None:
            raise self.fail_with
        return Grant(
            access_token=self.value or f"access-{number}",
            expires_in=self.expires_in,
            refresh_token=f"refresh-{number}" if self.rotates else None,
            scopes=self.identity.scopes,
        )


def first_grant(expires_in: float | None = 3600) -> Grant:
    """What a sign-in brings."""
    return Grant(
        access_token="access-0",
        expires_in=expires_in,
        refresh_token="refresh-0",
        username="ada@example.com",
        extra={"instance_url": "https://example.com"},
    )


class ScriptedSource:
    """A plain token source: hands out its values in turn, the last one for ever."""

    def __init__(self, *values: str) -> None:
        self.values = list(values)
        self.asked: list[str | None] = []

    def get(self, rejected: AccessToken | None = None) -> AccessToken:
        self.asked.append(rejected.value if rejected else None)
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        return AccessToken(value, generation=len(self.asked))
