"""`mailoauth send` against the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message
from mailoauth.emulator import Cut, OutlookEmulator, Reply, Silent
from mailoauth.mail.addresses import Address
from tests.cli_world import ADA, ROOT, World, environment_of, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_send_composes_and_says_what_the_server_said(world: World, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_bytes(b"1,2\n")
    done = world.run(
        "send", ADA, "--to", "bob@example.org", "--cc", "cy@example.org", "--bcc", "di@example.org",
        "--subject", "Numbers", "--text", "See there.", "--html", "<p>See there.</p>",
        "--attach", str(file), "--json",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    (receipt,) = done.objects
    assert list(receipt) == ["message_id", "reply", "accepted", "refused"]
    (sent,) = world.emulator.sent
    message = Message.from_bytes(sent.raw)
    assert receipt["accepted"] == ["bob@example.org", "cy@example.org", "di@example.org"]
    assert receipt["message_id"] == message.message_id
    assert receipt["reply"].startswith("250 ")
    assert (message.subject, message.text.strip()) == ("Numbers", "See there.")
    assert message.attachments[0].content == b"1,2\n"
    assert b"di@example.org" not in sent.raw


def test_send_takes_a_whole_message_from_stdin(world: World) -> None:
    raw = f"From: {ADA}\nTo: bob@example.org\nSubject: Whole\n\nAs it is.\n"
    done = run_process("send", ADA, input=raw)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Sent to bob@example.org: 250 ")
    assert Message.from_bytes(world.emulator.sent[0].raw).subject == "Whole"


def test_send_takes_the_text_from_stdin(world: World) -> None:
    done = run_process("send", ADA, "--to", "bob@example.org", "--text", "-", input="Grüße\n")
    assert done.code == 0
    assert Message.from_bytes(world.emulator.sent[0].raw).text.strip() == "Grüße"


def test_some_recipients_refused_is_partly_done(world: World) -> None:
    world.emulator.refuse_recipient("bob@example.org", "550 5.1.1 no such user")
    done = world.run("send", ADA, "--to", f"bob@example.org, {ADA}", "--text", "Hi")
    assert done.code == 6
    assert f"Sent to {ADA}: 250" in done.out
    assert "bob@example.org was refused: 550 5.1.1 no such user" in done.err


def test_all_recipients_refused_is_refused(world: World) -> None:
    world.emulator.refuse_recipient("bob@example.org", "550 5.1.1 no such user")
    done = world.run("send", ADA, "--to", "bob@example.org", "--text", "Hi")
    assert (done.code, done.out) == (5, "")
    assert world.emulator.sent == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--subject", "Hi"), "recipient"),
        (("--to", "", "--subject", "Hi"), "recipient"),
        (("--to", "bob", "--subject", "Hi"), "--to: 'bob' is not a mail address. Write"),
        (("--to", "bob@example.org", "--cc", "cy", "--text", "Hi"), "--cc: 'cy' is not"),
        (
            ("--to", "bob@example.org", "--subject", "disk"),
            "There is no text, so nothing was sent.",
        ),
        (("--to", "bob@example.org", "--text", "Hi", "--settle", "9s"), "--settle is 9 seconds"),
        (("--to", "bob@example.org", "--header", "Subject: x", "--text", "y"), "Use --subject."),
        (("--to", "bob@example.org", "--subject", "Hi\r\nBcc: eve@example.org"), "subject"),
        (("--to", "bob@example.org\nBcc: eve@example.org"), "To"),
        (("--to", "bob@example.org", "--attach", "/nowhere/file.pdf"), "/nowhere/file.pdf"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(
    world: World, options: tuple[str, ...], named: str
) -> None:
    done = world.run("send", ADA, *options)
    assert done.code == 2
    assert named in " ".join(done.err.split())
    assert done.err.count("othing was sent") <= 1
    assert world.emulator.sent == []
    assert [each for each in world.emulator.connections if each.protocol == "smtp"] == []


def test_nothing_on_stdin_is_nothing_to_send(world: World) -> None:
    done = run_process("send", ADA, input="")
    assert done.code == 2
    assert "--subject" in done.err


def test_a_line_that_is_lost_before_the_reply_is_not_to_be_repeated(world: World) -> None:
    world.emulator.on("smtp", ".", Cut())
    done = world.run("send", ADA, "--to", ADA, "--text", "Hi", "--retry-for", "10m")
    assert done.code == 8
    assert "Trying again" not in done.err


def test_ctrl_c_while_sending_says_that_it_may_have_gone_out(world: World) -> None:
    world.emulator.on("smtp", ".", Silent())
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", "send", ADA, "--to", ADA, "--text", "Hi"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not any("." in each.commands for each in world.emulator.connections):
            assert process.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 5
    assert "look in the Sent folder" in err
    assert "Traceback" not in err


def test_a_text_that_is_empty_on_purpose_is_sent(world: World) -> None:
    done = world.run("send", ADA, "--to", "bob@example.org", "--subject", "disk", "--text", "")
    assert (done.code, len(world.emulator.sent)) == (0, 1)


FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a file that is always full")


@full
@pytest.mark.parametrize("refused", [False, True])
def test_what_cannot_be_said_on_stdout_is_sent_all_the_same_and_not_to_be_repeated(
    world: World, refused: bool
) -> None:
    if refused:
        world.emulator.refuse_recipient("cy@example.org", "550 5.1.1 no such user")
    with FULL.open("w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "mailoauth", "send", ADA, "--to",
             "bob@example.org, cy@example.org", "--text", "Hi"],
            env=environment_of(), stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == (6 if refused else 0)
    assert "could not be written to stdout (No space left on device). Do not send" in done.stderr
    assert "run the command again" not in done.stderr
    assert len(world.emulator.sent) == 1


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("MAIL", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (".", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        (".", "554 5.2.252 SendAsDenied; ada@example.com not allowed to send as eve@example.com"),
        ("MAIL", "553 5.7.1 <eve@example.com>: Sender address rejected: not owned by user ada"),
        ("RCPT", "553 5.7.1 <eve@example.com>: Sender address rejected: not owned by user ada"),
    ],
)
def test_a_refused_author_is_named_with_the_option_that_changes_it(
    world: World, command: str, reply: str
) -> None:
    world.emulator.on("smtp", command, Reply(reply))
    raw = "From: Eve <eve@example.com>\nTo: bob@example.org\nSubject: x\n\nHi\n"
    done = run_process("send", ADA, input=raw)
    said = " ".join(done.err.split())
    assert done.code == 5
    assert "The message is from eve@example.com." in said
    assert f"goes out from {ADA}, and answers go to eve@example.com." in said
    assert f"Add-RecipientPermission {ADA}" not in said


def test_every_part_of_a_message_can_be_given(world: World, tmp_path: Path) -> None:
    page, logo = tmp_path / "page.html", tmp_path / "logo.png"
    page.write_text('<p>Größe</p><img src="cid:logo">', encoding="utf-8-sig")
    logo.write_bytes(b"\x89PNG")
    done = world.run(
        "send", ADA, "--to", "bob@example.org", "--from", f"Ada <{ADA}>", "--reply-to",
        "ann@example.org", "--html-file", str(page), "--inline", f"logo={logo}", "--header",
        "Auto-Submitted: auto-generated", "--header", "X-Empty:", "--in-reply-to", "<1@example.org>",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    message = Message.from_bytes(world.emulator.sent[0].raw)
    assert message.sender == Address("Ada", ADA)
    assert message.reply_to == (Address("", "ann@example.org"),)
    assert "<p>Größe</p>" in (message.html or "")
    assert message.text.strip().startswith("Größe")
    assert message.inline[0].content == b"\x89PNG"
    assert message.headers["Auto-Submitted"] == "auto-generated"
    assert message.headers["In-Reply-To"] == "<1@example.org>"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--inline", "logo.png"), "--inline 'logo.png' is not NAME=FILE"),
        (("--inline", "a=x", "--inline", "a=y"), "--inline has 'a' twice"),
        (("--header", "X-Empty"), "--header 'X-Empty' is not NAME: VALUE"),
        (("--header", "A: 1", "--header", "a: 2"), "--header has a twice"),
        (("--header", "Subject: x"), "Subject"),
        (("--header", "X: a\nBcc: eve@example.org"), "line break"),
        (("--html-file", "/nowhere.html"), "--html-file '/nowhere.html' cannot be read"),
        (("--html-file", "a\x00b"), "cannot be read"),
        (("--in-reply-to", "<1@x>\nX: y"), "line break"),
        (("--html", "x", "--html-file", "y"), "not allowed with"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    world: World, options: tuple[str, ...], said: str
) -> None:
    done = world.run("send", ADA, "--to", "bob@example.org", *options)
    assert done.code == 2
    assert said in done.err
    assert [each for each in world.emulator.connections if each.protocol == "smtp"] == []


def test_html_that_is_not_utf_8_is_named(world: World, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"M\xfcller")
    done = world.run("send", ADA, "--to", "bob@example.org", "--html-file", str(page))
    assert (done.code, "is not UTF-8" in done.err) == (2, True)


def test_a_dry_run_prints_what_would_go_over_the_line_and_connects_to_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(world.emulator.connections), len(world.emulator.token_requests)
    monkeypatch.delenv("MAILOAUTH_KEY")
    done = run_process(
        "send",
        ADA,
        "--to",
        "bob@example.org",
        "--bcc",
        "di@example.org",
        "--text",
        "Hi",
        "--dry-run",
    )
    assert done.code == 0
    assert "\nTo: bob@example.org\n" in done.out
    assert "di@example.org" not in done.out
    assert f"from {ADA} to bob@example.org, di@example.org" in done.err
    assert (len(world.emulator.connections), len(world.emulator.token_requests)) == before


def test_a_dry_run_is_what_is_sent(world: World) -> None:
    raw = (
        b"From: ada@example.com\nTo: bob@example.org\nBcc: di@example.org\nSubject: =?utf-8?q?=C3=A4?=\n"
        b"Date: Fri, 02 Jan 2026 03:04:05 +0100\nMessage-ID: <1@example.com>\n\nA line.\n"
    )
    command = [sys.executable, "-m", "mailoauth", "send", ADA]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dry = subprocess.run(
        [*command, "--dry-run"], input=raw, env=environment, capture_output=True, check=True
    )
    subprocess.run(command, input=raw, env=environment, capture_output=True, check=True)
    assert world.emulator.sent[0].raw.endswith(dry.stdout)


def test_a_foreign_author_moves_to_reply_to_if_asked(world: World) -> None:
    raw = "From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: x\n\nHi\n"
    done = run_process("send", ADA, "--rewrite-from", input=raw)
    assert done.code == 0
    (sent,) = world.emulator.sent
    message = Message.from_bytes(sent.raw)
    assert (sent.envelope_from, message.sender) == (ADA, Address("Ann", ADA))
    assert message.reply_to == (Address("Ann", "ann@example.org"),)
