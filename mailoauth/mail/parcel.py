"""A message made ready: who sends it, who gets it, and its octets as they go over the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mailoauth.checks import did_you_mean
from mailoauth.errors import ConfigError
from mailoauth.mail.compose import compose, drafted, listed
from mailoauth.mail.parts import Part
from mailoauth.mail.writing.drafts import as_octets
from mailoauth.mail.writing.envelopes import (
    Fields,
    checked_address,
    each_once,
    fields_of,
    read_envelope,
    read_sender,
)
from mailoauth.mail.writing.fields import date_value
from mailoauth.mail.writing.octets import crlf, header_end, long_line, without
from mailoauth.mail.writing.threads import checked_id, drawn_id, message_ids

if TYPE_CHECKING:
    from email.message import Message

_KEYWORDS = tuple(compose.__kwdefaults__ or ())
_BLIND = ("bcc", "resent-bcc")
MOST_RECIPIENTS = 1_000  # what Outlook takes, and no server must take more than 100


class Parcel(NamedTuple):
    """A message with its envelope, both as SMTP takes them."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    message_id: str

    def __repr__(self) -> str:
        return f"<Parcel to {len(self.recipients)}, {len(self.data)} octets>"  # all else is private


def pack(
    message: Message | bytes | Mapping[str, Any],
    *,
    address: str,
    recipients: Iterable[str] | None = None,
    envelope_sender: str | None = None,
    message_id: str | None = None,
    keep_bcc: bool = False,
) -> Parcel:
    """Make a message, or the keywords of ``compose``, ready to be sent; sends nothing.

    ``address`` is the mailbox that it is sent from. ``recipients`` get it in place of those
    in its headers, and bounces go to ``envelope_sender`` ("" for nowhere). From, Date and
    Message-ID are added in front where they are missing, the latter ``message_id`` if that
    is given. Raises ``ConfigError`` for whatever is wrong with it.
    """
    if isinstance(message, Mapping):
        fields, data = _composed(message, address, message_id, keep_bcc=keep_bcc)
    elif isinstance(message, bytes | bytearray | memoryview):
        fields, data = _read(bytes(message), keep_bcc=keep_bcc)
    else:
        fields, data = _serialized(message, keep_bcc=keep_bcc)
    if recipients is None:
        sender, everybody = read_envelope(fields)
    else:
        sender, everybody = read_sender(fields), _given(recipients)
    if len(everybody) > MOST_RECIPIENTS:
        raise ConfigError(
            f"The message has {len(everybody):,} recipients; at most {MOST_RECIPIENTS:,} get one.",
            remedy="Nothing was sent. Send it to fewer at a time, or to each by send_many().",
        )
    if envelope_sender is not None:
        sender = envelope_sender and checked_address(envelope_sender)
    elif not sender:
        sender = checked_address(address)
    said, data = _completed(fields, data, address, message_id)
    _check_octets(data)
    return Parcel(sender, tuple(everybody), data, said)


def _composed(
    parts: Mapping[str, Any], address: str, message_id: str | None, *, keep_bcc: bool
) -> tuple[Fields, bytes]:
    for name in parts:
        if name not in _KEYWORDS:
            raise ConfigError(
                f"{name!r} is not a keyword of a message, so nothing was sent.",
                remedy=did_you_mean(str(name), _KEYWORDS),
            )
    sender = parts.get("sender") or address
    draft = drafted(**{**parts, "sender": sender}, message_id=message_id)
    fields: Fields = [(name.lower(), value) for name, value in draft.fields]
    if not keep_bcc:
        draft.fields = [field for field in draft.fields if field[0].lower() not in _BLIND]
    return fields, as_octets(draft)


def _read(raw: bytes, *, keep_bcc: bool) -> tuple[Fields, bytes]:
    raw = crlf(raw)
    if raw.startswith((b"From ", b">From ")):  # from an mbox file: not a header
        raw = raw[raw.find(b"\n") + 1 or len(raw) :]
    part = Part(raw, 0, len(raw))
    if part.head_defects:
        raise ConfigError(
            f"The headers of the message cannot be read: {part.head_defects[0]}.",
            remedy="Nothing was sent. Put an empty line between its headers and its text.",
        )
    fields: Fields = [
        (name.decode("ascii", "replace").lower(), value) for name, value in part.fields
    ]
    if not keep_bcc and any(name in _BLIND for name, _ in fields):
        raw = without(raw, *_BLIND)
    if header_end(raw) == len(raw):  # nothing but headers
        raw += b"\r\n" if raw.endswith(b"\r\n") or not raw else b"\r\n\r\n"
    return fields, raw


def _serialized(message: Any, *, keep_bcc: bool) -> tuple[Fields, bytes]:
    from email.message import Message  # noqa: PLC0415 - slow to import, not for all

    from mailoauth.mail.writing.serial import serialize  # noqa: PLC0415 - likewise

    if not isinstance(message, Message):
        raise ConfigError(
            f"A message of the type {type(message).__name__} cannot be sent.",
            remedy="Give an email.message.Message, bytes, the keywords of compose(), or .raw of"
            " a message that was read.",
        )
    return fields_of(message), serialize(message, keep_bcc=keep_bcc)


def _given(recipients: Iterable[str]) -> list[str]:
    everybody = each_once(each.address for each in listed("recipients", recipients))
    if not everybody:
        raise ConfigError("recipients is empty, so nothing was sent.", remedy="Name at least one.")
    return everybody


def _completed(
    fields: Fields, data: bytes, address: str, message_id: str | None
) -> tuple[str, bytes]:
    """Add the headers that a message must have; return its Message-ID too."""
    present = {name: value for name, value in reversed(fields) if value.strip()}
    identity = _text(present.get("message-id", ""))
    added: list[tuple[str, str]] = []
    if "from" not in present:
        added.append(("From", checked_address(address)))
    if "date" not in present:
        added.append(("Date", date_value()))
    if not identity:
        identity = checked_id(message_id) if message_id else drawn_id(address)
        added.append(("Message-ID", identity))
    if not added:
        return next(iter(message_ids(identity)), identity), data
    empty = {name for name, _ in fields} & {name.lower() for name, _ in added}
    if empty:
        data = without(data, *empty)
    front = "".join([f"{name}: {value}\r\n" for name, value in added])
    return next(iter(message_ids(identity)), identity), front.encode() + data


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return " ".join(text.split())


def _check_octets(data: bytes) -> None:
    if b"\0" in data:
        raise ConfigError(
            "The message has a NUL byte in it, which no server takes.",
            remedy="Nothing was sent. Encode binary content: an attachment as base64.",
        )
    if line := long_line(data):
        raise ConfigError(
            f"Line {line} of the message has more than 998 octets, which no server must take.",
            remedy="Nothing was sent. Break the line, or build the message with keywords: its text"
            " is encoded then.",
        )
