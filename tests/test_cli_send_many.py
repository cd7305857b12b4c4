"""`mailoauth send-many` against the emulator: the list, the template, the run and its end."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message, save_account
from mailoauth.cli.mailing import Mailing
from mailoauth.cli.merging import MessageTemplate
from mailoauth.cli.rows import opened
from mailoauth.cli.sending import Sending
from mailoauth.emulator import Cut, OutlookEmulator, Silent
from mailoauth.errors import ConnectionFailed
from mailoauth.mail.many import Progress
from mailoauth.mail.receipt import SendReceipt
from tests.cli_world import ADA, ROOT, Terminal, World
from tests.merging_world import LIST, sent, smtp_connections, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailoauth.cli.mailing import Letter


@pytest.fixture
def world(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def limit_day(world: World, recipients: int) -> None:
    account = world.emulator.account(ADA)
    provider = dataclasses.replace(account.provider, name="small", recipients_per_day=recipients)
    save_account(dataclasses.replace(account, provider=provider))


# What becomes of the messages


def test_failures_are_told_with_line_and_reason_and_the_others_go_out(world: World) -> None:
    world.emulator.refuse_recipient("cy@example.org", "550 5.1.1 no such user")
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert (done.code, done.out) == (6, "")
    assert "line 3 (cy@example.org) was not sent:" in done.err
    assert "550 5.1.1 no such user" in done.err
    assert "2 of 3 messages sent, 1 not sent." in done.err
    assert sorted(sent(world)) == ["bob@example.org", "di@example.org"]


def test_a_message_that_only_some_get_is_partly_done(world: World, tmp_path: Path) -> None:
    (tmp_path / "template.txt").write_text("To: {{ email }}\nCc: eve@example.org\n\nHi\n")
    world.emulator.refuse_recipient("eve@example.org", "550 5.1.1 no such user")
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert done.code == 6
    assert "line 2: eve@example.org was refused: 550 5.1.1 no such user" in done.err
    assert "0 of 3 messages sent, 3 sent to some of their recipients." in done.err


def test_all_refused_is_refused(world: World) -> None:
    for name in ("bob", "cy", "di"):
        world.emulator.refuse_recipient(f"{name}@example.org", "550 5.1.1 no such user")
    assert world.run("send-many", ADA, "list.csv", "template.txt").code == 5


def test_a_message_of_unknown_outcome_outranks_the_rest(world: World) -> None:
    world.emulator.refuse_recipient("di@example.org", "550 5.1.1 no such user")
    world.emulator.on("smtp", ".", Cut(), times=1)
    done = world.run("send-many", ADA, "list.csv", "template.txt", "--connections", "1", "--json")
    assert done.code == 8
    assert "line 2 (bob@example.org) may have been sent:" in done.err
    assert "1 perhaps sent" in done.err
    kinds = {each["line"]: (each["error"] or {}).get("class") for each in done.objects}
    assert kinds == {2: "DeliveryUnknown", 3: None, 4: "RecipientsRefused"}


def test_an_error_of_the_account_ends_the_run_instead_of_failing_each_row(
    world: World, tmp_path: Path
) -> None:
    rows = "".join(f"u{number}@example.org,U,{number}\n" for number in range(200))
    (tmp_path / "list.csv").write_text(f"email,name,number\n{rows}")
    disabled = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
    world.emulator.refuse("smtp", disabled, times=1000)
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert done.code == 5
    assert 1 <= done.err.count("was not sent") <= 3  # as many as were under way
    assert "not begun" in done.err
    assert world.emulator.sent == []


class LostRun:
    """Receipts of a mailer that has no connection, as ``Mailer.send_many`` gives them."""

    def __init__(self, letters: Iterator[Letter]) -> None:
        self._letters = letters
        self.progress = Progress()

    def __iter__(self) -> Iterator[SendReceipt]:
        for letter in self._letters:
            done = self.progress.done + 1
            self.progress = Progress(done=done, failed=done)
            error = ConnectionFailed(f"No connection for {letter.key}.")
            yield SendReceipt("", "", (), error=error, key=letter.key)

    def close(self) -> None:
        """There is nothing to close."""


class LostMailer:
    def send_many(self, letters: Iterator[Letter], **_options: object) -> LostRun:
        return LostRun(letters)

    def close(self) -> None:
        """There is nothing to close."""


def test_a_network_that_is_gone_ends_the_run_instead_of_failing_each_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "template.txt").write_text("To: {{ email }}\n\nHi\n")
    rows = "".join(f"u{number}@example.org\n" for number in range(200))
    (tmp_path / "list.csv").write_text(f"email\n{rows}")
    with opened(tmp_path / "list.csv") as table:
        mailing = Mailing(table, MessageTemplate(tmp_path / "template.txt"), None)
        mailing.check(lambda _total: None)
        code = Sending(LostMailer(), mailing, {}, as_json=False).run()  # type: ignore[arg-type]  # enough of one
    said = capsys.readouterr().err
    assert code == 4
    assert said.count("was not sent") == 3
    assert "0 of 200 messages sent, 3 not sent, 197 not begun." in said


def test_a_journal_sends_only_what_is_missing(world: World, tmp_path: Path) -> None:
    command = ("send-many", ADA, "list.csv", "template.txt", "--journal", "run.journal")
    world.emulator.refuse_recipient("di@example.org", "450 4.2.0 try later")
    (tmp_path / "list.csv").write_text(LIST.replace("di@example.org,Di,19\n", ""))
    assert world.run(*command).code == 0
    assert stat.S_IMODE((tmp_path / "run.journal").stat().st_mode) == 0o600 or os.name == "nt"
    # Another order and a row more: a message is known by whom it goes to.
    (tmp_path / "list.csv").write_text(
        "email,name,number\nea@example.org,Ea,20\ncy@example.org,Cy,18\nbob@example.org,Bob,17\n"
    )
    again = world.run(*command)
    assert (again.code, again.err) == (0, "")
    assert again.out == "1 of 3 messages sent, 2 done by an earlier run.\n"
    assert sorted(sent(world)) == ["bob@example.org", "cy@example.org", "ea@example.org"]


def test_two_messages_to_one_address_are_two_messages(world: World, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "email,name,number\nbob@example.org,Bob,1\nBob@example.org,Bob,2\n"
    )
    for _ in range(2):
        done = world.run("send-many", ADA, "list.csv", "template.txt", "--journal", "run.journal")
        assert done.code == 0
    subjects = sorted(str(Message.from_bytes(each.raw).subject) for each in world.emulator.sent)
    assert subjects == ["Invoice 1", "Invoice 2"]


@pytest.mark.parametrize(
    ("key", "content", "said"),
    [
        ("id", LIST, "--key names the column 'id', which list.csv does not have"),
        ("number", LIST.replace("18", "17"), "line 3: number is '17', as in line 2"),
        ("number", LIST.replace("18", " "), "line 3: the column 'number' is empty"),
    ],
)
def test_a_key_must_tell_messages_apart(
    world: World, tmp_path: Path, key: str, content: str, said: str
) -> None:
    (tmp_path / "list.csv").write_text(content)
    done = world.run("send-many", ADA, "list.csv", "template.txt", "--key", key)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert smtp_connections(world) == 0


def test_a_list_for_which_the_day_is_too_short_needs_a_journal(world: World) -> None:
    limit_day(world, 2)
    done = world.run("send-many", ADA, "list.csv", "template.txt")
    assert (done.code, world.emulator.sent) == (7, [])
    assert "The list has 3 recipients, and small takes 2 more today" in done.err
    journaled = ("send-many", ADA, "list.csv", "template.txt", "--journal", "run.journal")
    done = world.run(*journaled)
    assert done.code == 7
    assert len(world.emulator.sent) == 2
    assert "2 of 3 messages sent, 1 not begun." in done.err
    assert "The same command goes on" in done.err


def test_a_terminal_sees_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert world.run("send-many", ADA, "list.csv", "template.txt").code == 0
    assert "Sending" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


# Being stopped


def started(*more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mailoauth", "send-many", ADA, "list.csv", "template.txt",
         "--connections", "1", *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_data(world: World, process: subprocess.Popen[str], command: str = ".") -> None:
    while not any(command in each.commands for each in world.emulator.connections):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_finishes_what_is_under_way_and_a_journal_goes_on(
    world: World, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    rows = "".join(f"u{each}@example.org,U,{each}\n" for each in range(300))
    (tmp_path / "list.csv").write_text(f"email,name,number\n{rows}")
    with started("--journal", "run.journal") as process:
        wait_for_data(world, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Once more stops at once" in err
    assert "The same command goes on" in err
    assert "Traceback" not in out + err
    before = len(world.emulator.sent)
    assert 0 < before < 300
    assert f"{before} of 300 messages sent" in err
    (tmp_path / "list.csv").write_text(
        f"email,name,number\n{''.join(rows.splitlines(True)[: before + 2])}"
    )
    done = world.run("send-many", ADA, "list.csv", "template.txt", "--journal", "run.journal")
    assert done.code == 0
    assert len(sent(world)) == before + 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("journal", [(), ("--journal", "run.journal")])
def test_the_second_signal_ends_at_once_and_says_what_may_have_been_sent(
    world: World, journal: tuple[str, ...]
) -> None:
    world.emulator.on("smtp", ".", Silent(), times=1)
    with started(*journal) as process:
        assert process.stderr is not None
        wait_for_data(world, process)
        process.send_signal(signal.SIGINT)
        assert "finished first" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert "Traceback" not in err
    if not journal:
        assert "may have been sent: line 2." in err
        return
    again = world.run("send-many", ADA, "list.csv", "template.txt", *journal)
    assert again.code == 8
    assert "line 2 (bob@example.org) may have been sent" in again.err
