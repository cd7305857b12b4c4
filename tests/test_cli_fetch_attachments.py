"""`mailoauth fetch --attachments DIR`: each file once, none outside the folder."""

from __future__ import annotations

import subprocess
import sys
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.single import folder_locked
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, World, end_of, start_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def deliver(world: World, *files: tuple[str, bytes]) -> None:
    message = EmailMessage()
    message["Subject"] = "files"
    message.set_content("See below.")
    for name, content in files:
        message.add_attachment(content, "application", "octet-stream", filename=name)
    world.emulator.deliver(ADA, message)


def save(world: World, folder: Path, *options: str) -> None:
    done = world.run("fetch", ADA, "--all", "--attachments", str(folder), *options)
    assert (done.code, done.err) == (0, "")


def saved(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_another_run_doubles_no_file_and_numbers_other_contents(
    world: World, tmp_path: Path
) -> None:
    deliver(world, ("report.pdf", b"first"), ("notes", b"n"))
    deliver(world, ("report.pdf", b"other"), ("report.pdf", b"as long"))
    deliver(world, ("report.pdf", b"first"))
    for _ in range(2):
        save(world, tmp_path / "files")
        assert saved(tmp_path / "files") == {
            "report.pdf": b"first",
            "report-2.pdf": b"other",
            "report-3.pdf": b"as long",
            "notes": b"n",
        }


def test_a_file_that_somebody_else_put_there_is_never_replaced(
    world: World, tmp_path: Path
) -> None:
    deliver(world, ("report.pdf", b"theirs"))
    (tmp_path / "report.pdf").write_bytes(b"my own")
    (tmp_path / "report-2.pdf").mkdir()
    save(world, tmp_path)
    assert (tmp_path / "report.pdf").read_bytes() == b"my own"
    assert (tmp_path / "report-3.pdf").read_bytes() == b"theirs"


def test_names_choose_whatever_their_case(world: World, tmp_path: Path) -> None:
    deliver(world, ("a.PDF", b"a"), ("b.pdf.exe", b"b"), ("c.csv", b"c"), ("d.pdf", b"d"))
    save(world, tmp_path / "one", "--name", "*.pdf")
    assert sorted(saved(tmp_path / "one")) == ["a.PDF", "d.pdf"]
    save(world, tmp_path / "two", "--name", "*.Pdf", "--name", "?.csv")
    assert sorted(saved(tmp_path / "two")) == ["a.PDF", "c.csv", "d.pdf"]


def test_a_pattern_is_for_the_name_that_the_file_gets(world: World, tmp_path: Path) -> None:
    deliver(world, ("../../etc/passwd", b"x"), ("..\\..\\boot.ini", b"y"), ("", b"z"))
    folder = tmp_path / "deep" / "files"
    save(world, folder, "--name", "passwd", "--name", "boot.ini", "--name", "attachment")
    assert saved(folder) == {"passwd": b"x", "boot.ini": b"y", "attachment": b"z"}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["files"]


def test_a_name_without_a_folder_is_wrong_use(world: World) -> None:
    done = world.run("fetch", ADA, "--name", "*.pdf")
    assert done.code == 2
    assert "--attachments" in done.err


def test_files_are_marked_and_kept_together_with_the_messages(world: World, tmp_path: Path) -> None:
    deliver(world, ("report.pdf", b"x"))
    save(world, tmp_path / "files", "--format", "eml", "--output", str(tmp_path / "mail"))
    for path in (tmp_path / "files").iterdir():
        path.unlink()
    # The message is there already; what was lost of its files comes back.
    save(world, tmp_path / "files", "--format", "eml", "--output", str(tmp_path / "mail"))
    assert saved(tmp_path / "files") == {"report.pdf": b"x"}
    assert len(list((tmp_path / "mail").iterdir())) == 1


def test_two_runs_at_once_save_each_file_once(world: World, tmp_path: Path) -> None:
    many = [b"%d" % number * 1000 for number in range(40)]
    for content in many:
        deliver(world, ("report.pdf", content))
    command = ("fetch", ADA, "--all", "--attachments", str(tmp_path / "files"))
    both = [start_process(*command) for _ in range(2)]
    assert [done.code for done in map(end_of, both)] == [0, 0]
    assert sorted(saved(tmp_path / "files").values()) == sorted(many)


def test_a_run_waits_while_another_one_looks_whether_a_file_is_there(
    world: World, tmp_path: Path
) -> None:
    deliver(world, ("report.pdf", b"x"))
    with folder_locked(tmp_path / "files"):
        process = start_process("fetch", ADA, "--attachments", str(tmp_path / "files"))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        assert saved(tmp_path / "files") == {}
    assert end_of(process).code == 0
    assert saved(tmp_path / "files") == {"report.pdf": b"x"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_disk_without_room_leaves_no_part_of_a_file(world: World, tmp_path: Path) -> None:
    deliver(world, ("small", b"x"))
    deliver(world, ("large", b"x" * 300_000))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    command = ("fetch", ADA, "--mark-seen", "--attachments", str(tmp_path / "files"))
    full = end_of(start_process(*command, before=limit))
    assert full.code == 2
    assert "Make room" in full.err
    assert saved(tmp_path / "files") == {"small": b"x"}
    assert ["\\Seen" in message.flags for message in world.emulator.messages(ADA)] == [True, False]
    assert world.run(*command).code == 0
    assert sorted(saved(tmp_path / "files")) == ["large", "small"]
