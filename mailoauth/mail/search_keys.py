"""Each keyword of a search made a search key, and whatever cannot be one refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from mailoauth.errors import ConfigError
from mailoauth.mail.raw_keys import raw_words
from mailoauth.mail.search_tree import Criterion, Key, either, every, negated
from mailoauth.mail.search_values import LARGEST_NUMBER, day_of, is_number, kind, octets_of
from mailoauth.mail.sets import Run, runs_in, runs_of, written_runs

# Deeper than anybody means; a dictionary that contains itself has no bottom.
_DEEPEST = 40

_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 section 2.2
_ATOM = re.compile(r"[A-Za-z0-9_.-]{1,100}")

#: What the same things are called elsewhere.
_OTHER_NAMES = {
    "after": "since",
    "bcc": 'header={"Bcc": ...}',
    "body_text": "body",
    "date": "on",
    "draft": 'raw=["DRAFT"]',
    "from": "sender",
    "from_": "sender",
    "keyword": 'raw=["KEYWORD", ...]',
    "new": "unseen",
    "not": "not_",
    "or": "any_of",
    "or_": "any_of",
    "read": "seen",
    "recipient": "to",
    "starred": "flagged",
    "unread": "unseen",
    "until": "before",
}


def key_of(criteria: Mapping[str, Any], depth: int = 0) -> Key:
    """Make one key of keywords that must all be true; None means that one is not used."""
    if depth > _DEEPEST:
        raise ConfigError(
            f"The criteria are nested more than {_DEEPEST} deep.",
            remedy="Does one of the dictionaries contain itself?",
        )
    for name in criteria:
        if name not in _READERS and name not in _GROUPS:
            raise _unknown(name)
    used = sorted((name, value) for name, value in criteria.items() if value is not None)
    return every(
        _GROUPS[name](name, value, depth + 1) if name in _GROUPS else _READERS[name](name, value)
        for name, value in used
    )


def _unknown(name: object) -> ConfigError:
    names = sorted([*_READERS, *_GROUPS])
    if not isinstance(name, str) or not name.isidentifier():
        # Not shown: it may be a value that came in the place of a keyword.
        return ConfigError(
            f"A search criterion has a name, not {kind(name)}.",
            remedy=f"There are {', '.join(names)}.",
        )
    import difflib  # noqa: PLC0415 - only for a message

    close = difflib.get_close_matches(name.lower(), names, 1)
    other = _OTHER_NAMES.get(name.lower()) or (close[0] if close else "")
    return ConfigError(
        f'There is no search criterion "{name[:40]}".',
        remedy=f"Did you mean {other}?" if other else f"There are {', '.join(names)}.",
    )


def _group(name: str, value: Any, depth: int) -> Key:
    example = '{"sender": "ann@example.com"}'
    remedy = f"For example {name}={example}."
    if name == "any_of":
        remedy = f'For example any_of=[{example}, {{"flagged": True}}].'
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(
            f"{name} takes criteria as a dictionary, not {kind(value)}.", remedy=remedy
        )
    if all(each is None for each in value.values()):
        # "All messages" and "not all messages" are equally far from what is meant.
        raise ConfigError(
            f"{name} has a dictionary in which everything is None.",
            remedy="None means that a keyword is not used: leave the dictionary out.",
        )
    return key_of(value, depth)


def _not(name: str, value: Any, depth: int) -> Key:
    return negated(_group(name, value, depth))


def _any_of(name: str, value: Any, depth: int) -> Key:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        value = ()
    groups = [_group(name, each, depth) for each in value]
    if not groups:
        raise ConfigError(
            "any_of takes a list of at least one dictionary of criteria.",
            remedy='For example any_of=[{"sender": "ann@example.com"}, {"flagged": True}].',
        )
    return either(groups)


def _flag(when_true: str, when_false: str) -> Callable[[str, Any], Key]:
    def read_flag(name: str, value: Any) -> Key:
        if not isinstance(value, bool):
            raise ConfigError(
                f"{name} is True or False, not {kind(value)}.", remedy="Leave it out for either."
            )
        return Criterion(name, value, (when_true if value else when_false,))

    return read_flag


def _text(*words: str) -> Callable[[str, Any], Key]:
    def read_text(name: str, value: Any) -> Key:
        text = getattr(value, "address", value)  # an Address stands for its address
        octets = octets_of(name, text)
        if not octets:
            raise ConfigError(f"{name} is empty.", remedy="Leave it out to find all messages.")
        return Criterion(name, text, (*words, octets))

    return read_text


def _header(name: str, value: Any) -> Key:
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(
            f"{name} takes a dictionary of names and texts, not {kind(value)}.",
            remedy='For example header={"List-Id": "news.example.com"}.',
        )
    return every(_one_header(field, text) for field, text in value.items())


def _one_header(field: Any, text: Any) -> Key:
    if not isinstance(field, str) or not _FIELD_NAME.fullmatch(field):
        raise ConfigError(
            "A name in header is not the name of a header.",
            remedy='Write it without colon and spaces: header={"List-Id": "news.example.com"}.',
        )
    if text is None:
        raise ConfigError(
            "A value in header is None.",
            remedy='Write "" to find messages that have the header, whatever is in it.',
        )
    octets = octets_of("A value in header", text)
    shown = field if _ATOM.fullmatch(field) else field.encode()
    return Criterion("header", (field, text), ("HEADER", shown, octets))


def _day(word: str) -> Callable[[str, Any], Key]:
    def read_day(name: str, value: Any) -> Key:
        if not isinstance(value, date):  # a datetime is a date too
            raise ConfigError(
                f"{name} is a date, not {kind(value)}.",
                remedy=f"Give a datetime.date: {name}=date(2026, 1, 31).",
            )
        day = date(value.year, value.month, value.day)
        return Criterion(name, day, (word, day_of(day)))

    return read_day


def _size(word: str) -> Callable[[str, Any], Key]:
    def read_size(name: str, value: Any) -> Key:
        if not is_number(value) or not 0 <= value <= LARGEST_NUMBER:
            raise ConfigError(
                f"{name} is a number of octets, not {kind(value)}.",
                remedy=f"Give a whole number from 0 to {LARGEST_NUMBER}: {name}=1_000_000.",
            )
        return Criterion(name, value, (word, str(value)))

    return read_size


def _uid(name: str, value: Any) -> Key:
    runs = _uids(value)
    if runs and runs[0][0] > 0 and _last(runs) <= LARGEST_NUMBER:
        words = value if isinstance(value, str) else written_runs(runs)
        return Criterion(name, tuple(runs), ("UID", words))
    raise ConfigError(
        f"{name} is a message's number or several of them, not {kind(value)}.",
        remedy='For example uid=7, uid=[7, 9] or uid="100:*".',
    )


def _uids(value: Any) -> list[Run]:
    if isinstance(value, str):
        return runs_in(value)
    if is_number(value):
        return runs_of([value])
    if not isinstance(value, Iterable) or isinstance(value, (bytes, bytearray)):
        return []
    numbers = value if isinstance(value, range) else list(value)
    return runs_of(numbers) if isinstance(value, range) or all(map(is_number, numbers)) else []


def _last(runs: list[Run]) -> float:
    """Return the highest number that is named; ``*`` is none."""
    return max(first if math.isinf(last) else last for first, last in runs)


def _raw(name: str, value: Any) -> Key:
    return Criterion(name, None, (raw_words(name, value),))


_READERS: dict[str, Callable[[str, Any], Key]] = {
    "answered": _flag("ANSWERED", "UNANSWERED"),
    "before": _day("BEFORE"),
    "body": _text("BODY"),
    "cc": _text("CC"),
    "deleted": _flag("DELETED", "UNDELETED"),
    "flagged": _flag("FLAGGED", "UNFLAGGED"),
    "header": _header,
    "larger": _size("LARGER"),
    "message_id": _text("HEADER", "Message-ID"),
    "on": _day("ON"),
    "raw": _raw,
    "seen": _flag("SEEN", "UNSEEN"),
    "sender": _text("FROM"),
    "since": _day("SINCE"),
    "smaller": _size("SMALLER"),
    "subject": _text("SUBJECT"),
    "text": _text("TEXT"),
    "to": _text("TO"),
    "uid": _uid,
    "unseen": _flag("UNSEEN", "SEEN"),
}

_GROUPS: dict[str, Callable[[str, Any, int], Key]] = {"any_of": _any_of, "not_": _not}
