"""`mailoauth send` against the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message
from mailoauth.emulator import Cut, OutlookEmulator, Silent
from tests.cli_world import ADA, ROOT, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
        (("--to", "bob", "--subject", "Hi"), "bob"),
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
    assert named in done.err
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
