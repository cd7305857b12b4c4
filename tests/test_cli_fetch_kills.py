"""`mailoauth fetch` into files, killed, out of room or twice at once: nothing lost or doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Silent
from tests.cli_world import ADA, World, end_of, start_process
from tests.test_cli_fetch_files import FORMATS, contents, seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such limits and signals there")

#: A file may grow to so many octets: "" fails as on a full disk, "kill" ends the process there.
LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.{action})
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, ({octets}, {octets}))
"""


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def deliver(world: World, count: int, *, large: int | None = None) -> list[bytes]:
    """Deliver many messages of 3 kB; one may have 300 kB."""
    many = []
    for number in range(count):
        body = b"From the middle of a text\n" * (12_000 if number == large else 120)
        many.append(b"Subject: %d\n\n%s" % (number, body))
        world.emulator.deliver(ADA, many[-1].replace(b"\n", b"\r\n"))
    return many


def leftovers(output: Path) -> list[str]:
    """What is there beside the messages."""
    beside = [path.name for path in output.parent.iterdir() if path != output]
    inside = [*output.glob(".*"), *output.glob("tmp/*")] if output.is_dir() else []
    return beside + [path.name for path in inside]


@pytest.mark.parametrize("mark", [(), ("--mark-seen",)])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_run_killed_in_the_middle_of_a_message_is_made_good_by_the_next(
    world: World, tmp_path: Path, format_: str, mark: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    many = deliver(world, 130, large=110)  # the second group breaks off
    command = ("fetch", ADA, "--format", format_, "--output", str(out), *mark)
    octets = 460_000 if format_ == "mbox" else 100_000
    killed = end_of(start_process(*command, before=LIMIT.format(action="SIG_DFL", octets=octets)))
    assert killed.code == -signal.SIGXFSZ, killed
    assert leftovers(out), "it was not killed in the middle of writing"
    assert sum(seen(world)) == (100 if mark else 0), "what is marked is on the disk"
    done = world.run(*command)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert contents(format_, out) == many
    assert leftovers(out) == []
    assert all(seen(world)) == bool(mark)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_said_and_leaves_whole_messages_that_the_next_run_completes(
    world: World, tmp_path: Path, format_: str
) -> None:
    out = tmp_path / "out"
    many = deliver(world, 130, large=110)
    command = ("fetch", ADA, "--mark-seen", "--format", format_, "--output", str(out))
    octets = 460_000 if format_ == "mbox" else 100_000
    full = end_of(start_process(*command, before=LIMIT.format(action="SIG_IGN", octets=octets)))
    assert full.code == 2, full
    assert f"{out} cannot be written" in " ".join(full.err.split())
    assert "Make room" in full.err
    assert leftovers(out) == []
    kept = contents(format_, out)
    assert kept == many[: len(kept)]
    assert 100 <= len(kept) < 130
    assert sum(seen(world)) == 100, "only what was kept is marked"
    assert world.run(*command).code == 0
    assert contents(format_, out) == many
    assert all(seen(world))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_run_killed_anywhere_is_made_good_by_the_next(
    world: World, tmp_path: Path, format_: str
) -> None:
    out = tmp_path / "out"
    many = deliver(world, 250)
    command = ("fetch", ADA, "--format", format_, "--output", str(out))
    process = start_process(*command)
    while process.poll() is None and not _has_begun(out):
        pass
    process.kill()
    end_of(process)
    assert world.run(*command).code == 0
    assert contents(format_, out) == many
    assert leftovers(out) == []


def _has_begun(out: Path) -> bool:
    if out.is_dir():
        return any(path.is_file() for path in out.rglob("*"))
    return out.exists() and out.stat().st_size > 0


@pytest.mark.parametrize("format_", FORMATS)
def test_two_runs_at_once_keep_each_message_once(
    world: World, tmp_path: Path, format_: str
) -> None:
    out = tmp_path / "out"
    many = deliver(world, 150)
    command = ("fetch", ADA, "--format", format_, "--output", str(out))
    both = [start_process(*command) for _ in range(2)]
    assert [(done.code, done.err) for done in map(end_of, both)] == [(0, ""), (0, "")]
    assert contents(format_, out) == many


def test_an_mbox_takes_no_message_twice_from_runs_that_know_nothing_of_each_other(
    world: World, tmp_path: Path
) -> None:
    """With homes of their own their locks do not exclude each other."""
    out = tmp_path / "out"
    many = deliver(world, 20)
    command = ("fetch", ADA, "--format", "mbox", "--output", str(out))
    shutil.copytree(os.environ["MAILOAUTH_HOME"], tmp_path / "home")
    world.emulator.on("imap", "FETCH", Silent())
    other_home = f"import os; os.environ['MAILOAUTH_HOME'] = {str(tmp_path / 'home')!r}"
    first = start_process(*command, before=other_home)
    while not any("FETCH" in verb for one in world.emulator.connections for verb in one.commands):
        assert first.poll() is None, end_of(first)
    assert world.run(*command).code == 0
    world.emulator.disconnect("imap")
    done = end_of(first)
    assert (done.code, done.err) == (0, "")
    assert contents("mbox", out) == many


def test_an_mbox_that_a_mail_program_has_locked_is_waited_for(world: World, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    deliver(world, 3)
    with out.open("wb") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        process = start_process("fetch", ADA, "--format", "mbox", "--output", str(out))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        file.write(b"From b@example.org Thu Jan  1 00:00:00 1970\nSubject: mine\n\nMine.\n\n")
    assert end_of(process).code == 0
    assert len(contents("mbox", out)) == 4


def test_two_folders_at_once_go_into_one_mbox(world: World, tmp_path: Path) -> None:
    for number in range(150):
        for folder in ("INBOX", "Archive"):
            raw = f"Subject: {folder} {number}\r\n\r\n{'x' * 3000}\r\n".encode()
            world.emulator.deliver(ADA, raw, folder)
    command = ("fetch", ADA, "--all", "--format", "mbox", "--output", str(tmp_path / "out"))
    both = [start_process(*command, "--folder", folder) for folder in ("INBOX", "Archive")]
    assert [(done.code, done.err) for done in map(end_of, both)] == [(0, ""), (0, "")]
    subjects = [text.partition(b"\n")[0] for text in contents("mbox", tmp_path / "out")]
    for name in (b"INBOX", b"Archive"):
        of_folder = [subject for subject in subjects if name in subject]
        assert of_folder == [b"Subject: %s %d" % (name, number) for number in range(150)]


def test_half_a_message_stays_where_another_program_has_added_to_the_mbox(
    world: World, tmp_path: Path
) -> None:
    """What somebody else wrote is never cut off, whatever stands before it."""
    out = tmp_path / "out"
    deliver(world, 20)
    command = ("fetch", ADA, "--format", "mbox", "--output", str(out))
    killed = end_of(start_process(*command, before=LIMIT.format(action="SIG_DFL", octets=20_000)))
    assert killed.code == -signal.SIGXFSZ
    foreign = b"\n\nFrom b@example.org Thu Jan  1 00:00:00 1970\nSubject: mine\n\nMine.\n\n"
    with out.open("ab") as file:
        file.write(foreign)
    done = world.run(*command)
    assert done.code == 0
    assert "half a message" in done.err
    assert foreign in out.read_bytes()
    assert b"Subject: 19\n" in out.read_bytes()
    assert world.run(*command).err == "", "it is said once"
