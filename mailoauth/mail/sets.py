"""Sets of UIDs as IMAP writes them, runs shortened: ``1:3,7`` (RFC 9051 section 9)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The first and the last number of a run; the last of ``100:*`` is infinity.
Run: TypeAlias = tuple[int, float]

#: Octets of one set: RFC 7162 section 4 lets a command line have 8,192, Exchange takes 10,240.
_LONGEST: Final = 7000
_SET: Final = re.compile(r"[1-9][0-9]*(:([1-9][0-9]*|\*))?(,[1-9][0-9]*(:([1-9][0-9]*|\*))?)*")


def sequence_set(numbers: Iterable[int]) -> str:
    """Write numbers as one set, sorted and each once, however long it is."""
    return written_runs(runs_of(numbers))


def sequence_sets(numbers: Iterable[int]) -> Iterator[str]:
    """Write numbers as sets that fit into a command line each; none for no numbers."""
    words: list[str] = []
    length = 0
    for run in runs_of(numbers):
        word = written_runs([run])
        if words and length + len(word) > _LONGEST:
            yield ",".join(words)
            words, length = [], 0
        words.append(word)
        length += len(word) + 1
    if words:
        yield ",".join(words)


def runs_of(numbers: Iterable[int]) -> list[Run]:
    """Return the runs that the numbers make, ascending."""
    if isinstance(numbers, range) and numbers.step == 1:  # it may be of billions
        return [(numbers.start, numbers.stop - 1)] if numbers else []
    return _merged((number, number) for number in numbers)


def runs_in(text: str) -> list[Run]:
    """Return the runs of a set as IMAP writes it, none if that is not what it is."""
    if not _SET.fullmatch(text):
        return []
    pairs = (run.partition(":") for run in text.split(","))
    ends = ((int(first), _number(last or first)) for first, _, last in pairs)
    return _merged((int(min(each)), max(each)) for each in ends)  # 9:7 is 7:9


def written_runs(runs: Iterable[Run]) -> str:
    """Write runs as IMAP does, ``1:3,7``."""
    return ",".join(f"{first}:{last}" if first < last else f"{first}" for first, last in runs)


def _number(text: str) -> float:
    return math.inf if text == "*" else int(text)


def _merged(runs: Iterable[Run]) -> list[Run]:
    merged: list[Run] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
