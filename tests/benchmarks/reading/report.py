"""Runs of one work, contender after contender, and their table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.reading.contenders.table import BULK, CONTENDERS, FLOOR
from tests.benchmarks.reading.runs import RunFailed
from tests.benchmarks.reading.works import SLOW_WHEN_FAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.reading.lab import Lab
    from tests.benchmarks.reading.runs import Run
    from tests.benchmarks.reading.works import Work

_COLUMNS = f"{'':30}{'whole':>9}{'x floor':>9}{'x bulk':>8}{'work':>10}{'x floor':>9}{'x bulk':>8}"
_MORE_COLUMNS = f"{'per message':>13}{'CPU':>9}{'peak':>10}{'extra':>11}"


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


def compete(lab: Lab, work: Work, rounds: int) -> dict[str, Row]:
    """Let everybody do the work, in turn, so that a busy moment of the machine hits all."""
    rows = {name: Row() for name in work.contenders}
    for name, row in rows.items():
        if not CONTENDERS[name].installed:
            row.trouble = f"{CONTENDERS[name].package} is not installed"
    lab.prepare(work)
    for number in range(rounds):
        for name, row in rows.items():
            once = work.line == "long" and name in SLOW_WHEN_FAR
            if row.trouble or (once and number):
                continue
            try:
                row.runs.append(lab.run(name, work))
            except RunFailed as error:
                row.trouble = str(error)
                row.runs.clear()
    return rows


def disagreement(rows: dict[str, Row]) -> str:
    """Return who read what where not all read the same, "" where they did."""
    proofs = {name: row.proofs - {""} for name, row in rows.items() if row.proofs - {""}}
    if len(set().union(*proofs.values())) <= 1:
        return ""
    return ", ".join(f"{name}: {' '.join(sorted(found))}" for name, found in proofs.items())


def table(work: Work, rows: dict[str, Row], rounds: int) -> Iterator[str]:
    """Give the lines of the table: seconds and MiB, medians of the rounds."""
    yield f"{work.name}: {work.title} (medians of {rounds})"
    yield _COLUMNS + _MORE_COLUMNS
    for name, row in rows.items():
        title = CONTENDERS[name].title
        yield f"  {title:28}{_line(work, row, rows) if row.runs else '   ' + row.trouble}"
        if 0 < len(row.runs) < rounds:
            yield f"  {'':28}   ({len(row.runs)} run only)"
    if differing := disagreement(rows):
        yield f"  THEY DISAGREE: {differing}"
    elif agreed := [name for name, row in rows.items() if row.proofs - {""}]:
        yield f"  {len(agreed)} agree on what they read"


def _line(work: Work, row: Row, rows: dict[str, Row]) -> str:
    line = ""
    values: tuple[Callable[[Run], float], ...] = (lambda run: run.wall, lambda run: run.work)
    for value, width in zip(values, (9, 10), strict=True):
        line += f"{row.median(value):{width - 2}.3f} s"
        line += _ratio(row, rows.get(FLOOR), value, 9) + _ratio(row, rows.get(BULK), value, 8)
    per_message = row.median(lambda run: run.work) / work.count * 1e6
    line += f"{per_message:10,.0f} us{row.median(lambda run: run.cpu):7.2f} s"
    line += f"{row.median(lambda run: run.peak) / 1024:6.0f} MiB"
    extra = [run.done.extra for run in row.runs if run.done.extra is not None]
    return line + (f"{statistics.median(extra) / 1024:7.1f} MiB" if extra else "")


def _ratio(row: Row, other: Row | None, value: Callable[[Run], float], width: int) -> str:
    if other is None or not other.runs:
        return " " * width
    return f"{row.median(value) / other.median(value):{width}.2f}"
