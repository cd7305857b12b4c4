"""Answers of an IMAP server, read leniently: RFC 9051 section 7; pure.

A response is a list of pieces as the wire gives it: a line, then for each literal in it
the literal's bytes and the rest of the line. ``ValueError`` for what is not IMAP.
"""

from __future__ import annotations

import re
from array import array
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What servers answer to what is asked for here, if they answer it in its order.
_USUAL: Final = re.compile(
    rb"\* [0-9]+ FETCH \(UID ([0-9]+) FLAGS \(([^()\"{]*)\) INTERNALDATE \"([^\"]*)\" "
    rb"BODY\[\] \{[0-9]+\}\r\n"
)
_FETCH: Final = re.compile(rb"\* [0-9]+ FETCH \(", re.IGNORECASE)
# One item of a FETCH and its value. A literal's length ends the piece.
_ITEM: Final = re.compile(
    rb"""[ ]*(?:
      UID[ ](?P<uid>[0-9]+)
    | FLAGS[ ]\((?P<flags>[^()"{]*)\)
    | RFC822\.SIZE[ ](?P<size>[0-9]+)
    | INTERNALDATE[ ]"(?P<date>[^"]*)"
    | (?P<section>BODY\[[^\]]*\](?:<[0-9]+>)?)[ ]
        (?:\{(?P<literal>[0-9]+)\+?\}\r\n\Z|(?P<nil>NIL)|"(?P<quoted>(?:[^"\\]|\\.)*)")
    | (?P<end>\)[ ]*\r\n\Z)
    | (?P<other>[A-Z0-9.\-_]+(?:\[[^\]]*\])?(?:<[0-9]+>)?)[ ]
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# A value that nobody asked for, or part of one in parentheses.
_VALUE: Final = re.compile(
    rb'[ ]*(?:(?P<open>\()|(?P<close>\))|"(?:[^"\\]|\\.)*"|\{[0-9]+\+?\}\r\n(?P<literal>\Z)|[^\s()"{]+)'
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)")
_DATE: Final = re.compile(
    rb"[ ]?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(b" "), start=1
    )
}
_SEARCH: Final = re.compile(
    rb"\* SEARCH((?: [0-9]{1,10})*+)(?: \(MODSEQ [0-9]+\))? *\r\n", re.IGNORECASE
)
_NUMBER: Final = re.compile(rb"[0-9]+")
_VALIDITY: Final = re.compile(rb"\[UIDVALIDITY ([0-9]+)\]", re.IGNORECASE)
_PERMANENT: Final = re.compile(rb"\[PERMANENTFLAGS \(([^)]*)\)", re.IGNORECASE)
_EXISTS: Final = re.compile(rb"\* ([0-9]+) EXISTS", re.IGNORECASE)

#: What a FETCH said of one message: uid, flags, size, date and the bytes of each section.
Items = dict[str, Any]


def parse_fetch(pieces: Sequence[bytes]) -> Items | None:
    """Return what an untagged FETCH says of a message; None for any other response.

    Keys are ``uid size`` (int), ``flags`` (tuple), ``date`` (bytes), and for what was asked
    of the message itself the name as the server gives it, in upper case, as in ``BODY[]``
    (bytes, or None for NIL). Items that nobody asked for are passed over.
    """
    usual = _USUAL.fullmatch(pieces[0])
    if usual is not None and pieces[2:] == [b")\r\n"]:
        uid, flags, date = usual.groups()
        return {"uid": int(uid), "flags": _flags(flags), "date": date, "BODY[]": pieces[1]}
    start = _FETCH.match(pieces[0])
    if start is None:
        return None
    items: Items = {}
    piece, position = 0, start.end()
    while True:
        found = _ITEM.match(pieces[piece], position)
        if found is None:
            raise ValueError("an item of a FETCH that is none")
        kind = found.lastgroup
        position = found.end()
        if kind == "end":
            if piece != len(pieces) - 1:
                raise ValueError("a FETCH that ends before its last piece")
            return items
        if kind == "other":
            piece, position = _skip(pieces, piece, position)
        elif kind == "literal":
            items[_section(found)] = pieces[piece + 1]
            piece, position = piece + 2, 0
        else:
            _take(items, kind or "", found)


def _take(items: Items, kind: str, found: re.Match[bytes]) -> None:
    if kind in {"uid", "size"}:
        items[kind] = int(found[kind])
    elif kind == "flags":
        items["flags"] = _flags(found["flags"])
    elif kind == "date":
        items["date"] = found["date"]
    elif kind == "quoted":
        items[_section(found)] = _QUOTED_PAIR.sub(rb"\1", found["quoted"])
    elif kind == "nil":
        items[_section(found)] = None


def _section(found: re.Match[bytes]) -> str:
    return found["section"].decode("ascii", "replace").upper()


def _skip(pieces: Sequence[bytes], piece: int, position: int) -> tuple[int, int]:
    """Pass over one value, parentheses and literals included; return where it ends."""
    depth = 0
    while True:
        found = _VALUE.match(pieces[piece], position)
        if found is None:
            raise ValueError("a value in a FETCH that is none")
        position = found.end()
        if found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
        elif found["literal"] is not None:
            piece, position = piece + 2, 0
        if depth < 0:
            raise ValueError("a parenthesis too many in a FETCH")
        if depth == 0:
            return piece, position


@lru_cache(maxsize=64)
def _flags(words: bytes) -> tuple[str, ...]:
    return tuple(words.decode("ascii", "replace").split())


def parse_date(text: bytes | None) -> datetime | None:
    """Read an INTERNALDATE as an aware time; None if it is none."""
    found = _DATE.fullmatch(text or b"")
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    try:
        return datetime(
            int(year),
            _MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=_zone(sign, int(hours), int(minutes)),
        )
    except (KeyError, ValueError):
        return None


@lru_cache(maxsize=64)
def _zone(sign: bytes, hours: int, minutes: int) -> timezone:
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if sign == b"-" else offset) if offset else UTC


def parse_search(pieces: Sequence[bytes]) -> array[int] | None:
    """Return the numbers of an untagged SEARCH; None for any other response."""
    if pieces[0][:8].upper() != b"* SEARCH":
        return None
    found = _SEARCH.fullmatch(pieces[0])
    if found is None:
        raise ValueError("an answer to SEARCH that is none")
    # One by one: there may be a hundred thousand.
    return array("Q", (int(number[0]) for number in _NUMBER.finditer(pieces[0], *found.span(1))))


def uid_validity(line: bytes) -> int | None:
    """Return the UIDVALIDITY that a line announces; None if it does not."""
    found = _VALIDITY.search(line)
    return int(found[1]) if found else None


def permanent_flags(line: bytes) -> tuple[str, ...] | None:
    """Return the PERMANENTFLAGS that a line announces; None if it does not."""
    found = _PERMANENT.search(line)
    return _flags(found[1]) if found else None


def exists(line: bytes) -> int | None:
    """Return how many messages a line says there are; None if it does not."""
    found = _EXISTS.match(line)
    return int(found[1]) if found else None
