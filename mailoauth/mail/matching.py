"""A search judged here, for servers that do not search in UTF-8."""

from __future__ import annotations

import bisect
import math
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mailoauth.errors import ConfigError
from mailoauth.mail.search_tree import (
    Criterion,
    Either,
    Every,
    Negated,
    criteria_in,
    every,
    is_ascii,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from mailoauth.mail.criteria import Search
    from mailoauth.mail.message import Message
    from mailoauth.mail.search_tree import Key


@dataclass(frozen=True, slots=True)
class LocalSearch:
    """A search in two steps: the server finds too much, then each message is judged here."""

    search: Search  # in ASCII only
    key: Key = field(repr=False)

    @property
    def whole(self) -> bool:
        """Whether whole messages must be read to judge them, or their headers will do."""
        return any(each.keyword in {"body", "text"} for each in criteria_in(self.key))

    def matches(self, message: Message) -> bool:
        """Say whether a message that the server found meets every criterion.

        As a server does it (RFC 9051 section 6.4.4), on decoded headers and text: texts
        are part of the field in any case, days are those written in the internal date.
        ``raw`` keys are the server's to judge. Of a UID set such as ``100:*`` the last
        message is only one if its number is in it.
        """
        return _is_true(self.key, _Reading(message))


def judged_here(key: Key) -> Key:
    """Return what of a search is left to judge; raises ``ConfigError`` where it cannot be.

    ``raw`` keys are sent to the server with the rest and its word is final, unless they
    are tied by NOT or OR to something that it cannot judge.
    """
    kept: list[Key] = []
    for each in key.keys if isinstance(key, Every) else (key,):
        if all(criterion.keyword != "raw" for criterion in criteria_in(each)):
            kept.append(each)
        elif not is_ascii(each):
            raise ConfigError(
                "The server does not search in UTF-8, and raw search keys cannot be judged here.",
                remedy="Give raw in ASCII and beside the other criteria, not in not_ or any_of "
                "together with text that is not ASCII.",
            )
    return every(kept)


def _is_true(key: Key, reading: _Reading) -> bool:
    if isinstance(key, Criterion):
        return _JUDGES[key.keyword](reading, key.value)
    if isinstance(key, Negated):
        return not _is_true(key.key, reading)
    if isinstance(key, Either):
        return any(_is_true(each, reading) for each in key.keys)
    return all(_is_true(each, reading) for each in key.keys)


def _fold(text: str) -> str:
    """Make text comparable: case aside, and ü the same in one character as in two."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


class _Reading:
    """One message, each field read and folded once however many criteria ask for it."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self._fields: dict[str, list[str]] = {}

    def fields(self, name: str) -> list[str]:
        found = self._fields.get(name)
        if found is None:
            found = self._fields[name] = list(map(_fold, self.message.headers.get_all(name)))
        return found

    @cached_property
    def body(self) -> list[str]:
        return [_fold(self.message.text), _fold(self.message.html or "")]

    @cached_property
    def headers(self) -> list[str]:
        return [_fold(f"{name}: {value}") for name, value in self.message.headers.items()]

    @cached_property
    def flags(self) -> frozenset[str]:
        return frozenset(flag.lower() for flag in self.message.flags)

    @cached_property
    def day(self) -> date | None:
        # Not turned into any other zone: servers disregard it (RFC 9051 section 6.4.4).
        when = self.message.internal_date
        return None if when is None else when.date()


def _found_in(fields: list[str], value: str) -> bool:
    folded = _fold(value)
    return any(folded in each for each in fields)


def _in_header(name: str) -> Callable[[_Reading, str], bool]:
    return lambda reading, value: _found_in(reading.fields(name), value)


def _has_flag(flag: str) -> Callable[[_Reading, bool], bool]:
    return lambda reading, value: (flag in reading.flags) is value


def _in_set(reading: _Reading, runs: tuple[tuple[int, float], ...]) -> bool:
    uid = reading.message.uid
    before = bisect.bisect_right(runs, (uid, math.inf))
    return before > 0 and uid <= runs[before - 1][1]


_JUDGES: dict[str, Callable[[_Reading, Any], bool]] = {
    "answered": _has_flag("\\answered"),
    "before": lambda reading, day: reading.day is not None and reading.day < day,
    "body": lambda reading, value: _found_in(reading.body, value),
    "cc": _in_header("cc"),
    "deleted": _has_flag("\\deleted"),
    "flagged": _has_flag("\\flagged"),
    "header": lambda reading, pair: _found_in(reading.fields(pair[0]), pair[1]),
    "larger": lambda reading, octets: reading.message.size > octets,
    "message_id": _in_header("message-id"),
    "on": lambda reading, day: reading.day == day,
    "seen": _has_flag("\\seen"),
    "sender": _in_header("from"),
    "since": lambda reading, day: reading.day is not None and reading.day >= day,
    "smaller": lambda reading, octets: reading.message.size < octets,
    "subject": _in_header("subject"),
    "text": lambda reading, value: _found_in([*reading.headers, *reading.body], value),
    "to": _in_header("to"),
    "uid": _in_set,
    "unseen": lambda reading, value: ("\\seen" not in reading.flags) is value,
}
