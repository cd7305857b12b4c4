"""Runs of one work, contender after contender, and their table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.common.rows import Row, Table, attempt, disagreement, start
from tests.benchmarks.reading.contenders.table import BULK, CONTENDERS, FLOOR
from tests.benchmarks.reading.works import SLOW_WHEN_FAR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.reading.lab import Lab
    from tests.benchmarks.reading.works import Work

__all__ = ["Row", "compete", "disagreement", "table"]

_TABLE = Table(CONTENDERS, {"floor": FLOOR, "bulk": BULK})


def compete(lab: Lab, work: Work, rounds: int) -> dict[str, Row]:
    """Let everybody do the work, in turn, so that a busy moment of the machine hits all."""
    rows = start(work.contenders, CONTENDERS)
    lab.prepare(work)
    for number in range(rounds):
        for name, row in rows.items():
            once = work.line == "long" and name in SLOW_WHEN_FAR
            if not (once and number):
                attempt(row, partial(lab.run, name, work))
    return rows


def table(work: Work, rows: dict[str, Row], rounds: int) -> Iterator[str]:
    """Give the lines of the table."""
    yield f"{work.name}: {work.title} (medians of {rounds})"
    yield _TABLE.columns()
    yield from _TABLE.lines(rows, rounds, work.count)
    if differing := disagreement(rows):
        yield f"  THEY DISAGREE: {differing}"
    elif agreed := [name for name, row in rows.items() if row.proofs - {""}]:
        yield f"  {len(agreed)} agree on what they read"
