"""What IMAP commands bring: a folder that was opened, a message that was fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Selected(NamedTuple):
    """A folder that was opened, by its name and UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    folder: str
    uid_validity: int
    read_only: bool = False


class Fetched(NamedTuple):
    """One message as FETCH brought it."""

    uid: int
    raw: bytes
    flags: tuple[str, ...]
    internal_date: Any
    size: int | None


def fetched(uid: int, items: Mapping[bytes, Any], raw: bytes) -> Fetched:
    """Take a message out of imapclient's answer to FETCH."""
    flags = items.get(b"FLAGS") or ()
    return Fetched(
        uid,
        raw,
        tuple(flag.decode("ascii", "replace") for flag in flags),
        items.get(b"INTERNALDATE"),
        items.get(b"RFC822.SIZE"),
    )
