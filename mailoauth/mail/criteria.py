"""Keywords to IMAP SEARCH (RFC 3501 section 6.4.4): pure, nothing is sent from here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, SupportsIndex, TypedDict

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from mailoauth.mail.addresses import Address

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ATOM_SPECIALS = re.compile(rb"[(){%*\]]")
_UID_SET = re.compile(r"[1-9][0-9]*(:([1-9][0-9]*|\*))?(,[1-9][0-9]*(:([1-9][0-9]*|\*))?)*")
_LARGEST_NUMBER = 2**32 - 1

_Keys = list[Any]


class Criteria(TypedDict, total=False):
    """The keywords of a search; all that are given must be true."""

    unseen: bool | None
    seen: bool | None
    flagged: bool | None
    since: date | None
    before: date | None
    sender: str | Address | None
    to: str | Address | None
    subject: str | None
    body: str | None
    text: str | None
    message_id: str | None
    uid: int | str | Iterable[int] | None
    larger: int | None
    smaller: int | None
    not_: Criteria | None
    any_of: Iterable[Criteria] | None


@dataclass(frozen=True, slots=True)
class Search:
    """The arguments of a SEARCH: pass ``criteria`` and ``charset`` to imapclient's ``search``."""

    criteria: _Keys = field(repr=False)  # it names correspondents and subjects
    charset: str | None


class _Quoted(bytes):
    """A value that imapclient puts in quotes.

    It quotes by itself only what has a space, a quote or a backslash, and would
    send ``re(port)`` as it is, which servers refuse.
    """

    def replace(
        self,
        old: Any,
        new: Any,
        count: SupportsIndex = -1,
    ) -> _Quoted:
        return _Quoted(super().replace(old, new, count))

    def __contains__(self, key: object) -> bool:
        return True


def compile(**criteria: Any) -> Search:  # noqa: A001 - read as criteria.compile
    """Translate keywords that must all be true; None means that a keyword is not used.

    ``since`` and ``before`` compare whole days as the server dates them (the time
    of day in a ``datetime`` is dropped), ``larger`` and ``smaller`` are in octets, texts match any
    part of the field. ``not_`` takes a mapping of keywords that must not all be
    true, ``any_of`` a list of mappings of which one must be.
    """
    keys = _flatten(_compile_all(criteria)) or ["ALL"]
    return Search(keys, "UTF-8" if _needs_charset(keys) else None)


def _compile_all(criteria: Mapping[str, Any]) -> list[_Keys]:
    """Compile each keyword to one search key: a flat list of its words."""
    return [
        _compile_one(name, value) for name, value in sorted(criteria.items()) if value is not None
    ]


def _compile_one(name: str, value: Any) -> _Keys:
    compiler = _COMPILERS.get(name)
    if compiler is None:
        close = difflib.get_close_matches(name, _COMPILERS, 1)
        raise ConfigError(
            f'There is no search criterion "{name}".',
            remedy=f"Did you mean {close[0]}?"
            if close
            else f"There are {', '.join(sorted(_COMPILERS))}.",
        )
    return compiler(name, value)


def _flatten(keys: Iterable[_Keys]) -> _Keys:
    return [word for key in keys for word in key]


def _group(name: str, value: Any) -> _Keys:
    """Compile a mapping to exactly one search key, in parentheses where it has several."""
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(
            f"{name} takes criteria as a dictionary, not {_kind(value)}.",
            remedy=f'For example {name}={{"sender": "ann@example.com"}}.'
            if name == "not_"
            else 'For example any_of=[{"sender": "ann@example.com"}, {"flagged": True}].',
        )
    keys = _compile_all(value)
    if len(keys) == 1:
        return keys[0]
    words = _flatten(keys) or ["ALL"]
    if isinstance(words[-1], bytes):
        # imapclient writes the closing parenthesis into the last value, which must
        # not happen to a literal.
        words.append("ALL")
    return [words]


def _not(name: str, value: Any) -> _Keys:
    return ["NOT", *_group(name, value)]


