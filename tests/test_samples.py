"""The samples run as they are, as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, MAIL, ROOT, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAMPLES = ROOT / "samples"


@pytest.fixture
def outlook(capsys: pytest.CaptureFixture[str]) -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        World(emulator, capsys).sign_in()
        yield emulator


def run(name: str, *argv: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SAMPLES / name), *argv],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAILOAUTH_ADDRESS": ADA, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["fetch_unseen.py", "file_reports.py", "send_report.py"])
def test_a_sample_has_under_40_lines(name: str) -> None:
    assert len((SAMPLES / name).read_text().splitlines()) < 40


def test_fetch_unseen_prints_saves_and_marks(outlook: OutlookEmulator, tmp_path: Path) -> None:
    outlook.deliver(ADA, MAIL)
    done = run("fetch_unseen.py", folder=tmp_path, SAVE_TO="new")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ann@example.org  Hello" in done.stdout
    assert (tmp_path / "new" / "plan.pdf").read_bytes() == b"a plan"
    assert [message.flags for message in outlook.messages(ADA)] == [{"\\Seen"}]
    again = run("fetch_unseen.py", folder=tmp_path, SAVE_TO="new")
    assert (again.returncode, again.stdout) == (0, "")


def test_file_reports_saves_and_moves(outlook: OutlookEmulator, tmp_path: Path) -> None:
    outlook.deliver(ADA, MAIL)
    outlook.deliver(ADA, b"From: bob@example.org\r\nSubject: not a report\r\n\r\n")
    done = run("file_reports.py", folder=tmp_path, REPORTS_FROM="ann@example.org")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "reports" / "plan.pdf").read_bytes() == b"a plan"
    (left,) = outlook.messages(ADA)
    assert (b"not a report" in left.raw, left.flags) == (True, frozenset())
    assert [message.flags for message in outlook.messages(ADA, "Reports")] == [{"\\Seen"}]
    again = run("file_reports.py", folder=tmp_path, REPORTS_FROM="ann@example.org")
    assert (again.returncode, again.stdout) == (0, "")


def test_send_report_sends_the_file(outlook: OutlookEmulator, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(b"Q1,47\n")
    done = run("send_report.py", "report.csv", folder=tmp_path, REPORT_TO=f"bob@example.org, {ADA}")
    assert (done.returncode, done.stderr) == (0, "")
    (sent,) = outlook.sent
    assert set(sent.recipients) == {"bob@example.org", ADA}
    (file,) = Message.from_bytes(sent.raw).attachments
    assert (file.filename, file.content) == ("report.csv", b"Q1,47\n")


def test_send_report_fails_where_somebody_did_not_get_it(
    outlook: OutlookEmulator, tmp_path: Path
) -> None:
    outlook.refuse_recipient("bob@example.org", "550 5.1.1 no such user")
    done = run("send_report.py", folder=tmp_path, REPORT_TO=f"bob@example.org, {ADA}")
    assert done.returncode == 1
    assert "bob@example.org was refused: 550 5.1.1 no such user" in done.stderr
