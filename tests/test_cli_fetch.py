"""`mailoauth fetch` against the emulator."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import Cut, OutlookEmulator
from tests.cli_world import ADA, MAIL, Terminal, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON_KEYS = [
    "uid",
    "folder",
    "flags",
    "size",
    "date",
    "internal_date",
    "subject",
    "sender",
    "to",
    "cc",
    "reply_to",
    "message_id",
    "text",
    "html",
    "attachments",
    "defects",
]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def mail(subject: str, sender: str = "ann@example.org") -> bytes:
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()


def seen(world: World) -> list[bool]:
    return ["\\Seen" in message.flags for message in world.emulator.messages(ADA)]


def test_fetch_prints_the_documented_object_and_leaves_the_message_unseen(world: World) -> None:
    world.emulator.deliver(ADA, MAIL)
    done = world.run("fetch", ADA, "--json")
    assert (done.code, done.err) == (0, "")
    (message,) = done.objects
    assert list(message) == JSON_KEYS
    internal = message.pop("internal_date")
    assert internal.endswith("Z")
    assert message == {
        "uid": message["uid"],
        "folder": "INBOX",
        "flags": message["flags"],
        "size": len(MAIL),
        "date": "2026-01-02T02:04:05Z",
        "subject": "Hello",
        "sender": {"name": "Ann Lee", "address": "ann@example.org"},
        "to": [{"name": "", "address": ADA}],
        "cc": [],
        "reply_to": [],
        "message_id": "<one@example.org>",
        "text": "Hello, Ada.",
        "html": None,
        "attachments": [{"filename": "plan.pdf", "content_type": "application/pdf", "size": 6}],
        "defects": [],
    }
    assert seen(world) == [False]


def test_fetch_prints_a_line_a_message_between_tabs_without_a_terminal(world: World) -> None:
    world.emulator.deliver(ADA, MAIL)
    done = world.run("fetch", ADA)
    (line,) = done.out.splitlines()
    assert line.split("\t")[1:] == ["2026-01-02T02:04:05Z", "ann@example.org", "Hello"]


def test_fetch_fits_its_lines_into_a_terminal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.emulator.deliver(ADA, MAIL)
    world.emulator.deliver(ADA, mail("a long subject " * 20))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "90")
    assert world.run("fetch", ADA).code == 0
    headings, first, second = terminal.getvalue().splitlines()
    assert headings.split() == ["UID", "DATE", "FROM", "SUBJECT", "FILES"]
    assert "Ann Lee" in first
    assert first.endswith("1 file")
    assert len(second) <= 90
    assert headings.index("SUBJECT") == second.index("a long subject")


def test_a_narrow_terminal_shows_the_subject_before_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.emulator.deliver(ADA, MAIL.replace(b"Hello\r", b"Hello, here I am\r"))
    for columns in (40, 50, 60, 70, 80):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("COLUMNS", str(columns))
        assert world.run("fetch", ADA).code == 0
        lines = terminal.getvalue().splitlines()
        assert len(lines) == 2
        assert max(map(len, lines)) <= columns
        assert "Ann Lee" in lines[1]
        assert "01-02" in lines[1]
        assert "Hello, here I" in lines[1]


def test_fetch_marks_only_when_told_to(world: World) -> None:
    world.emulator.deliver(ADA, MAIL)
    assert len(world.run("fetch", ADA, "--mark-seen").out.splitlines()) == 1
    assert seen(world) == [True]
    assert world.run("fetch", ADA).out == ""
    assert len(world.run("fetch", ADA, "--all").out.splitlines()) == 1


def test_fetch_narrows_by_sender_subject_day_and_number(world: World) -> None:
    for subject, sender in (("one", "ann@x.org"), ("two", "ben@x.org"), ("three", "ann@x.org")):
        world.emulator.deliver(ADA, mail(subject, sender))

    def subjects(*options: str) -> list[str]:
        return [each["subject"] for each in world.run("fetch", ADA, "--json", *options).objects]

    assert subjects("--sender", "ann@x.org") == ["one", "three"]
    assert subjects("--subject", "two") == ["two"]
    assert subjects("--limit", "2") == ["one", "two"]
    assert subjects("--since", "2100-01-01") == []


def test_fetch_saves_the_attachments_and_never_outside_the_folder(
    world: World, tmp_path: Path
) -> None:
    world.emulator.deliver(ADA, MAIL.replace(b"plan.pdf", b"../plan.pdf"))
    folder = tmp_path / "mail.d"
    assert world.run("fetch", ADA, "--attachments", str(folder)).code == 0
    (saved,) = folder.iterdir()
    assert saved.read_bytes() == b"a plan"


def test_a_folder_for_attachments_that_cannot_be_made_is_wrong_use(
    world: World, tmp_path: Path
) -> None:
    world.emulator.deliver(ADA, MAIL)
    (tmp_path / "file").touch()
    done = world.run("fetch", ADA, "--mark-seen", "--attachments", str(tmp_path / "file"))
    assert done.code == 2
    assert "--attachments" in done.err
    assert seen(world) == [False]


def test_a_folder_that_does_not_exist_is_named(world: World) -> None:
    done = world.run("fetch", ADA, "--folder", "Nowhere")
    assert done.code == 5
    assert "Nowhere" in done.err


def test_fetch_refreshes_a_refused_token_and_says_nothing_of_it(world: World) -> None:
    world.emulator.deliver(ADA, MAIL)
    world.emulator.expire_tokens()
    done = world.run("fetch", ADA)
    assert (done.code, done.err) == (0, "")
    assert [request.grant_type for request in world.emulator.token_requests] == [
        "authorization_code",
        "refresh_token",
    ]


def test_what_a_correspondent_wrote_cannot_steer_the_terminal(world: World) -> None:
    world.emulator.deliver(ADA, mail("=?utf-8?q?=1B]0;owned=07=C2=9B31m=E2=80=AEtxt?="))
    for options in ((), ("--json",)):
        done = world.run("fetch", ADA, *options)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out)
    assert json.loads(done.out)["subject"].endswith("\x9b31m\u202etxt")


def test_a_retry_goes_on_where_the_reading_was_cut(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that are cut again and again end the session; nothing is printed twice."""
    for number in range(40):
        world.emulator.deliver(ADA, mail(f"message {number}") + b"x" * 400_000)
    cut: list[str] = []

    def cut_the_line(printed: str) -> None:
        if not cut and printed.count("\n") == 5:  # several batches are still to come
            cut.append("here")
            world.emulator.on("imap", "SELECT", Cut(), times=2)
            world.emulator.disconnect("imap")

    output = Terminal(cut_the_line, attached=False)
    monkeypatch.setattr(sys, "stdout", output)
    done = world.run("fetch", ADA, "--retry-for", "30s", "-v")
    assert done.code == 0
    assert "Trying again in " in done.err
    subjects = [line.split("\t")[3] for line in output.getvalue().splitlines()]
    assert subjects == [f"message {number}" for number in range(40)]


def test_a_reader_that_goes_away_ends_it_quietly(world: World) -> None:
    for number in range(3):
        world.emulator.deliver(ADA, mail(f"message {number}"))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run_process("fetch", ADA, "--mark-seen", stdout=writing)
    finally:
        os.close(writing)
    assert (done.code, done.err) == (141, "")
    assert seen(world) == [False, False, False]


@pytest.mark.parametrize("coding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_letters_loses_none(world: World, coding: str) -> None:
    world.emulator.deliver(ADA, "From: a@x.org\r\nSubject: Größe 数\r\n\r\nHi\r\n".encode())
    settings: dict[str, str | None] = {"PYTHONIOENCODING": coding}
    done = run_process("fetch", ADA, "--json", settings=settings)
    assert (done.code, done.err) == (0, "")
    assert done.objects[0]["subject"] == "Größe 数"
    assert run_process("fetch", ADA, settings={"PYTHONIOENCODING": "ascii"}).code == 0
