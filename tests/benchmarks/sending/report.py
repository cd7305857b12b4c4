"""Runs of one work, and their table."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.common.rows import Row, Table, attempt, disagreement, start
from tests.benchmarks.sending.contenders.table import CONTENDERS, FLOOR
from tests.benchmarks.sending.works import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.sending.lab import Lab
    from tests.benchmarks.sending.works import Work

__all__ = ["Row", "compete", "disagreement", "table"]


def compete(lab: Lab, work: Work, rounds: int, *, warm_up: bool = True) -> dict[str, Row]:
    """Let everybody do the work, in another order every round.

    Before the first is one to warm up, which does not count: it writes the compiled modules.
    """
    rows = start(work.contenders, CONTENDERS)
    chance = random.Random("the order of contenders")
    if warm_up:
        for name in set(rows) - SLOW:
            attempt(rows[name], partial(lab.run, name, work))
            rows[name].runs.clear()
    for _ in range(rounds):
        for name in chance.sample(list(rows), len(rows)):
            if name not in SLOW or not rows[name].runs:
                attempt(rows[name], partial(lab.run, name, work))
    return rows


def table(work: Work, rows: dict[str, Row], rounds: int) -> Iterator[str]:
    """Give the lines of the table."""
    form = Table(CONTENDERS, {"floor": FLOOR, "smtplib": work.smtplib})
    yield f"{work.name}: {work.title} (medians of {rounds})"
    yield form.columns()
    yield from form.lines(rows, rounds, work.count)
    for name, row in rows.items():
        if row.runs and row.runs[-1].done.note:
            yield f"  {CONTENDERS[name].title}: {row.runs[-1].done.note}"
    if differing := disagreement(rows):
        yield f"  THEY DISAGREE: {differing}"
    elif agreed := [name for name, row in rows.items() if row.proofs - {""}]:
        yield f"  {len(agreed)} put in the same, each letter once"
