"""Header fields of a raw message mended without touching anything else of it.

What comes from other programs is passed on as it is: signatures and patches depend on it.
"""

from __future__ import annotations

import re
from email.utils import formataddr
from typing import TYPE_CHECKING, Final, NamedTuple

from mailoauth.mail.addresses import Address, parse_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    #: Return the addresses that a local name ("root") stands for.
    Resolve = Callable[[str], tuple[str, ...]]

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)")
_COMMENTED: Final = re.compile(r'\s*([^\s@<>"(),:;]+)\s*\(([^()]*)\)\s*')


class _Field(NamedTuple):
    name: str  # in lower case
    start: int
    value_start: int
    value_end: int
    end: int


def completed(raw: bytes) -> bytes:
    """Return a message in which an empty line ends the header, CRLF line ends given.

    As sendmail does: text that begins without any header is all text.
    """
    end = max((field.end for field in _fields(raw)), default=0)
    if raw[end : end + 2] == b"\r\n":
        return raw
    line_end = b"" if not end or raw[:end].endswith(b"\r\n") else b"\r\n"
    return raw[:end] + line_end + b"\r\n" + raw[end:]


def values(raw: bytes, *names: str) -> list[bytes]:
    """Return the values of the fields of these names, which are in lower case."""
    return [
        raw[field.value_start : field.value_end] for field in _fields(raw) if field.name in names
    ]


def addresses(raw: bytes, *names: str) -> list[Address]:
    """Return the addresses in the fields of these names, which are in lower case."""
    return [each for value in values(raw, *names) for each in parse_addresses(value)]


def with_account_as_author(raw: bytes, address: str) -> bytes:
    """Return the message with the account in From, and whoever was there in Reply-To.

    The name stays. A Reply-To of its own stays too; a foreign Sender goes.
    """
    authors = addresses(raw, "from")
    if _are(authors, address):
        foreign = not _are(addresses(raw, "sender"), address)
        return _without(raw, "sender") if foreign else raw
    name = next((author.name for author in authors if author.name), "")
    added = _line("From", [Address(name, address)])
    if authors and not values(raw, "reply-to") and all("@" in each.address for each in authors):
        added += _line("Reply-To", authors)
    return added + _without(raw, "from", "sender")


def with_author(raw: bytes, name: str, address: str) -> bytes:
    """Return the message with a From field, where it has none."""
    return raw if values(raw, "from") else _line("From", [Address(name, address)]) + raw


def qualified(raw: bytes, resolve: Resolve, *names: str) -> bytes:
    """Return the message with local names in these fields replaced by what they stand for."""
    pieces, done = [], 0
    for field in _fields(raw):
        if field.name not in names:
            continue
        if known := _resolved(raw[field.value_start : field.value_end], resolve):
            pieces += [raw[done : field.value_start], b" ", _joined(known)]
            done = field.value_end
    return b"".join([*pieces, raw[done:]])


def _resolved(value: bytes, resolve: Resolve) -> list[Address]:
    """Return the addresses of a field with a local name in it, nothing for any other field."""
    commented = _COMMENTED.fullmatch(value.decode("utf-8", "replace"))
    if commented:  # "root (Cron Daemon)", as cron writes it
        found: tuple[Address, ...] = (Address(commented[2].strip(), commented[1]),)
    else:
        found = parse_addresses(value)
    before = [one.address or one.name for one in found]
    changed = [
        Address(one.name, address)
        for one, said in zip(found, before, strict=True)
        for address in resolve(said)
    ]
    return changed if [one.address for one in changed] != before else []


def _fields(raw: bytes) -> Iterator[_Field]:
    position = 0
    while found := _FIELD.match(raw, position):
        name = found[1].lower().decode("ascii")
        yield _Field(name, position, found.start(2), found.end(2), found.end())
        position = found.end()


def _without(raw: bytes, *names: str) -> bytes:
    pieces, done = [], 0
    for field in _fields(raw):
        if field.name in names:
            pieces.append(raw[done : field.start])
            done = field.end
    return b"".join([*pieces, raw[done:]])


def _are(found: Sequence[Address], address: str) -> bool:
    return [one.address.casefold() for one in found] == [address.casefold()]


def _line(name: str, found: Sequence[Address]) -> bytes:
    return name.encode() + b": " + _joined(found) + b"\r\n"


def _joined(found: Sequence[Address]) -> bytes:
    return ",\r\n ".join(_written(one) for one in found).encode()


def _written(one: Address) -> str:
    # RFC 2047 for names; an address that is not ASCII goes as it is (RFC 6532).
    return formataddr((one.name, one.address)) if one.address.isascii() else str(one)
