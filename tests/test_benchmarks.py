"""The benchmarks still run, and all that take part read or send the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.common.job import Done
from tests.benchmarks.common.runs import Run
from tests.benchmarks.reading import report
from tests.benchmarks.reading.contenders.table import CONTENDERS, FLOOR
from tests.benchmarks.reading.lab import Lab
from tests.benchmarks.reading.works import Sizes, Work, works
from tests.benchmarks.sending import report as sending_report
from tests.benchmarks.sending.__main__ import TOKEN_SIZE
from tests.benchmarks.sending.contenders.table import CONTENDERS as SENDERS
from tests.benchmarks.sending.contenders.table import FLOOR as SENDING_FLOOR
from tests.benchmarks.sending.contenders.table import SMTPLIB
from tests.benchmarks.sending.lab import Lab as SendingLab
from tests.benchmarks.sending.works import Sizes as SendingSizes
from tests.benchmarks.sending.works import Work as SendingWork
from tests.benchmarks.sending.works import works as sending_works
from tests.real.servers import running

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = Sizes(small=5, large=2, large_octets=20_000, append=3, save_octets=300_000, scale=(4,))
TINY_SENDING = sending_works(SendingSizes(many=4, delayed=3, memory=20))
WORKS = [work for group in works(TINY).values() for work in group]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running() as servers, Lab(servers, TINY) as started:
        yield started


@pytest.fixture(scope="module")
def sending_lab() -> Iterator[SendingLab]:
    with running(token_size=TOKEN_SIZE) as servers, SendingLab(servers) as started:
        yield started


@pytest.mark.real
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("work", WORKS, ids=[work.name for work in WORKS])
def test_whoever_is_installed_does_the_work_and_reads_the_same(lab: Lab, work: Work) -> None:
    rows = report.compete(lab, work, 1)
    for name, row in rows.items():
        if not CONTENDERS[name].missing:
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


@pytest.mark.real
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("work", TINY_SENDING.values(), ids=TINY_SENDING)
def test_whoever_is_installed_sends_every_letter_once_and_all_the_same(
    sending_lab: SendingLab, work: SendingWork
) -> None:
    rows = sending_report.compete(sending_lab, work, 1, warm_up=False)
    for name, row in rows.items():
        if not SENDERS[name].missing:
            assert [run.done.count for run in row.runs] == [work.count], row.trouble
    assert sending_report.disagreement(rows) == ""
    if work.verb:  # a script of one message puts in what it likes
        assert all(row.proofs != {""} for row in rows.values() if row.runs)


def test_a_table_of_sending_divides_by_the_floor_and_by_smtplib() -> None:
    rows = {
        SENDING_FLOOR: sending_report.Row([_run(1.0, "a")]),
        "mailoauth_3": sending_report.Row([_run(2.0, "a")]),
        SMTPLIB: sending_report.Row([_run(4.0, "a")]),
    }
    _, _, _, ours, *_, verdict = sending_report.table(TINY_SENDING["many"], rows, 1)
    assert ours.split()[2:10] == ["2.000", "s", "2.00", "0.50", "2.000", "s", "2.00", "0.50"]
    assert verdict.split()[:5] == ["3", "put", "in", "the", "same,"]
