"""What IMAP commands bring: a folder that was opened, a message that was fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailoauth.mail.answers import parse_date

if TYPE_CHECKING:
    from mailoauth.mail.answers import Items
    from mailoauth.mail.message import Message


class Selected(NamedTuple):
    """A folder that was opened, by its name and UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    folder: str
    uid_validity: int
    read_only: bool = False
    permanent_flags: tuple[str, ...] | None = None


def message_of(items: Items, raw: bytes, *, folder: str, validity: int, whole: bool) -> Message:
    """Make a message of what FETCH said, and of its octets or those of its headers."""
    from mailoauth.mail.message import Message  # noqa: PLC0415 - whoever moves mail needs none

    return Message.from_bytes(
        raw,
        uid=items["uid"],
        folder=folder,
        flags=items.get("flags", ()),
        internal_date=parse_date(items.get("date")),
        size=items.get("size"),
        uid_validity=validity,
        headers_only=not whole,
    )
