"""`mailoauth fetch --attachments DIR`: each file once, none outside the folder."""

from __future__ import annotations

import subprocess
import sys
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.attachments import AttachmentFolder
from mailoauth.cli.single import folder_locked
from mailoauth.emulator import OutlookEmulator
from mailoauth.mail.message import Message
from tests.cli_world import ADA, MAIL, Terminal, World, end_of, start_process

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


def test_a_name_fits_as_it_is_written_too(world: World, tmp_path: Path) -> None:
    deliver(world, ("plan [1].pdf", b"1"), ("plan 1.pdf", b"2"), ("Plan [1].PDF", b"3"))
    save(world, tmp_path / "files", "--name", "plan [1].pdf")
    assert sorted(saved(tmp_path / "files").values()) == [b"1", b"2", b"3"]


def test_a_pattern_fits_a_file_without_a_name_by_its_type(world: World, tmp_path: Path) -> None:
    nameless = MAIL.replace(b"; name=plan.pdf", b"").replace(b"; filename=plan.pdf", b"")
    world.emulator.deliver(ADA, nameless)
    save(world, tmp_path / "files", "--name", "*.pdf")
    assert saved(tmp_path / "files") == {"attachment.pdf": b"a plan"}
    assert world.run("fetch", ADA, "--json").objects[0]["attachments"][0]["filename"] == ""


def test_where_the_files_are_is_all_that_is_printed(world: World, tmp_path: Path) -> None:
    deliver(world)
    deliver(world, ("a b.pdf", b"a"), ("b.txt", b"b"))
    folder = tmp_path / "files"
    command = ("fetch", ADA, "--attachments", str(folder), "--name", "*.pdf")
    done = world.run(*command)
    assert (done.code, done.out, done.err) == (0, f"{folder / 'a b.pdf'}\n", "")
    again = world.run(*command)
    assert (again.code, again.out, again.err) == (0, "", "")
    table = world.run(*command, "--format", "table")
    assert len(table.out.splitlines()) == 2
    assert len(world.run(*command, "--json").objects) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "*.csv"), "No attachment matches."),
        ((), "Saved 1 file in "),
        ((), "Saved 0 files in "),
        ((), "; 1 was there already."),
        (("--sender", "nobody"), "No messages that fit in INBOX."),
    ],
)
def test_a_terminal_is_told_what_became_of_the_files(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    said: str,
) -> None:
    deliver(world, ("report.pdf", b"x"))
    if said.startswith(("Saved 0", ";")):
        save(world, tmp_path)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert world.run("fetch", ADA, "--all", "--attachments", str(tmp_path), *options).code == 0
    assert said in " ".join(terminal.getvalue().split())


def test_no_attachment_passes_for_a_message_that_is_there(world: World, tmp_path: Path) -> None:
    """A correspondent can work out what the file of the next message will be called."""
    deliver(world, ("a", b"a"))
    out = tmp_path / "mail"
    command = ("--format", "eml", "--output", str(out))
    assert world.run("fetch", ADA, *command).code == 0
    (first,) = (path.name for path in out.iterdir())
    second = first.replace("-00000001.eml", "-00000002.eml")
    (out / f"x{second}").write_bytes(b"of somebody else")
    deliver(world, (second, b"evil"), (second.lower(), b"evil"))
    save(world, out)
    assert second not in saved(out)
    save(world, tmp_path / "files", *command)
    assert b"Subject: files" in (out / second).read_bytes()


def test_many_files_of_one_name_are_looked_at_once(world: World, tmp_path: Path) -> None:
    """Each against each would be two million looks here, and the disk's patience."""
    files = [("report.pdf", b"%04d" % number) for number in range(2000)]
    deliver(world, *files)
    opened: list[object] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if counting and event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            opened.append(arguments[0])

    counting = True
    sys.addaudithook(note)
    for most in (3 * 2000, 3 * 2000):
        opened.clear()
        save(world, tmp_path / "files")
        assert len(opened) < most
    counting = False
    assert sorted(saved(tmp_path / "files").values()) == [content for _, content in files]


def test_a_file_that_changed_or_went_meanwhile_is_saved_again(tmp_path: Path) -> None:
    said: list[Path] = []
    folder = AttachmentFolder(tmp_path, (), said.append)
    message = Message.from_bytes(MAIL)
    folder.save_all(message)
    (tmp_path / "plan.pdf").write_bytes(b"a play")
    folder.save_all(message)
    (tmp_path / "plan-2.pdf").unlink()
    folder.save_all(message)
    folder.save_all(message)
    assert [path.name for path in said] == ["plan.pdf", "plan-2.pdf", "plan-3.pdf"]
    assert (folder.saved, folder.there) == (3, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_what_a_killed_run_left_is_removed_by_the_next(world: World, tmp_path: Path) -> None:
    deliver(world, ("large", b"x" * 300_000))
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL);"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0));"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    )
    command = ("fetch", ADA, "--attachments", str(tmp_path / "files"))
    assert end_of(start_process(*command, before=limit)).code < 0
    assert len(saved(tmp_path / "files")) == 1
    assert world.run(*command).code == 0
    assert saved(tmp_path / "files") == {"large": b"x" * 300_000}


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
