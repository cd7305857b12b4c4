"""What a token is, what is kept about it, and the protocols around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

#: Where a token was used: the protocol and the mailbox, ``"imap ada@example.com"``.
Place = str

RecordState = Literal["ready", "expired", "sign_in_required", "none"]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token as a server is given it.

    ``expires_at`` is wall-clock time in seconds since the epoch, None where the
    provider does not say (RFC 6749 section 5.1): then it is good until refused.
    ``generation`` counts the tokens of one record: a higher one is a later one.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """To whom a token record belongs: never to a mailbox, never to an account's name.

    Two accounts with the same identity share one record. ``client_id`` and
    ``authority`` are as configured; ``user`` is case-folded, or "app".
    """

    authority: str
    tenant: str
    client_id: str
    user: str
    scopes: tuple[str, ...]

    @property
    def key(self) -> str:
        """The record's name in a store: 64 hexadecimal digits."""
        import hashlib  # noqa: PLC0415 - not needed to import mailoauth

        parts = (self.authority, self.tenant, self.client_id, self.user, *sorted(self.scopes))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """What an identity service handed out: the reply to a sign-in or a refresh.

    ``expires_in`` is in seconds, None where the reply had none. ``username`` is
    who signed in, by the id token (``preferred_username``, else ``email`` or ``upn``).
    ``discovered`` is what was found out on the way and must stay the same from
    then on: ``token_endpoint``, ``tid``, ``oid``. ``extra`` keeps every other key
    of the reply, so that nothing of an imported file is lost.
    """

    access_token: str = field(repr=False)
    expires_in: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    username: str | None = None
    discovered: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@runtime_checkable
class TokenSource(Protocol):
    """Whatever can produce an access token."""

    def get(self, rejected: AccessToken | None = None) -> AccessToken:
        """Return a token, a later one than ``rejected`` if that is given; blocks."""
        ...


class TokenStore(Protocol):
    """Keeps opaque bytes under a key of 64 hexadecimal digits; must be safe across threads."""

    def load(self, key: str) -> bytes | None:
        """Return what was saved last, whole, or None."""
        ...

    def save(self, key: str, data: bytes) -> None:
        """Keep the data durably before returning; readers see the old or the new, never a mix."""
        ...

    def delete(self, key: str) -> None:
        """Forget the key; not an error if there is none."""
        ...

    def list(self) -> Sequence[str]:
        """Return the keys that have data."""
        ...

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Exclude every other thread and process that asks for the same key.

        It is freed when its holder's process dies.
        """
        ...


class Refresher(Protocol):
    """Gets a new grant from the identity service of one identity."""

    @property
    def identity(self) -> Identity:
        """Whose record it refreshes."""
        ...

    @property
    def durable(self) -> bool:
        """Whether the record must outlive the process.

        A user's must; an app's may stay in memory.
        """
        ...

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        """Ask for a new grant; blocks on the network, for at most its own time-out.

        Raises ``SignInRequired`` only where the identity service said that a person
        must sign in again, ``ConnectionFailed`` for what may pass by itself,
        ``Throttled`` with the wait, ``ConfigError`` where the registration is wrong
        and where ``discovered`` does not fit what is configured.
        """
        ...
