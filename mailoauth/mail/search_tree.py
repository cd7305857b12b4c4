"""What a search is made of, criteria under AND, OR and NOT, and how IMAP writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: What a search key is written of: text as it is, values to be quoted, and parentheses.
Word: TypeAlias = "str | bytes | tuple[Word, ...]"
Words: TypeAlias = "tuple[Word, ...]"

# Servers bound the length of a line and of a quoted string, not so low that of a literal.
_LONGEST_QUOTED = 1000


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is asked of a message: by its keyword, and as words of exactly one key."""

    keyword: str
    value: Any = field(repr=False)  # it names correspondents and subjects
    words: Words = field(repr=False)


@dataclass(frozen=True, slots=True)
class Every:
    """True if all of its keys are; so it is of none."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True if one of its keys is; so it is not of none."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """True if its key is not."""

    key: Key


Key: TypeAlias = Criterion | Every | Either | Negated

EVERYTHING = Every(())
NOTHING = Either(())


def every(keys: Iterable[Key]) -> Key:
    """Join keys that must all be true."""
    flat: list[Key] = []
    for key in keys:
        if key == NOTHING:
            return NOTHING
        flat.extend(key.keys if isinstance(key, Every) else (key,))
    kept = tuple(dict.fromkeys(flat))  # widening leaves many of one
    return kept[0] if len(kept) == 1 else Every(kept)


def either(keys: Iterable[Key]) -> Key:
    """Join keys of which one must be true."""
    flat: list[Key] = []
    for key in keys:
        if key == EVERYTHING:
            return EVERYTHING
        flat.extend(key.keys if isinstance(key, Either) else (key,))
    kept = tuple(dict.fromkeys(flat))
    return kept[0] if len(kept) == 1 else Either(kept)


def negated(key: Key) -> Key:
    """Turn a key round."""
    if key == EVERYTHING:
        return NOTHING
    if key == NOTHING:
        return EVERYTHING
    return key.key if isinstance(key, Negated) else Negated(key)


def criteria_in(key: Key) -> Iterator[Criterion]:
    """Yield every criterion in a tree."""
    if isinstance(key, Criterion):
        yield key
    elif isinstance(key, Negated):
        yield from criteria_in(key.key)
    else:
        for each in key.keys:
            yield from criteria_in(each)


def is_ascii(key: Key) -> bool:
    """Say whether a server needs no charset to understand it."""
    return all(_is_ascii(criterion.words) for criterion in criteria_in(key))


def _is_ascii(words: Words) -> bool:
    return all(_is_ascii(word) if isinstance(word, tuple) else word.isascii() for word in words)


def widened(key: Key, *, wide: bool = True) -> Key:
    """Return an ASCII key that is true of all messages that this one is true of, and of more.

    With ``wide=False`` it is true of none that this one is not true of: what NOT needs.
    """
    if isinstance(key, Criterion):
        unknown = EVERYTHING if wide else NOTHING
        return key if _is_ascii(key.words) else unknown
    if isinstance(key, Negated):
        return negated(widened(key.key, wide=not wide))
    join = every if isinstance(key, Every) else either
    return join(widened(each, wide=wide) for each in key.keys)


def words_of(key: Key) -> Words:
    """Return the words of search keys that must all be true (RFC 9051 section 6.4.4)."""
    if isinstance(key, Criterion):
        return key.words
    if isinstance(key, Negated):
        return ("NOT", *_one_key(key.key))
    if isinstance(key, Either):
        return _alternatives(key.keys)
    return tuple(word for each in key.keys for word in words_of(each)) or ("ALL",)


def _one_key(key: Key) -> Words:
    words = words_of(key)
    return (words,) if isinstance(key, Every) and key.keys else words


def _alternatives(keys: Sequence[Key]) -> Words:
    """Write OR, which takes two keys, as a tree: a chain of 1,000 would be 1,000 deep."""
    if not keys:
        return ("NOT", "ALL")
    if len(keys) == 1:
        return _one_key(keys[0])
    middle = len(keys) // 2
    return ("OR", *_alternatives(keys[:middle]), *_alternatives(keys[middle:]))


class Literal(bytes):
    """A value that is announced by its length instead of quoted (RFC 9051 section 4.3)."""

    __slots__ = ()


def written(words: Words) -> Iterator[bytes]:
    """Yield what is sent, piece by piece; what cannot be quoted as a :class:`Literal`."""
    if len(words) == 1 and isinstance(words[0], tuple):
        words = words[0]  # nothing is beside it that the parentheses would keep it from
    yield from _written(words)


def _written(words: Words) -> Iterator[bytes]:
    for position, word in enumerate(words):
        if position:
            yield b" "
        if isinstance(word, str):
            yield word.encode("ascii")
        elif isinstance(word, tuple):
            yield b"("
            yield from _written(word)
            yield b")"
        elif word.isascii() and len(word) <= _LONGEST_QUOTED:
            yield b'"' + word.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            yield Literal(word)
