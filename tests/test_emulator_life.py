"""How the embedded Outlook starts, ends, keeps quiet and keeps up."""

from __future__ import annotations

import imaplib
import os
import smtplib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Silent
from tests.emulator_clients import (
    ADA,
    BOB,
    MAIL,
    mail_from,
    opened,
    sign_in,
    smtp,
    submitting,
    token,
    wire_opened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDED = b"* BYE Session invalidated - AccessTokenExpired"


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        yield emulator


class TestTokens:
    @pytest.mark.parametrize("revoked", [True, False])
    def test_a_live_session_ends_at_its_next_command(
        self, outlook: OutlookEmulator, *, revoked: bool
    ) -> None:
        with wire_opened(outlook) as wire:
            assert wire.ask(b"A2 NOOP") == [b"A2 OK NOOP completed."]
            if revoked:
                outlook.revoke(ADA)
            else:
                outlook.expire_tokens()
            assert wire.ask(b"A3 NOOP")[0] == ENDED
            assert wire.line() == b""

    def test_a_token_ends_by_the_clock(self) -> None:
        with OutlookEmulator(token_life=0.5) as outlook:
            outlook.add_user(ADA)
            access_token = token(outlook)
            ends = outlook.identity.token_lives_until(access_token)
            assert ends is not None
            with wire_opened(outlook, access_token) as wire:
                wire.ask(b"A2 SELECT INBOX")
                wire.say(b"A3 IDLE")
                wire.line()
                assert wire.line() == ENDED
                assert time.time() >= ends

    def test_an_expired_token_is_refused_by_both_servers(self, outlook: OutlookEmulator) -> None:
        old = token(outlook)
        outlook.expire_tokens()
        with pytest.raises(imaplib.IMAP4.error):
            opened(outlook, ADA, old)
        with smtp(outlook) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            sign_in(client, ADA, old)
        with opened(outlook):
            pass

    def test_a_submission_session_outlives_its_token(self, outlook: OutlookEmulator) -> None:
        with submitting(outlook) as client:
            outlook.expire_tokens()
            client.sendmail(ADA, [BOB], mail_from(ADA))


class TestCleanliness:
    def test_it_ends_with_clients_on_the_line(self) -> None:
        before = set(threading.enumerate())  # an emulator of another test may live on
        with OutlookEmulator() as outlook:
            outlook.add_user(ADA)
            wire = wire_opened(outlook)
            wire.ask(b"A2 SELECT INBOX")
            wire.say(b"A3 IDLE")
            wire.line()
            outlook.on("imap", "NOOP", Silent())
            silent = wire_opened(outlook)
            silent.say(b"A2 NOOP")
            client = submitting(outlook)
            halfway = submitting(outlook)
            halfway.mail(ADA)
            halfway.rcpt(ADA)
            halfway.docmd("DATA")
        for each in (wire, silent):
            each.socket.close()
        for connection in (client, halfway):
            connection.close()
        left = set(threading.enumerate()) - before
        assert not any(thread.name.startswith("emulated") for thread in left)

    def test_what_it_saw_can_be_asked_after_it_has_ended(self) -> None:
        with OutlookEmulator() as outlook:
            outlook.add_user(ADA)
            outlook.deliver(ADA, MAIL)
        assert [message.raw for message in outlook.messages(ADA)] == [MAIL]

    def test_a_token_in_the_wrong_place_is_not_written_down(self, outlook: OutlookEmulator) -> None:
        access_token = token(outlook)
        with wire_opened(outlook, access_token) as wire:
            assert wire.ask(b"A2 " + access_token.encode()) == [b"A2 BAD Command Error. 10"]
        assert outlook.connections[0].commands == ["AUTHENTICATE", "?"]

    def test_a_process_that_never_closes_it_ends_without_a_word(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "from mailoauth.emulator import OutlookEmulator\n"
            "OutlookEmulator().__enter__().add_user('ada@example.com')\n",
            encoding="utf-8",
        )
        ended = _python(str(script))
        assert (ended.returncode, ended.stderr) == (0, "")

    def test_no_secret_and_no_mail_is_logged(
        self, outlook: OutlookEmulator, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        access_token = token(outlook)
        with smtp(outlook) as client:
            sign_in(client, ADA, access_token)
            client.sendmail(ADA, [BOB], mail_from(ADA))
        with opened(outlook, BOB) as mailbox:
            mailbox.select()
            mailbox.fetch("1", "(RFC822)")
        assert access_token not in caplog.text
        assert "All is well" not in caplog.text
        assert access_token not in repr(outlook.connections)

    def test_a_missing_extra_is_named_with_the_pip_line(self, tmp_path: Path) -> None:
        (tmp_path / "pymap.py").write_text(
            "raise ModuleNotFoundError('No module named pymap', name='pymap')\n", encoding="utf-8"
        )
        ended = _python("-c", "from mailoauth.emulator import OutlookEmulator", path=tmp_path)
        assert 'pip install "mailoauth[emulator]"' in ended.stderr

    def test_the_plugin_loads_nothing(self) -> None:
        heavy = "{'pymap', 'aiosmtpd', 'uvicorn', 'trustme', 'ssl', 'msal', 'mailoauth.accounts'}"
        ended = _python(
            "-c",
            "import sys; before = set(sys.modules); import mailoauth.emulator.plugin\n"
            f"sys.exit(str(sorted({heavy} & (set(sys.modules) - before)) or ''))",
        )
        assert ended.stderr.strip() == ""


KNOCKING = """
import gc, socket
from mailoauth.emulator import OutlookEmulator

for _ in range(25):
    with OutlookEmulator() as outlook:
        for port in (outlook.imap.port, outlook.smtp.port, outlook.identity.port):
            for host in ("127.0.0.1", "::1"):
                socket.create_connection((host, port)).close()
    gc.collect()
"""


def test_clients_that_come_at_the_last_moment_leave_no_socket_open() -> None:
    done = _python("-c", KNOCKING)
    assert done.returncode == 0
    assert "unclosed" not in done.stderr


def _python(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parent.parent
    search = os.pathsep.join(str(folder) for folder in (path, root) if folder)
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
