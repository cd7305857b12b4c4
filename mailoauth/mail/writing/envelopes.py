"""Who sends a message and who gets it, read from its headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f<>(),;:\\\"@]")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_LITERAL = re.compile(r"\[[0-9A-Za-z:.-]+\]")
_USUAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_LONGEST = 320  # octets: RFC 5321 section 4.5.3.1 has 64 before the @ and 255 behind it

#: Name in lower case and value of each header, in order.
Fields = list[tuple[str, str | bytes]]


def envelope(message: Message | bytes) -> tuple[str, list[str]]:
    """Return who sends a message ("" if it does not say) and everybody who gets it, Bcc included.

    A message that was resent goes to those in its newest Resent- headers only, as with
    sendmail (RFC 5322 section 3.6.6). Raises ``ConfigError`` where there is no recipient
    or one has no address.
    """
    return read_envelope(fields_of(message))


def read_envelope(fields: Fields) -> tuple[str, list[str]]:
    """Do the same for headers."""
    sender = read_sender(fields)
    resent = _newest_resent(fields)
    prefix, fields = ("resent-", resent) if resent else ("", fields)
    found = [each for name in ("to", "cc", "bcc") for each in _addresses(fields, prefix + name)]
    recipients = each_once(each.address or each.name for each in found)
    if not recipients:
        raise ConfigError(
            "The message has no recipients, so nothing was sent.", remedy="Give it a to, cc or bcc."
        )
    return sender, recipients


def read_sender(fields: Fields) -> str:
    """Return who sends a message, "" if it does not say."""
    resent = _newest_resent(fields)
    prefix, fields = ("resent-", resent) if resent else ("", fields)
    senders = _addresses(fields, f"{prefix}sender") or _addresses(fields, f"{prefix}from")
    return checked_address(senders[0].address) if senders and senders[0].address else ""


def each_once(addresses: Iterable[str]) -> list[str]:
    """Return the addresses, checked, each mailbox once."""
    recipients: dict[str, str] = {}
    for given in addresses:
        address = checked_address(given)
        local, _, domain = address.rpartition("@")
        recipients.setdefault(f"{local}@{domain.lower()}", address)
    return list(recipients.values())


def checked_address(address: str) -> str:
    """Return an address as SMTP takes it: its domain in ASCII (RFC 5890).

    Raises ``ConfigError``, which names it, for what is not one.
    """
    if len(address) <= _LONGEST and _USUAL.fullmatch(address):
        return address
    local, at, domain = address.rpartition("@")
    good = bool(at and local and domain) and len(address) <= _LONGEST
    good = good and (not _FORBIDDEN.search(local) or bool(_QUOTED_LOCAL.fullmatch(local)))
    good = good and (not _FORBIDDEN.search(domain) or bool(_LITERAL.fullmatch(domain)))
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
        local.encode()
    except UnicodeError:
        good = False
    if not good:
        raise ConfigError(
            f"{address[:_LONGEST]!r} is not a mail address.",
            remedy="Write it like ada@example.com.",
        )
    return f"{local}@{domain}"


def fields_of(message: Message | bytes) -> Fields:
    """Return the headers of a message."""
    if not isinstance(message, bytes | bytearray | memoryview):
        return [(name.lower(), str(value)) for name, value in message.raw_items()]
    raw = bytes(message)
    fields = Part(raw, 0, len(raw)).fields
    return [(name.decode("ascii", "replace").lower(), value) for name, value in fields]


def _newest_resent(fields: Fields) -> Fields:
    """Return the uppermost block of Resent- headers if it says to whom."""
    block: dict[str, str | bytes] = {}
    for name, value in fields:
        if name in block or (block and not name.startswith("resent-")):
            break
        if name.startswith("resent-"):
            block[name] = value
    named = block.keys() & {"resent-to", "resent-cc", "resent-bcc"}
    return list(block.items()) if named else []


def _addresses(fields: Fields, name: str) -> list[Address]:
    return [each for key, value in fields if key == name for each in parse_addresses(value)]
