"""Messages as they go over the line: headers folded right, CRLF, Bcc left out."""

from __future__ import annotations

import copy
import re
from email.errors import MessageError
from email.header import Header
from email.message import Message
from email.policy import Compat32, EmailPolicy
from typing import Any

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.parts import Part

_LINE_BREAK = re.compile(rb"\r\n|\r|\n")
_HEAD_END = re.compile(rb"\A(?:\r\n)|(?:\r\n){2}")
_BCC = re.compile(
    rb"^(?:Resent-)?Bcc[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE
)
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f<>(),;:\\\"@]")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_LITERAL = re.compile(r"\[[0-9A-Za-z:.-]+\]")

_LINE_LENGTH = 76
_LONGEST_WORD = 900  # RFC 5322 section 2.1.1: 998 octets a line


class _WirePolicy(EmailPolicy):
    """Folds headers as they must be on the wire.

    The standard library's folding writes a long Message-ID, as Outlook's are, in
    encoded words, which ends threads: here only what is not ASCII is encoded.
    """

    def fold(self, name: str, value: Any) -> str:
        folded = _fold(name, value)
        return super().fold(name, value) if folded is None else folded

    def fold_binary(self, name: str, value: Any) -> bytes:
        folded = _fold(name, value)
        if folded is None:
            return super().fold_binary(name, value)
        return folded.encode("utf-8", "surrogateescape")


class _CompatPolicy(Compat32):
    """Leaves headers of older messages folded as they are, where they may be."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        if isinstance(value, str) and value.isascii() and len(value) < _LONGEST_WORD:
            return _as_it_came(name, value).encode()
        return super().fold_binary(name, value)


_WIRE = _WirePolicy(linesep="\r\n", cte_type="8bit", refold_source="none")
_COMPAT = _CompatPolicy(linesep="\r\n", cte_type="8bit")


def serialize(message: Message | bytes, *, keep_bcc: bool = False) -> bytes:
    """Return a message with CRLF line ends and, unless ``keep_bcc``, without its Bcc headers.

    Bytes are left as they are but for these; so are the parts of an
    ``email.message.Message``, whose 8-bit parts stay 8-bit. Raises ``ConfigError``
    for a message that the standard library cannot write.
    """
    if not isinstance(message, Message):
        raw = _LINE_BREAK.sub(b"\r\n", bytes(message))
        return raw if keep_bcc else _without_bcc(raw)
    public = copy.copy(message)  # deleting headers from the copy leaves the original alone
    for name in () if keep_bcc else ("Bcc", "Resent-Bcc"):
        del public[name]
    try:
        raw = public.as_bytes(policy=_WIRE if isinstance(public.policy, EmailPolicy) else _COMPAT)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"The message cannot be written: {exc}.",
            remedy="Build it with keywords, or send it as bytes.",
        ) from exc
    return _LINE_BREAK.sub(b"\r\n", raw)


def envelope(message: Message | bytes) -> tuple[str, list[str]]:
    """Return who sends a message ("" if it does not say) and everybody who gets it, Bcc included.

    Raises ``ConfigError`` where there is no recipient or one has no address.
    """
    fields = _fields(message)
    senders = _addresses(fields, "sender") or _addresses(fields, "from")
    sender = checked_address(senders[0].address) if senders and senders[0].address else ""
    recipients: dict[str, str] = {}
    for name in ("to", "cc", "bcc"):
        for found in _addresses(fields, name):
            address = checked_address(found.address or found.name)
            local, _, domain = address.rpartition("@")
            recipients.setdefault(f"{local}@{domain.lower()}", address)
    if not recipients:
        raise ConfigError(
            "The message has no recipients, so nothing was sent.", remedy="Give it a to, cc or bcc."
        )
    return sender, list(recipients.values())


def checked_address(address: str) -> str:
    """Return an address as SMTP takes it: its domain in ASCII (RFC 5890).

    Raises ``ConfigError``, which names it, for what is not one.
    """
    local, at, domain = address.rpartition("@")
    good = bool(at and local and domain)
    good = good and (not _FORBIDDEN.search(local) or bool(_QUOTED_LOCAL.fullmatch(local)))
    good = good and (not _FORBIDDEN.search(domain) or bool(_LITERAL.fullmatch(domain)))
    if good and not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            good = False
    if not good:
        raise ConfigError(
            f"{address!r} is not a mail address.", remedy="Write it like ada@example.com."
        )
    return f"{local}@{domain}"


def header_end(raw: bytes) -> int:
    """Return where the header block of CRLF bytes ends, its last line break included."""
    found = _HEAD_END.search(raw)
    if found is None:
        return len(raw)
    return 0 if found.start() == 0 else found.start() + 2


def _without_bcc(raw: bytes) -> bytes:
    end = header_end(raw)
    return _BCC.sub(b"", raw[:end]) + raw[end:]


def _fields(message: Message | bytes) -> list[tuple[str, str | bytes]]:
    if isinstance(message, Message):
        return [(name.lower(), str(value)) for name, value in message.raw_items()]
    raw = bytes(message)
    fields = Part(raw, 0, len(raw)).fields
    return [(name.decode("ascii", "replace").lower(), value) for name, value in fields]


def _addresses(fields: list[tuple[str, str | bytes]], name: str) -> list[Address]:
    return [each for key, value in fields if key == name for each in parse_addresses(value)]


def _fold(name: str, value: Any) -> str | None:
    """Fold one header, None to leave it to the standard library."""
    if not hasattr(value, "name"):
        return _as_it_came(name, str(value))
    if hasattr(value, "params"):  # RFC 2231 names of files
        return None
    if hasattr(value, "addresses"):
        return _fill(f"{name}:", _address_words(value))
    words = str(value).split(" ")
    if str(value).isascii() and max(map(len, words)) < _LONGEST_WORD:
        return _fill(f"{name}:", words)
    return _fill(f"{name}:", _encode(str(value), len(name) + 2))


def _as_it_came(name: str, value: str) -> str:
    """Write a header that was read from a message: signatures cover its folding."""
    lines = re.split(r"\r\n|\r|\n", value)
    if any(line[:1] not in {" ", "\t"} for line in lines[1:]):
        raise ValueError(f"the header {name} has a line break in it")
    return f"{name}: " + "\r\n".join(lines) + "\r\n"


def _address_words(value: Any) -> list[str]:
    words: list[str] = []
    for address in value.addresses:
        name, spec = address.display_name, address.addr_spec
        if name.isascii():
            words += f"{Address(name, spec)},".split(" ")
        else:
            words += [*_encode(name), f"<{spec}>,"]
    if words:
        words[-1] = words[-1].removesuffix(",")
    return words


def _encode(text: str, indent: int = 0) -> list[str]:
    """Write text as RFC 2047 words, none of which splits a character."""
    words = Header(text, "utf-8", maxlinelen=_LINE_LENGTH - indent)
    return words.encode(linesep="\n", splitchars="").split("\n ")


def _fill(line: str, words: list[str]) -> str:
    """Break lines between words only; a word that is too long has a line of its own."""
    lines: list[str] = []
    for index, word in enumerate(words):
        if index and word and len(line) + 1 + len(word) > _LINE_LENGTH:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"
