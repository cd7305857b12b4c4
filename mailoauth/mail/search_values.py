"""What a search looks for, as IMAP takes it: texts, days and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from datetime import date

LARGEST_NUMBER = 2**32 - 1

# Dovecot hangs up at 64 KiB, which looks like a line that was lost.
_LONGEST_TEXT = 2**15

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Not strftime, whose names of months are those of the user's language.
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def octets_of(name: str, value: Any) -> bytes:
    """Return a text as UTF-8, or a ``ConfigError`` about what it is called."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a text, not {kind(value)}.", remedy=_remedy_for(name, value))
    if _CONTROL.search(value):
        # IMAP commands are lines: a line break would begin another command.
        raise ConfigError(
            f"{name} contains a control character.",
            remedy="A line break at its end goes with .strip(); others cannot be searched for.",
        )
    if len(value) > _LONGEST_TEXT:
        raise ConfigError(
            f"{name} is a text of {len(value)} characters.",
            remedy="Search for some words of it: servers hang up on what is so long.",
        )
    try:
        return value.encode()
    except UnicodeEncodeError:
        # Not chained: the codec's error has the text.
        pass
    raise ConfigError(
        f"{name} contains a character that is not text.",
        remedy='Where it was read from bytes, decode them with errors="replace".',
    )


def _remedy_for(name: str, value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return 'Decode it first: value.decode("utf-8").'
    if isinstance(value, Iterable) and name.isidentifier():
        example = f'{{"{name}": "one"}}, {{"{name}": "another"}}'
        return f"For one of several write any_of=[{example}]."
    return "Give a str."


def day_of(value: date) -> str:
    """Write a day as IMAP does (RFC 9051 section 9, date-text)."""
    return f"{value.day:02}-{_MONTHS[value.month - 1]}-{value.year:04}"


def is_number(value: Any) -> bool:
    """Say whether it is an int; True and False only pass for one."""
    return isinstance(value, int) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """Name a value by its type only: it may be somebody's address or a subject."""
    return "nothing" if value is None else f"this {type(value).__name__}"
