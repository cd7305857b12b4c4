"""How `mailoauth send-many` ends: what it says of a run that did not go as it should."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.failures import ranges
from mailoauth.emulator import Cut, OutlookEmulator, Reply, Silent
from tests.cli_world import ADA, World, environment_of
from tests.merging_world import LIST, smtp_connections, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a file that is always full")
signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
COMMAND = ("send-many", ADA, "list.csv", "template.txt")
JOURNALED = (*COMMAND, "--journal", "run.journal")


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


def write_rows(folder: Path, count: int) -> None:
    rows = "".join(f"u{number}@example.org,U,{number}\n" for number in range(count))
    (folder / "list.csv").write_text(f"email,name,number\n{rows}")


def on_a_full_disk(*argv: str) -> tuple[int, str]:
    with FULL.open("w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "mailoauth", *argv],
            env=environment_of(), stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    return done.returncode, " ".join(done.stderr.split())


@full
def test_a_full_disk_ends_the_run_with_a_true_count_of_what_was_sent(
    world: World, tmp_path: Path
) -> None:
    write_rows(tmp_path, 60)
    code, said = on_a_full_disk(*COMMAND, "--json")
    count = len(world.emulator.sent)
    assert code == 2
    assert 0 < count < 60
    assert f"{count} of 60 messages sent, {60 - count} not begun." in said
    assert f"Sent: {ranges(range(2, count + 2))}." in said
    assert "Take what was sent out of the list" in said


@full
def test_a_summary_that_cannot_be_written_does_not_ask_for_a_repetition(world: World) -> None:
    code, said = on_a_full_disk(*COMMAND)
    assert (code, len(world.emulator.sent)) == (0, 3)
    assert "3 of 3 messages sent. That could not be written to stdout" in said
    assert "run the command again" not in said


def test_a_reader_that_has_gone_ends_the_run_with_a_true_count(
    world: World, tmp_path: Path
) -> None:
    write_rows(tmp_path, 300)
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", *COMMAND, "--json"],
        env=environment_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert f"{len(world.emulator.sent)} of 300 messages sent" in err


def test_what_was_refused_stays_refused_in_the_summary_of_the_next_run(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "template.txt").write_text("To: {{ email }}\nCc: {{ name }}@example.org\n\nHi\n")
    (tmp_path / "list.csv").write_text(
        LIST.replace("@example.org,Cy", "@example.org,x").replace(
            "@example.org,Di", "@example.org,y"
        )
    )
    for refused in ("cy@example.org", "x@example.org", "di@example.org"):
        world.emulator.refuse_recipient(refused, "550 5.1.1 no such user")
    first = world.run(*JOURNALED)
    assert first.code == 6
    assert "The same command goes on" not in first.err
    assert "Refused ones are not tried again: correct the address" in first.err
    again = world.run(*JOURNALED)
    assert (again.code, again.out) == (6, "")
    assert (
        "0 of 3 messages sent, 3 done by an earlier run (1 sent, 1 to some of its recipients, "
        "1 refused for good)." in again.err
    )
    assert "Refused ones are not tried again" in again.err


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), ("--key", "number"), "by their recipients, not by 'number'"),
        (("--key", "number"), (), "by 'number', not by their recipients"),
        (("--key", "number"), ("--key", "email"), "by 'number', not by 'email'"),
    ],
)
def test_a_journal_with_another_key_is_refused(
    world: World, before: tuple[str, ...], now: tuple[str, ...], said: str
) -> None:
    assert world.run(*JOURNALED, *before).code == 0
    done = world.run(*JOURNALED, *now)
    assert done.code == 2
    assert f"The journal run.journal knows messages {said}. Nothing was sent." in done.err
    assert len(world.emulator.sent) == 3
    assert world.run(*JOURNALED, *before).code == 0
    assert len(world.emulator.sent) == 3


def test_keys_are_shown_as_they_are_in_the_list(world: World) -> None:
    done = world.run(*COMMAND, "--key", "number", "--json")
    assert sorted(each["key"] for each in done.objects) == ["17", "18", "19"]


def test_a_message_of_unknown_outcome_is_named_by_its_id_in_both_runs(world: World) -> None:
    world.emulator.on("smtp", ".", Cut(), times=1)
    first = world.run(*JOURNALED, "--connections", "1", "--json")
    (unknown,) = (each for each in first.objects if each["line"] == 2)
    again = world.run(*JOURNALED)
    for done in (first, again):
        assert done.code == 8
        assert (
            f"Look in the Sent folder for {unknown['message_id']}. If it is not there, send line 2 "
            "with a list of its own; this journal never sends it again." in done.err
        )
        assert "recipients=" not in done.err


@signals
def test_after_an_interruption_the_lines_that_were_sent_are_listed(
    world: World, tmp_path: Path
) -> None:
    write_rows(tmp_path, 300)
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", *COMMAND, "--connections", "1"],
        env=environment_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while len(world.emulator.sent) < 4:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        world.emulator.on("smtp", ".", Silent())
        handed_over = -1
        while handed_over < (handed_over := len(world.emulator.sent)):
            time.sleep(0.2)  # until no more get through
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "finished first" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    count = len(world.emulator.sent)
    assert f"may have been sent: line {count + 2}. Sent: lines 2-{count + 1}." in err


@signals
def test_a_run_that_was_told_to_end_lists_the_lines_that_were_sent(
    world: World, tmp_path: Path
) -> None:
    write_rows(tmp_path, 300)
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", *COMMAND, "--connections", "1"],
        env=environment_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while len(world.emulator.sent) < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"Sent: lines 2-{len(world.emulator.sent) + 1}." in err


def test_one_reason_is_told_once_with_its_remedy(world: World, tmp_path: Path) -> None:
    write_rows(tmp_path, 5)
    world.emulator.on("smtp", ".", Reply("552 5.3.4 too big"), times=5)
    done = world.run(*COMMAND, "--connections", "1")
    assert (done.code, world.emulator.sent) == (5, [])
    assert done.err.count("552 5.3.4 too big") == 1
    assert "lines 3-6 were not sent, for the same reason." in done.err
    assert done.err.count("Send it in parts") == 1


def test_an_error_of_the_journal_does_not_say_that_the_run_goes_on(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "run.journal").write_bytes(b"no journal at all, but a text" * 50)
    done = world.run(*JOURNALED)
    assert done.code == 2
    assert "it is damaged or no journal" in done.err
    assert "The same command goes on" not in done.err
    assert smtp_connections(world) == 0


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([4], "line 4"),
        ([2, 3, 4], "lines 2-4"),
        ([17, 2, 3, 2], "lines 2-3, 17"),
        ([1, 3], "lines 1, 3"),
    ],
)
def test_lines_are_named_as_shortly_as_can_be(numbers: list[int], said: str) -> None:
    assert ranges(numbers) == said
