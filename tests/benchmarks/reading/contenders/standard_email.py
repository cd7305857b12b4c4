"""The email package on bytes that some library has fetched: what most scripts do."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.utils import parseaddr, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

    from tests.benchmarks.reading.proof import Contents, Readings


def read(raw: bytes, readings: Readings, *, modern: bool) -> None:
    """Read a letter with ``policy.default`` if ``modern``, else with ``compat32``."""
    if modern:
        _read_modern(email.message_from_bytes(raw, policy=email.policy.default), readings)
    else:
        _read_old(email.message_from_bytes(raw), readings)


def read_headers(raw: bytes, readings: Readings) -> None:
    """Read subject, sender and date of a header block."""
    message = email.message_from_bytes(raw)
    readings.add(*_headers(message))


def read_attachments(raw: bytes, contents: Contents, *, modern: bool) -> None:
    """Decode the attachments."""
    policy: Any = email.policy.default if modern else email.policy.compat32
    for part in email.message_from_bytes(raw, policy=policy).walk():
        if part.get_filename():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            contents.add(content)


def _read_old(message: Message, readings: Readings) -> None:
    text = ""
    names = []
    for part in message.walk():
        if name := part.get_filename():
            names.append(name)
        elif part.get_content_type() == "text/plain":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            text = content.decode(part.get_content_charset("utf-8"))
    readings.add(*_headers(message), text, names)


def _headers(message: Message) -> tuple[str, str, Any]:
    subject = str(make_header(decode_header(message["Subject"])))
    return subject, parseaddr(message["From"])[1], parsedate_to_datetime(message["Date"])


def _read_modern(message: EmailMessage, readings: Readings) -> None:
    body = message.get_body(("plain",))
    assert body is not None
    names = [part.get_filename() or "" for part in message.iter_attachments()]
    sender = message["From"].addresses[0].addr_spec
    date = message["Date"].datetime
    readings.add(message["Subject"], sender, date, body.get_content(), names)
