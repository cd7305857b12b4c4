"""Search keys that an expert wrote, kept from ending their line or eating what follows."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from mailoauth.errors import ConfigError
from mailoauth.mail.search_values import day_of, is_number, kind, octets_of

if TYPE_CHECKING:
    from mailoauth.mail.search_tree import Word, Words

_DEEPEST = 40
_PRINTABLE = re.compile(r"[ -~]+")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\["\\])*"')
_LITERAL = re.compile(r"\{[0-9]+[+-]?\}")
_EXAMPLE = 'For example raw=["OR", "KEYWORD", "$Label1", "SUBJECT", b"two words"].'


def raw_words(name: str, value: Any, depth: int = 0) -> Words:
    """Return the words of a list of search keys; one in which something is amiss is refused."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(
            f"{name} takes a list of search keys, not {kind(value)}.", remedy=_EXAMPLE
        )
    if depth > _DEEPEST:
        raise ConfigError(
            f"The lists in {name} are nested more than {_DEEPEST} deep.",
            remedy="Does one of them contain itself?",
        )
    words = tuple(_word(name, each, depth) for each in value)
    _check(name, words)
    return words


def _word(name: str, value: Any, depth: int) -> Word:
    if isinstance(value, str):
        return _as_it_is(name, value)
    if isinstance(value, bytes):
        return _quoted(name, value)
    if isinstance(value, date):
        return day_of(value)
    if is_number(value) and value >= 0:
        return str(value)
    if isinstance(value, (list, tuple)):
        return raw_words(name, value, depth + 1)
    raise ConfigError(
        f"{name} takes texts, bytes, dates, numbers that are not negative, and lists, "
        f"not {kind(value)}.",
        remedy=_EXAMPLE,
    )


def _as_it_is(name: str, text: str) -> str:
    if not _PRINTABLE.fullmatch(text):
        raise ConfigError(
            f"A search key in {name} is empty or has characters other than printable ASCII.",
            remedy='Give a value as bytes, which are quoted: "...".encode().',
        )
    return text


def _quoted(name: str, value: bytes) -> bytes:
    try:
        return octets_of(f"A value in {name}", value.decode())
    except UnicodeDecodeError:
        pass  # not chained: the codec's error has the value
    raise ConfigError(
        f"A value in {name} is not UTF-8.", remedy='Encode it as UTF-8: "...".encode().'
    )


def _check(name: str, words: Words) -> None:
    """Refuse what would reach beyond its list, or change what the server answers with."""
    first = words[0] if isinstance(words[0], str) else ""
    if first.partition(" ")[0].upper() in {"CHARSET", "RETURN"}:
        raise ConfigError(
            f"{name} takes search keys alone, neither CHARSET nor RETURN.",
            remedy="Leave it out: UTF-8 is announced where a value needs it.",
        )
    # A quote that were open before a literal would make a command of the value.
    text = " ".join(word if isinstance(word, str) else "\n" for word in words)
    bare = _QUOTED.sub("", text)
    if '"' in bare or not _is_balanced(bare):
        raise ConfigError(
            f"{name} has a quote or a parenthesis that has no partner.",
            remedy="Give values as bytes, which are quoted, and parentheses as lists.",
        )
    if _LITERAL.search(bare):
        # The server would wait for what it announces, and we for the server.
        raise ConfigError(f"{name} announces a literal.", remedy="Give the value as bytes instead.")


def _is_balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0
