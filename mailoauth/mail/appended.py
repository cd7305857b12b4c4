"""What APPEND is given: a whole message, its flags, and when it arrived; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import Message as AnyMessage
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError
from mailoauth.mail.flags import check_flag
from mailoauth.mail.message import Message
from mailoauth.mail.writing.serial import serialize

if TYPE_CHECKING:
    from collections.abc import Iterable

_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def content_of(message: AnyMessage | Message | bytes) -> bytes:
    """Return a message as it is put into a folder: lines end in CRLF, Bcc is kept."""
    if isinstance(message, Message):
        if message.headers_only:
            raise ConfigError(
                "A message that was read with headers_only=True has no text to be put anywhere.",
                remedy="Read it without headers_only, or copy it: mail.copy(message, folder).",
            )
        raw = message.raw
    elif isinstance(message, AnyMessage):
        # A draft, or one's own copy of what was sent, keeps its Bcc.
        raw = serialize(message, keep_bcc=True)
    elif isinstance(message, bytes | bytearray | memoryview):
        raw = bytes(message)
    else:
        raise ConfigError(
            f"message is of the type {type(message).__name__}.",
            remedy="Give an email.message.EmailMessage, a Message, or bytes.",
        )
    if not raw.strip() or b"\0" in raw:
        raise ConfigError(
            f"The message {'is empty' if not raw.strip() else 'has a NUL byte in it'}, "
            "which no IMAP server takes.",
            remedy="Encode binary content: an attachment as base64.",
        )
    return _BARE.sub(b"\r\n", raw)


def checked_flags(flags: Iterable[str]) -> list[str]:
    """Return the flags, each once, or ``ConfigError``."""
    if isinstance(flags, str):
        raise ConfigError("flags is one text.", remedy='It is a list: flags=["\\\\Seen"].')
    return list(dict.fromkeys(check_flag(flag) for flag in flags))


def internal_date(date: datetime | None) -> str:
    """Return a time as IMAP writes it (RFC 9051 section 9: date-time), "" for none."""
    if date is None:
        return ""
    try:
        aware = date.astimezone() if date.utcoffset() is None else date
        offset = aware.strftime("%z")
        if len(offset) != len("+0000"):  # history has zones with seconds, IMAP has none
            aware, offset = aware.astimezone(UTC), "+0000"
    except (AttributeError, TypeError, ValueError, OverflowError, OSError) as exc:
        raise ConfigError(
            f"date is {date!r}.", remedy="It is a datetime: datetime.now(UTC), for one."
        ) from exc
    month = _MONTHS[aware.month - 1]
    return f"{aware.day:02}-{month}-{aware.year:04} {aware:%H:%M:%S} {offset}"
