"""`mailoauth fetch` where something is refused: nothing is marked that nobody saw, and it is said."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Reply
from tests.cli_world import ADA, MAIL, World, environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def count_of(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def deliver(world: World, count: int) -> None:
    for number in range(count):
        world.emulator.deliver(ADA, b"Subject: %d\r\n\r\nHi\r\n" % number)


def seen(world: World) -> int:
    return sum("\\Seen" in message.flags for message in world.emulator.messages(ADA))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such shell")
@pytest.mark.parametrize(
    "command",
    [
        "fetch {} --mark-seen",
        "fetch {} --mark-seen --json",
        "fetch {} --mark-seen --attachments {}",
        "folders {}",
        "token {}",
    ],
)
def test_a_closed_stdout_is_said_before_anything_is_done(
    world: World, tmp_path: Path, command: str
) -> None:
    world.emulator.deliver(ADA, MAIL)
    arguments = command.format(ADA, tmp_path / "files")
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{sys.executable}' -m mailoauth {arguments} >&-"],
        env=environment_of(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "stdout is closed" in done.stderr
    assert seen(world) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_closed_stdout_does_not_matter_where_files_are_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(world, 2)
    monkeypatch.setattr(sys, "stdout", None)
    command = ("fetch", ADA, "--mark-seen", "--format", "eml", "--output", str(tmp_path / "out"))
    assert world.run(*command).code == 0
    assert count_of(tmp_path / "out") == seen(world) == 2


@pytest.mark.parametrize("format_", ["json", "eml"])
def test_marks_that_are_refused_are_not_called_unreadable_messages(
    world: World, tmp_path: Path, format_: str
) -> None:
    deliver(world, 120)
    world.emulator.on("imap", "STORE", Reply("NO this cannot be stored"), times=99)
    output = ("--output", str(tmp_path / "out")) if format_ == "eml" else ()
    done = world.run("fetch", ADA, "--mark-seen", "--format", format_, *output)
    assert done.code == 5
    assert "cannot be stored" in done.err
    assert "read" not in done.err.replace("already", "")
    assert seen(world) == 0


@pytest.mark.parametrize("options", [("--json",), ("--format", "eml", "--output", "out")])
def test_a_folder_for_reading_only_is_said_once_and_before_the_first_message(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    deliver(world, 3)
    world.emulator.on("imap", "SELECT", Reply("OK [READ-ONLY] Selected."), times=9)
    done = world.run("fetch", ADA, "--mark-seen", *options)
    assert (done.code, done.out) == (5, "")
    assert done.err.count("for reading only") == 1
    assert not any("FETCH" in verb for one in world.emulator.connections for verb in one.commands)
    assert not any((tmp_path / "out").glob("*"))


def test_messages_that_the_server_will_not_give_are_numbered(world: World, tmp_path: Path) -> None:
    deliver(world, 4)
    uids = [str(message.uid) for message in world.emulator.messages(ADA)]
    command = ("fetch", ADA, "--mark-seen", "--format", "eml", "--output", str(tmp_path / "out"))
    world.emulator.on("imap", "FETCH", Reply("NO this message is damaged"), times=99)
    none = world.run(*command)
    assert none.code == 5
    assert f"4 messages could not be read (UID {', '.join(uids)})." in none.err
    assert "others" not in none.err
    assert seen(world) == 0


def test_the_messages_around_one_that_is_damaged_are_read(world: World, tmp_path: Path) -> None:
    deliver(world, 3)
    first = world.emulator.messages(ADA)[0].uid
    command = ("fetch", ADA, "--mark-seen", "--format", "eml", "--output", str(tmp_path / "out"))
    world.emulator.on("imap", "FETCH", Reply("NO this message is damaged"))
    done = world.run(*command)
    assert done.code == 6
    assert f"1 message could not be read (UID {first}); the others were." in done.err
    assert count_of(tmp_path / "out") == seen(world) == 2
    assert world.run(*command).code == 0
    assert count_of(tmp_path / "out") == seen(world) == 3


def test_throttling_behind_a_damaged_message_is_no_damage(world: World) -> None:
    deliver(world, 3)
    world.emulator.on("imap", "FETCH", Reply("NO this message is damaged"))
    busy = "NO [UNAVAILABLE] Server Busy. Suggested Backoff Time: 300 milliseconds"
    world.emulator.on("imap", "FETCH", Reply(busy), times=9)
    done = world.run("fetch", ADA)
    assert done.code == 7
    assert "could not be read" not in done.err
