"""`mailoauth fetch`: what is chosen, what is printed when, and what goes wrong in part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.uids import UidSet
from mailoauth.emulator import OutlookEmulator, Reply
from tests.cli_world import ADA, MAIL, Terminal, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def deliver(world: World, *subjects: str) -> None:
    for subject in subjects:
        raw = (
            f"From: a@example.org\r\nTo: {subject}@example.org\r\nSubject: {subject}\r\n\r\nHi\r\n"
        )
        world.emulator.deliver(ADA, raw.encode())


def subjects(world: World, *options: str) -> list[str]:
    done = world.run("fetch", ADA, "--json", *options)
    assert done.code == 0, done
    return [each["subject"] for each in done.objects]


def test_fetch_narrows_by_text_addressee_and_day(world: World) -> None:
    deliver(world, "one", "two", "three")
    today = world.emulator.messages(ADA)[0].internal_date.date().isoformat()
    assert subjects(world, "--to", "two@") == ["two"]
    assert subjects(world, "--text", "hi", "--newest-first") == ["three", "two", "one"]
    assert subjects(world, "--text", "nowhere") == []
    assert subjects(world, "--flagged") == []
    assert subjects(world, "--on", today) == ["one", "two", "three"]
    assert subjects(world, "--before", today) == []
    assert subjects(world, "--newest-first", "--limit", "1") == ["three"]


def test_headers_only_leaves_out_what_was_not_fetched(world: World) -> None:
    world.emulator.deliver(ADA, MAIL)
    (whole,) = world.run("fetch", ADA, "--json").objects
    (headers,) = world.run("fetch", ADA, "--json", "--headers-only").objects
    missing = {"text", "html", "attachments"}
    assert headers == {key: value for key, value in whole.items() if key not in missing}
    plain = world.run("fetch", ADA, "--headers-only")
    assert plain.out == world.run("fetch", ADA).out
    assert plain.code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "eml"),
        ("--format", "mbox"),
        ("--format", "maildir"),
        ("--output", "x"),
        ("--json", "--output", "x"),
        ("--format", "mbox", "--output", "-"),
        ("--format", "eml", "--output", ""),
        ("--format", "eml", "--output", "a\0b"),
        ("--attachments", "a\0b"),
        ("--attachments", ""),
        ("--format", "pdf", "--output", "x"),
        ("--headers-only", "--attachments", "x"),
        ("--headers-only", "--format", "eml", "--output", "x"),
        ("--name", "*.pdf"),
        ("--format", "mbox", "--output", "newdir/"),
        ("--format", "eml", "--output", "mail", "--attachments", "./mail/../mail"),
        ("--format", "maildir", "--output", "mail", "--attachments", "mail/new"),
        ("--attachments", "x", "--output", "y"),
        ("--attachments", "x", "--name", ""),
        ("--since", "2026-01-31", "--before", "2026-01-01"),
        ("--before", "yesterday"),
        ("--on", "2026-W01-1"),
        ("--on", "20260101"),
        ("--on", "2026-02-30"),
        ("--to", ""),
        ("--text", "a\r\nb"),
    ],
)
def test_wrong_use_is_said_and_writes_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = world.run("fetch", ADA, *options)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert "bug" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")
@pytest.mark.parametrize("format_", ["eml", "mbox", "maildir"])
def test_a_link_that_leads_nowhere_is_called_that(
    world: World, tmp_path: Path, format_: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "away")
    for option in (("--format", format_, "--output"), ("--attachments",)):
        done = world.run("fetch", ADA, *option, str(tmp_path / "link"))
        assert done.code == 2
        assert "link that leads nowhere" in done.err
        assert option[-1] in done.err
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "away").mkdir()
    if format_ != "mbox":
        place = str(tmp_path / "link")
        assert world.run("fetch", ADA, "--format", format_, "--output", place).code == 0


@pytest.mark.parametrize("options", [("--format", "eml", "--output"), ("--attachments",)])
def test_a_name_that_is_too_long_is_not_the_fault_of_the_disk(
    world: World, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = world.run("fetch", ADA, *options, str(tmp_path / ("x" * 300)))
    assert done.code == 2
    assert "Check the disk" not in done.err
    assert f"Name another place with {options[-1]}" in " ".join(done.err.split())


def test_a_message_that_the_server_will_not_give_is_left_out_and_said(
    world: World, tmp_path: Path
) -> None:
    deliver(world, "one", "two", "three")
    command = ("fetch", ADA, "--mark-seen", "--format", "eml", "--output", str(tmp_path / "out"))
    world.emulator.on("imap", "FETCH", Reply("NO this message is damaged"), times=2)
    done = world.run(*command)
    kept = len(list((tmp_path / "out").iterdir()))
    marked = sum("\\Seen" in message.flags for message in world.emulator.messages(ADA))
    assert kept == marked
    assert done.code == (6 if kept < 3 else 0)
    assert "this message is damaged" in done.err
    assert world.run(*command).code == 0
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_progress_is_shown_on_a_terminal_and_nowhere_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(world, "one", "two", "three")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    files = ("fetch", ADA, "--format", "eml", "--output", str(tmp_path / "out"))
    for command in (files, ("fetch", ADA, "--json")):
        terminal = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            done = world.run(*command)
        assert done.code == 0
        assert "Reading INBOX" in terminal.getvalue()
        assert "3/3" in terminal.getvalue()
        assert len(done.out.splitlines()) == (0 if command is files else 3)
    assert world.run(*files, "--all").err == ""


def test_a_table_on_the_terminal_is_its_own_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(world, "one")
    output, talk = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", talk)
    assert world.run("fetch", ADA).code == 0
    assert "one" in output.getvalue()
    assert talk.getvalue() == ""


def test_uids_are_written_as_the_longest_runs_that_fit() -> None:
    uids = UidSet()
    assert (len(uids), uids.sequence(100)) == (0, "")
    for uid in (9, 1, 2, 3, 2, 2047, 2048, 2**32 - 1):
        uids.add(uid)
    assert len(uids) == 7
    assert 2048 in uids
    assert 2049 not in uids
    assert list(uids.runs()) == [(1, 3), (9, 9), (2047, 2048), (2**32 - 1, 2**32 - 1)]
    assert uids.sequence(100) == "1:3,2047:2048,9,4294967295"
    assert uids.sequence(14) == "1:3,2047:2048"
    assert uids.sequence(2) == ""


def test_the_numbers_of_a_large_folder_take_little_room() -> None:
    uids = UidSet()
    for uid in range(1, 100_001):
        uids.add(uid)
    assert sum(sys.getsizeof(bits) for bits in uids._blocks.values()) < 20_000
    assert uids.sequence(100) == "1:100000"
