"""The benchmarks still run, and all that take part read the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.reading import report
from tests.benchmarks.reading.contenders.table import CONTENDERS, FLOOR
from tests.benchmarks.reading.job import Done
from tests.benchmarks.reading.lab import Lab
from tests.benchmarks.reading.runs import Run
from tests.benchmarks.reading.works import Sizes, Work, works
from tests.real.servers import running

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = Sizes(small=5, large=2, large_octets=20_000, append=3, save_octets=300_000, scale=(4,))
WORKS = [work for group in works(TINY).values() for work in group]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running() as servers, Lab(servers, TINY) as started:
        yield started


@pytest.mark.real
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("work", WORKS, ids=[work.name for work in WORKS])
def test_whoever_is_installed_does_the_work_and_reads_the_same(lab: Lab, work: Work) -> None:
    rows = report.compete(lab, work, 1)
    for name, row in rows.items():
        if CONTENDERS[name].installed:
            assert [run.done.count for run in row.runs] == [work.count], row.trouble
    assert report.disagreement(rows) == ""
    if work.verb not in {"append", "scale"}:  # where nothing is decoded
        assert all(row.proofs != {""} for name, row in rows.items() if row.runs and name != FLOOR)


def test_a_table_has_a_line_a_contender_and_says_who_disagrees() -> None:
    work = works(TINY)["raw"][0]
    rows = {
        FLOOR: report.Row([_run(1.0, "")]),
        "mailoauth": report.Row([_run(1.0, "a"), _run(2.0, "a"), _run(9.0, "a")]),
        "imaplib_alone": report.Row([_run(4.0, "b")]),
        "imapclient_alone": report.Row(trouble="is not installed"),
    }
    _, _, floor, ours, imaplib, imapclient, verdict = report.table(work, rows, 1)
    assert floor.split()[4:7] == ["1.000", "s", "1.00"]
    assert ours.split()[1:4] == ["2.000", "s", "2.00"]
    assert imaplib.split()[1:4] == ["4.000", "s", "4.00"]
    assert imapclient.split() == ["imapclient", "is", "not", "installed"]
    assert verdict.split() == ["THEY", "DISAGREE:", "mailoauth:", "a,", "imaplib_alone:", "b"]


def _run(wall: float, proof: str) -> Run:
    return Run(wall=wall, cpu=wall, work=wall, peak=1024, done=Done(5, proof))