def _any_of(name: str, value: Any) -> _Keys:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        value = None
    groups = [_group(name, each) for each in value or ()]
    if not groups:
        raise ConfigError(
            "any_of takes a list of at least one dictionary of criteria.",
            remedy='For example any_of=[{"sender": "ann@example.com"}, {"flagged": True}].',
        )
    keys = groups[-1]
    for group in reversed(groups[:-1]):
        keys = ["OR", *group, *keys]
    return keys


def _flag(when_true: str, when_false: str) -> Callable[[str, Any], _Keys]:
    def compile_flag(name: str, value: Any) -> _Keys:
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is True or False, not {_kind(value)}.")
        return [when_true if value else when_false]

    return compile_flag


def _text(*words: str) -> Callable[[str, Any], _Keys]:
    def compile_text(name: str, value: Any) -> _Keys:
        text = getattr(value, "address", value)  # an Address stands for its address
        if not isinstance(text, str):
            raise ConfigError(f"{name} is a text, not {_kind(value)}.")
        if not text:
            raise ConfigError(f"{name} is empty.", remedy="Leave it out to find all messages.")
        if _CONTROL.search(text):
            # IMAP commands are lines: a line break would begin another command.
            raise ConfigError(f"{name} contains a control character.")
        try:
            encoded = text.encode()
        except UnicodeEncodeError as exc:
            raise ConfigError(f"{name} contains a character that is not text.") from exc
        return [*words, _Quoted(encoded) if _ATOM_SPECIALS.search(encoded) else encoded]

    return compile_text


def _day(word: str) -> Callable[[str, Any], _Keys]:
    def compile_day(name: str, value: Any) -> _Keys:
        if not isinstance(value, date):  # a datetime is a date too
            raise ConfigError(
                f"{name} is a date, not {_kind(value)}.",
                remedy=f"Give a datetime.date: {name}=date(2026, 1, 31).",
            )
        return [word, date(value.year, value.month, value.day)]

    return compile_day


def _octets(word: str) -> Callable[[str, Any], _Keys]:
    def compile_octets(name: str, value: Any) -> _Keys:
        if not _is_number(value) or not 0 <= value <= _LARGEST_NUMBER:
            raise ConfigError(f"{name} is a number of octets, not {_kind(value)}.")
        return [word, value]

    return compile_octets


def _uid(name: str, value: Any) -> _Keys:
    if isinstance(value, str) and _UID_SET.fullmatch(value):
        return ["UID", value]
    uids = [value] if _is_number(value) else value
    if isinstance(uids, Iterable) and not isinstance(uids, (str, bytes)):
        numbers = list(uids)
        if numbers and all(_is_number(n) and 0 < n <= _LARGEST_NUMBER for n in numbers):
            return ["UID", _sequence_set(numbers)]
    raise ConfigError(
        f"{name} is a message's number or several of them, not {_kind(value)}.",
        remedy='For example uid=7, uid=[7, 9] or uid="100:*".',
    )


def _sequence_set(numbers: Iterable[int]) -> str:
    """Write numbers as IMAP does, runs shortened: 1:3,7."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first}:{last}" if first < last else f"{first}" for first, last in runs)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    # Shown by type only: a criterion's value may be somebody's address or a subject.
    return "nothing" if value is None else f"this {type(value).__name__}"


def _needs_charset(keys: _Keys) -> bool:
    return any(
        _needs_charset(word)
        if isinstance(word, list)
        else isinstance(word, bytes) and not word.isascii()
        for word in keys
    )


_COMPILERS: dict[str, Callable[[str, Any], _Keys]] = {
    "any_of": _any_of,
    "before": _day("BEFORE"),
    "body": _text("BODY"),
    "flagged": _flag("FLAGGED", "UNFLAGGED"),
    "larger": _octets("LARGER"),
    "message_id": _text("HEADER", "Message-ID"),
    "not_": _not,
    "seen": _flag("SEEN", "UNSEEN"),
    "sender": _text("FROM"),
    "since": _day("SINCE"),
    "smaller": _octets("SMALLER"),
    "subject": _text("SUBJECT"),
    "text": _text("TEXT"),
    "to": _text("TO"),
    "uid": _uid,
    "unseen": _flag("UNSEEN", "SEEN"),
}
