"""Messages as they go over the line: headers folded right, CRLF, Bcc left out."""

from __future__ import annotations

import copy
import re
from email.errors import MessageError
from email.generator import BytesGenerator
from email.headerregistry import HeaderRegistry
from email.message import Message
from email.policy import Compat32, EmailPolicy
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.writing.envelopes import checked_address, envelope
from mailoauth.mail.writing.fields import (
    ADDRESS_HEADERS,
    LONGEST_WORD,
    address_value,
    text_value,
    words_value,
)
from mailoauth.mail.writing.octets import crlf, header_end, without
from mailoauth.mail.writing.plain import written_plainly

if TYPE_CHECKING:
    from email.policy import Policy

__all__ = ["POLICY", "checked_address", "envelope", "header_end", "serialize"]


class _Registry(HeaderRegistry):
    """Remembers what is the same in most parts, and asked for whenever one is written."""

    def __call__(self, name: str, value: Any) -> Any:
        if name.lower() == "content-transfer-encoding" and isinstance(value, str):
            return _remembered(name, str(value))
        return super().__call__(name, value)


_PLAIN_REGISTRY = HeaderRegistry()


@lru_cache(maxsize=64)
def _remembered(name: str, value: str) -> Any:
    return _PLAIN_REGISTRY(name, value)


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
        if isinstance(value, str) and value.isascii() and len(value) < LONGEST_WORD:
            return _as_it_came(name, value).encode()
        if isinstance(value, str) and _is_text(value):
            return f"{name}: {_encoded(name, value)}\r\n".encode()
        return super().fold_binary(name, value)


#: What compose() gives its messages: content in 7 bits passes every server, and what is
#: folded already is left so. A header is taken apart when somebody asks for it.
POLICY = EmailPolicy(cte_type="7bit", refold_source="none", header_factory=_Registry())
_WIRE = _WirePolicy(linesep="\r\n", cte_type="8bit", refold_source="none")
_NOT_WRITABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_BLIND = frozenset({"bcc", "resent-bcc"})
_COMPAT = _CompatPolicy(linesep="\r\n", cte_type="8bit")


def serialize(message: Message | bytes, *, keep_bcc: bool = False) -> bytes:
    """Return a message with CRLF line ends and, unless ``keep_bcc``, without its Bcc headers.

    Bytes are left as they are but for these; so are the parts of an
    ``email.message.Message``, whose 8-bit parts stay 8-bit; a text in it whose lines are
    too long is encoded. Raises ``ConfigError`` for a message that the standard library
    cannot write.
    """
    if not isinstance(message, Message):
        raw = crlf(bytes(message))
        return raw if keep_bcc else without(raw, "Bcc", "Resent-Bcc")
    policy = _WIRE if isinstance(message.policy, EmailPolicy) else _COMPAT
    left_out = frozenset() if keep_bcc else _BLIND
    try:
        # The generator takes every part's headers apart and holds the message several times.
        return written_plainly(message, policy, left_out) or _generated(message, policy, left_out)
    except (MessageError, *_NOT_WRITABLE) as exc:
        raise ConfigError(
            f"The message cannot be written: {exc}.",
            remedy="Build it with keywords, or send it as bytes.",
        ) from exc


def _generated(message: Message, policy: Policy, left_out: frozenset[str]) -> bytes:
    public = copy.copy(message)  # deleting headers from the copy leaves the original alone
    for name in left_out:
        del public[name]
    out = BytesIO()
    # Not as_bytes(): Django's messages have one that takes no policy.
    BytesGenerator(out, mangle_from_=False, policy=policy).flatten(public)
    return crlf(out.getvalue())


def _fold(name: str, value: Any) -> str | None:
    """Fold one header, None to leave it to the standard library."""
    if not hasattr(value, "name"):
        return _as_it_came(name, str(value))
    if hasattr(value, "params"):  # RFC 2231 names of files
        return None
    if hasattr(value, "addresses"):
        found = [Address(each.display_name, each.addr_spec) for each in value.addresses]
        return f"{name}: {address_value(name, found)}\r\n"
    return f"{name}: {text_value(name, str(value))}\r\n"


def _as_it_came(name: str, value: str) -> str:
    """Write a header that was read from a message: signatures cover its folding."""
    if "\n" not in value and "\r" not in value and len(value) < LONGEST_WORD:
        return f"{name}: {value}\r\n"
    lines = re.split(r"\r\n|\r|\n", value)
    if any(line[:1] not in {" ", "\t"} for line in lines[1:]):
        raise ValueError(f"the header {name} has a line break in it")
    if max(map(len, lines)) >= LONGEST_WORD:  # it could not be sent as it came
        return f"{name}: {words_value(name, ''.join(lines).split(' '))}\r\n"
    return f"{name}: " + "\r\n".join(lines) + "\r\n"


def _is_text(value: str) -> bool:
    """Say whether a header is no octets in disguise, which go out as they came."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return not value.isascii()


def _encoded(name: str, value: str) -> str:
    """Encode a header that was set as plain text: the library's way would encode addresses too."""
    line = _as_it_came(name, value)[len(name) + 2 : -2].replace("\r\n", "")
    if name.lower() in ADDRESS_HEADERS and (found := parse_addresses(line)):
        return address_value(name, found)
    return text_value(name, line)
