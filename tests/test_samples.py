"""The samples run as they are, as programs of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import Message
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut
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


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_sample_has_under_40_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


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


class Form:
    """The contact form, as somebody's browser sees it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def post(self, **fields: str) -> tuple[int, dict[str, Any], str | None]:
        """Return the status, the answer and when to try again."""
        line = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            line.request(
                "POST", "/contact", json.dumps(fields), {"Content-Type": "application/json"}
            )
            answer = line.getresponse()
            return answer.status, json.load(answer), answer.headers["Retry-After"]
        finally:
            line.close()


@contextmanager
def contact_form() -> Iterator[Form]:
    """Run the FastAPI sample as uvicorn does, until it has said goodbye."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--port",
            "0",
            "--app-dir",
            SAMPLES,
            "fastapi_mailer:app",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAILOAUTH_ADDRESS": ADA},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        try:
            listening = None
            while listening is None:
                said = process.stderr.readline()
                assert said, "it ended before it listened"
                listening = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            yield Form(int(listening[1]))
        finally:
            process.terminate()
            process.stderr.read()


def test_the_contact_form_sends_over_one_connection(outlook: OutlookEmulator) -> None:
    with contact_form() as form:
        answers = [form.post(email="bob@example.org", text=f"text {n}") for n in range(3)]
    received = [Message.from_bytes(sent.raw) for sent in outlook.sent]
    assert answers == [(202, {"message_id": one.message_id}, None) for one in received]
    assert [one.text.strip() for one in received] == ["text 0", "text 1", "text 2"]
    assert {one.headers["Reply-To"] for one in received} == {"bob@example.org"}
    assert {sent.recipients for sent in outlook.sent} == {(ADA,)}
    (connection,) = [one for one in outlook.connections if one.protocol == "smtp"]
    assert connection.commands[-1] == "QUIT"


def test_the_contact_form_tells_what_went_wrong_and_when_to_try_again(
    outlook: OutlookEmulator,
) -> None:
    note = {"email": "bob@example.org", "text": "text"}
    with contact_form() as form:
        outlook.throttle("smtp", "432 4.3.2 Suggested Backoff Time: 90000 milliseconds")
        assert form.post(**note) == (503, {"error": "Throttled"}, "90")
        outlook.on("smtp", "MAIL", Cut(), times=2)
        assert form.post(**note) == (503, {"error": "ConnectionFailed"}, "30")
        outlook.on("smtp", ".", Cut())
        assert form.post(**note) == (502, {"error": "DeliveryUnknown"}, None)
        outlook.refuse_recipient(ADA, "550 5.1.1 no such user")
        assert form.post(**note) == (502, {"error": "RecipientsRefused"}, None)
        assert form.post(email="bob\nBcc: eve@example.org", text="text")[0] == 422
        outlook.disconnect("smtp")
        outlook.revoke(ADA)
        outlook.expire_tokens()
        assert form.post(**note) == (502, {"error": "SignInRequired"}, None)
    assert outlook.sent == []
