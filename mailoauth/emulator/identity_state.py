"""What the identity service knows: people, clients, grants and tokens; no HTTP."""

from __future__ import annotations

import base64
import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from mailoauth.emulator.identity_replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

Rotation = Literal["microsoft", "strict", "none"]

#: OpenID Connect's own scopes; they name no resource.
IDENTITY_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
AUDIENCES = {
    "outlook.office.com": "outlook",
    "outlook.office365.com": "outlook",
    "graph.microsoft.com": "graph",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in; ``upn`` is the sign-in name where it is not the address."""

    address: str
    upn: str

    @property
    def object_id(self) -> str:
        """The directory's id of the person."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{self.address.casefold()}"))


@dataclass(frozen=True, slots=True)
class Client:
    """An app registration that has to prove itself."""

    client_id: str
    secret: str | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Family:
    """One sign-in and all that came of it; what ends it, ends every token of it."""

    person: Person
    client_id: str | None
    scopes: tuple[str, ...]
    nonce: str = ""
    ended_by: int | None = None


@dataclass(slots=True)
class RefreshToken:
    """A refresh token; ``used`` counts where rotation is strict."""

    family: Family
    used: bool = False


@dataclass(slots=True)
class IssuedToken:
    """An access token as the servers see it."""

    holder: str
    audience: str
    scopes: tuple[str, ...]
    expires_at: float
    family: Family | None
    ended: bool = False

    @property
    def lives(self) -> bool:
        """Whether a server should accept it now."""
        ended = self.ended or (self.family is not None and self.family.ended_by is not None)
        return not ended and time.time() < self.expires_at


class Directory:
    """The people, the clients and every token; all methods are safe from any thread."""

    def __init__(self, *, token_life: float, rotation: Rotation, token_size: int) -> None:
        self.token_life = token_life
        self.rotation: Rotation = rotation
        self.token_size = token_size
        self._lock = threading.RLock()
        self._people: dict[str, Person] = {}
        self._clients: dict[str, Client] = {}
        self._access: dict[str, IssuedToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    def add_person(self, person: Person) -> None:
        """Make the person known by address and by sign-in name."""
        with self._lock:
            self._people[person.address.casefold()] = person
            self._people[person.upn.casefold()] = person

    def person(self, name: str) -> Person | None:
        """Return who has this address or sign-in name."""
        with self._lock:
            return self._people.get(name.strip().casefold())

    def people(self) -> list[Person]:
        """Return everybody once."""
        with self._lock:
            return list(dict.fromkeys(self._people.values()))

    def add_client(self, client: Client) -> None:
        """Register a client that has to prove itself from now on."""
        with self._lock:
            self._clients[client.client_id] = client

    def client(self, client_id: str) -> Client | None:
        """Return the registration, None for a public client."""
        with self._lock:
            return self._clients.get(client_id)

    def new_access(
        self, holder: str, scopes: tuple[str, ...], family: Family | None = None
    ) -> tuple[str, IssuedToken]:
        """Issue an access token for the one resource that the scopes name."""
        value = opaque("EwB", self.token_size)
        until = time.time() + self.token_life
        token = IssuedToken(holder, audience_of(scopes), scopes, until, family)
        with self._lock:
            self._access[value] = token
        return value, token

    def new_refresh(self, family: Family) -> str:
        """Issue a refresh token of the family."""
        value = opaque("M.C5", 420)
        with self._lock:
            self._refresh[value] = RefreshToken(family)
        return value

    def use_refresh(self, value: str, client_id: str) -> Family:
        """Return the family of a refresh token, which is used up where rotation is strict."""
        with self._lock:
            token = self._refresh.get(value)
            if token is None:
                raise Refusal(70000)
            family = token.family
            if family.client_id not in {None, client_id}:
                raise Refusal(70000, suberror="client_mismatch")
            if family.ended_by is not None:
                raise Refusal(family.ended_by)
            if self.rotation == "strict":
                if token.used:
                    # RFC 9700 section 4.14.2: somebody else may have the token.
                    family.ended_by = 70000
                    raise Refusal(70000)
                token.used = True
            return family

    def access(self, value: str) -> IssuedToken | None:
        """Return the access token of this value, alive or not."""
        with self._lock:
            return self._access.get(value)

    def end_access(self, person: Person | None = None) -> None:
        """End the access tokens issued so far, of everybody or of one person."""
        with self._lock:
            for token in self._access.values():
                if person is None or (token.family and token.family.person == person):
                    token.ended = True

    def end_families(self, person: Person, number: int) -> None:
        """End every sign-in of the person, for the reason of that AADSTS number."""
        with self._lock:
            for token in self._refresh.values():
                if token.family.person == person and token.family.ended_by is None:
                    token.family.ended_by = number
            self.end_access(person)


def opaque(prefix: str, size: int) -> str:
    """Return a token of that many characters, base64 with its awkward ones."""
    noise = base64.b64encode(secrets.token_bytes(size)).decode()
    return (prefix + noise)[:size]


def audience_of(scopes: Iterable[str]) -> str:
    """Return which resource the scopes are of; a scope without one means Graph."""
    audiences = {_audience(scope) for scope in scopes if scope not in IDENTITY_SCOPES}
    if len(audiences) > 1:
        raise Refusal(700022)
    return audiences.pop() if audiences else "graph"


def check_scopes(scopes: tuple[str, ...], *, one_resource: bool = True) -> None:
    """Raise the refusal that Entra has for such scopes."""
    named = [scope for scope in scopes if scope not in IDENTITY_SCOPES]
    if not scopes:
        raise Refusal(900144, "'scope'.")
    defaults = [scope for scope in named if scope.endswith("/.default")]
    if defaults and len(named) > len(defaults):
        raise Refusal(70011)
    if one_resource:
        audience_of(named)


def _audience(scope: str) -> str:
    address = urlsplit(scope)
    if not address.scheme:
        return "graph"
    host = address.hostname or ""
    return AUDIENCES.get(host, host)
