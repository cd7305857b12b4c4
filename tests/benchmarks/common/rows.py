"""Runs of one work, contender after contender, and the table of their medians."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.common.runs import RunFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.benchmarks.common.contender import Contender
    from tests.benchmarks.common.runs import Run


@dataclass(slots=True)
class Row:
    """A contender's runs; ``trouble`` says why there are none."""

    runs: list[Run] = field(default_factory=list)
    trouble: str = ""

    def median(self, value: Callable[[Run], float]) -> float:
        """Return the median of something over the runs."""
        return statistics.median(map(value, self.runs))

    @property
    def proofs(self) -> set[str]:
        """The checksums of all runs."""
        return {run.done.proof for run in self.runs}


def start(names: Sequence[str], contenders: Mapping[str, Contender]) -> dict[str, Row]:
    """Return empty rows; those who cannot take part have their trouble in it."""
    return {name: Row(trouble=contenders[name].missing) for name in names}


def attempt(row: Row, run: Callable[[], Run]) -> None:
    """Add a run to a row that has no trouble; one that fails is the end of the row."""
    if row.trouble:
        return
    try:
        row.runs.append(run())
    except RunFailed as error:
        row.trouble = str(error)
        row.runs.clear()


def disagreement(rows: Mapping[str, Row]) -> str:
    """Return whose proofs are which where not all are the same, "" where they are."""
    proofs = {name: row.proofs - {""} for name, row in rows.items() if row.proofs - {""}}
    if len(set().union(*proofs.values())) <= 1:
        return ""
    return ", ".join(f"{name}: {' '.join(sorted(found))}" for name, found in proofs.items())


@dataclass(frozen=True, slots=True)
class Table:
    """Seconds and MiB, medians of the rounds; ``references`` are what a column "x ..." divides by."""

    contenders: Mapping[str, Contender]
    references: Mapping[str, str]

    def columns(self) -> str:
        """Return the headings."""
        times = "".join(f"{f'x {name}':>10}" for name in self.references)
        line = f"{'':30}{'whole':>9}{times}{'work':>10}{times}"
        return f"{line}{'per message':>13}{'CPU':>9}{'peak':>10}{'extra':>11}"

    def lines(self, rows: Mapping[str, Row], rounds: int, count: int) -> Iterator[str]:
        """Give a line for each contender; ``count`` is how many messages one run had."""
        for name, row in rows.items():
            title = self.contenders[name].title
            line = self._line(row, rows, count) if row.runs else "   " + row.trouble
            yield f"  {title:28}{line}"
            if 0 < len(row.runs) < rounds:
                yield f"  {'':28}   ({len(row.runs)} run only)"

    def _line(self, row: Row, rows: Mapping[str, Row], count: int) -> str:
        line = ""
        values: tuple[Callable[[Run], float], ...] = (lambda run: run.wall, lambda run: run.work)
        for value, width in zip(values, (9, 10), strict=True):
            line += f"{row.median(value):{width - 2}.3f} s"
            for other in self.references.values():
                line += _ratio(row, rows.get(other), value)
        per_message = row.median(lambda run: run.work) / count * 1e6
        line += f"{per_message:10,.0f} us{row.median(lambda run: run.cpu):7.2f} s"
        line += f"{row.median(lambda run: run.peak) / 1024:6.0f} MiB"
        extra = [run.done.extra for run in row.runs if run.done.extra is not None]
        return line + (f"{statistics.median(extra) / 1024:7.1f} MiB" if extra else "")


def _ratio(row: Row, other: Row | None, value: Callable[[Run], float]) -> str:
    if other is None or not other.runs:
        return " " * 10
    return f"{row.median(value) / other.median(value):10.2f}"
