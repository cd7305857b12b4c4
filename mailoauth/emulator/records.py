"""What the emulator writes down for the tests that use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Protocol = Literal["imap", "smtp"]


@dataclass(slots=True)
class Connection:
    """One connection that a client made.

    ``commands`` has the verbs alone, in the order in which they came ("UID FETCH",
    "AUTHENTICATE", "MAIL"): no arguments, so no token and no message. "." is the
    end of a message on SMTP.
    """

    protocol: Protocol
    opened_at: datetime
    signed_in_as: str | None = None
    commands: list[str] = field(default_factory=list)
    open: bool = True


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message that SMTP took; ``user`` is the mailbox that was signed in."""

    envelope_from: str
    recipients: tuple[str, ...]
    raw: bytes = field(repr=False)
    user: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    r"""One message as a folder has it; ``flags`` as on the wire, ``\Seen``."""

    raw: bytes = field(repr=False)
    flags: frozenset[str]
    uid: int
    internal_date: datetime
