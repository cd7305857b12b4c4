"""One token record: what is kept, sealed, about one signed-in identity."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import StoreError
from mailoauth.tokens.token import AccessToken, RecordState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.tokens.token import Grant, Place

#: Written into every record. A higher number was written by a later mailoauth.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Note:
    """A refusal that the replacement did not cure: which token, where, and when."""

    generation: int
    place: Place
    time: float


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The latest grant of one identity; times are wall-clock seconds since the epoch.

    ``sign_in_required`` holds what the identity service said when it asked for a
    person, "" while all is well. ``extra`` are the keys of the reply (or of an
    imported file) that nothing here reads; ``unknown`` are keys of the record
    itself that a later version wrote. Both survive every rewrite.
    """

    access_token: str = field(repr=False)
    obtained_at: float
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    refresh_token: str | None = field(default=None, repr=False)
    generation: int = 1
    username: str | None = None
    discovered: Mapping[str, str] = field(default_factory=dict)
    sign_in_required: str = ""
    note: Note | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def token(self) -> AccessToken:
        """The access token as callers get it."""
        return AccessToken(self.access_token, self.expires_at, self.scopes, self.generation)

    def lives(self, now: float, margin: float = 0.0) -> bool:
        """Whether the token has more than ``margin`` seconds left, capped at half its life."""
        if self.expires_at is None:
            return True
        margin = min(margin, max(self.expires_at - self.obtained_at, 0.0) / 2)
        return now < self.expires_at - margin

    def state(self, now: float) -> RecordState:
        """Say how the record stands, in the word that `mailoauth accounts` prints."""
        if self.sign_in_required:
            return "sign_in_required"
        return "ready" if self.lives(now) or self.refresh_token else "expired"

    def _user_after(self, grant: Grant) -> str | None:
        # A user may be renamed, but somebody else's name never takes the place.
        oid = self.discovered.get("oid")
        same = oid is not None and oid == grant.discovered.get("oid")
        return (grant.username if same else None) or self.username or grant.username

    def renewed(self, grant: Grant, now: float, floor: int = 0) -> TokenRecord:
        """Return the record that follows a grant: new refresh token if there is one, else the old.

        A note and a required sign-in end with it, since it is a later generation.
        """
        return replace(
            from_grant(grant, now, max(self.generation, floor) + 1),
            refresh_token=grant.refresh_token or self.refresh_token,
            scopes=grant.scopes or self.scopes,
            username=self._user_after(grant),
            discovered={**self.discovered, **grant.discovered},
            extra={**self.extra, **grant.extra},
            unknown=self.unknown,
        )


class DamagedRecord(StoreError):
    """What opened with the key is not a token record; a sign-in may replace it."""


def from_grant(grant: Grant, now: float, generation: int = 1) -> TokenRecord:
    """Make the first record of an identity."""
    return TokenRecord(
        access_token=grant.access_token,
        obtained_at=now,
        expires_at=None if grant.expires_in is None else now + grant.expires_in,
        scopes=grant.scopes,
        refresh_token=grant.refresh_token,
        generation=generation,
        username=grant.username,
        discovered=dict(grant.discovered),
        extra=dict(grant.extra),
    )


def to_bytes(record: TokenRecord) -> bytes:
    """Serialise a record as JSON, for sealing."""
    note = record.note
    return json.dumps(
        {
            **record.unknown,
            "format": FORMAT,
            "access_token": record.access_token,
            "obtained_at": record.obtained_at,
            "expires_at": record.expires_at,
            "scopes": list(record.scopes),
            "refresh_token": record.refresh_token,
            "generation": record.generation,
            "username": record.username,
            "discovered": dict(record.discovered),
            "sign_in_required": record.sign_in_required,
            "note": note
            and {"generation": note.generation, "place": note.place, "time": note.time},
            "extra": dict(record.extra),
        }
    ).encode()


_KEYS: Final = frozenset(
    [
        "format",
        "access_token",
        "obtained_at",
        "expires_at",
        "scopes",
        "refresh_token",
        "generation",
        "username",
        "discovered",
        "sign_in_required",
        "note",
        "extra",
    ]
)


def from_bytes(data: bytes) -> TokenRecord:
    """Read a record; a newer format or anything that is not a record is a ``StoreError``."""
    try:
        values: dict[str, Any] = json.loads(data)
        version = int(values["format"])
    except (ValueError, KeyError, TypeError) as exc:
        raise _damaged() from exc
    if version > FORMAT:
        raise StoreError(
            f"The token record has format {version}; this mailoauth reads up to {FORMAT}.",
            remedy="Use the newer mailoauth that wrote it; the record was left as it is.",
        )
    try:
        return _record(values)
    except (KeyError, TypeError, ValueError) as exc:
        raise _damaged() from exc


def _record(values: Mapping[str, Any]) -> TokenRecord:
    note = values.get("note")
    expires_at = values.get("expires_at")
    return TokenRecord(
        access_token=str(values["access_token"]),
        obtained_at=float(values["obtained_at"]),
        expires_at=None if expires_at is None else float(expires_at),
        scopes=tuple(values.get("scopes", ())),
        refresh_token=values.get("refresh_token"),
        generation=int(values.get("generation", 1)),
        username=values.get("username"),
        discovered=dict(values.get("discovered", {})),
        sign_in_required=str(values.get("sign_in_required", "")),
        note=Note(int(note["generation"]), str(note["place"]), float(note["time"]))
        if note
        else None,
        extra=dict(values.get("extra", {})),
        unknown={key: value for key, value in values.items() if key not in _KEYS},
    )


def _damaged() -> DamagedRecord:
    return DamagedRecord(
        "The token record opens with the key, but what is inside is not a token record.",
        remedy="Sign in again with `mailoauth login`, which replaces it.",
    )
