"""What IMAP commands bring: a folder that was opened, a message that was fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailoauth.mail.answers import parse_date

if TYPE_CHECKING:
    from datetime import datetime

    from mailoauth.mail.answers import Items


class Selected(NamedTuple):
    """A folder that was opened, by its name and UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    folder: str
    uid_validity: int
    read_only: bool = False
    permanent_flags: tuple[str, ...] | None = None


class Fetched(NamedTuple):
    """One message as FETCH brought it; ``size`` is the server's word."""

    uid: int
    raw: bytes
    flags: tuple[str, ...]
    internal_date: datetime | None
    size: int | None


def fetched(items: Items, raw: bytes) -> Fetched:
    """Take a message out of an answer to FETCH."""
    return Fetched(
        items["uid"],
        raw,
        items.get("flags", ()),
        parse_date(items.get("date")),
        items.get("size"),
    )
