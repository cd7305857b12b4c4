"""`mailoauth fetch --format eml/mbox/maildir`: whole, private, each message once."""

from __future__ import annotations

import mailbox
import os
import re
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli.eml import EmlFolder
from mailoauth.cli.files import Source
from mailoauth.cli.maildir import Maildir
from mailoauth.cli.mbox import Mbox
from mailoauth.emulator import Cut, OutlookEmulator, Reply
from mailoauth.mail.message import Message
from tests.cli_world import ADA, MAIL, Outcome, Terminal, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEAM = "team@example.com"
FORMATS = ["eml", "mbox", "maildir"]

#: What an mbox must not take for the beginning of a message, and what changes on the way.
AWKWARD = [
    b"From: a@example.org\r\nSubject: one\r\n\r\nFrom here on\r\n>From there\r\n>>From\r\n",
    b"From: a@example.org\r\nSubject: two\r\n\r\n\r\nFrom a@example.org Thu Jan  1 1970\r\n\r\n",
    b"From a@example.org Thu Jan  1 00:00:00 1970\r\nSubject: three\r\n\r\nHi\r\n",
    b"Subject: gr\xfc\xdfe\r\n\r\n\x00\xff 8 bit, and no line end",
    b"Subject: five\r\n\r\n",
]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def fetch(world: World, format_: str, output: Path, *options: str) -> Outcome:
    return world.run("fetch", ADA, "--format", format_, "--output", str(output), *options)


def contents(format_: str, output: Path) -> list[bytes]:
    """The messages as programs read them, in order, with LF at the ends of lines."""
    if format_ == "eml":
        return [path.read_bytes().replace(b"\r\n", b"\n") for path in sorted(output.iterdir())]
    if format_ == "maildir":
        box: mailbox.Mailbox[mailbox.Message] = mailbox.Maildir(output, create=False)
        keys = sorted(box.keys(), key=lambda key: int(key.split("U")[1].split(".")[0]))
        found = [box.get_bytes(key).replace(b"\r\n", b"\n") for key in keys]
    else:
        box = mailbox.mbox(output, create=False)
        quoted = [box.get_bytes(key) for key in box.iterkeys()]
        found = [re.sub(rb"(?m)^>(>*From )", rb"\1", text) for text in quoted]
    box.close()
    return found


def expected(raw: bytes, format_: str) -> bytes:
    text = raw.replace(b"\r\n", b"\n")
    return text if format_ != "mbox" or text.endswith(b"\n") else text + b"\n"


def deliver_many(world: World, count: int, folder: str = "INBOX") -> list[bytes]:
    many = [f"Subject: {folder} {n}\r\n\r\n{n}\r\n".encode() * 3 for n in range(count)]
    for raw in many:
        world.emulator.deliver(ADA, raw, folder)
    return many


def seen(world: World) -> list[bool]:
    return ["\\Seen" in message.flags for message in world.emulator.messages(ADA)]


@pytest.mark.parametrize("format_", FORMATS)
def test_every_message_is_read_back_as_it_came(world: World, tmp_path: Path, format_: str) -> None:
    for raw in AWKWARD:
        world.emulator.deliver(ADA, raw)
    stored = [message.raw for message in world.emulator.messages(ADA)]
    done = fetch(world, format_, tmp_path / "out")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert contents(format_, tmp_path / "out") == [expected(raw, format_) for raw in stored]
    assert seen(world) == [False] * len(AWKWARD)


def test_eml_files_hold_the_very_bytes(world: World, tmp_path: Path) -> None:
    for raw in AWKWARD:
        world.emulator.deliver(ADA, raw)
    assert fetch(world, "eml", tmp_path / "out").code == 0
    kept = [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]
    assert kept == [message.raw for message in world.emulator.messages(ADA)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("format_", FORMATS)
def test_files_and_folders_are_for_this_user_only(
    world: World, tmp_path: Path, format_: str
) -> None:
    deliver_many(world, 2)
    before = os.umask(0)
    try:
        assert fetch(world, format_, tmp_path / "new" / "out").code == 0
    finally:
        os.umask(before)
    for path in (tmp_path / "new", *(tmp_path / "new").rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("format_", FORMATS)
def test_another_run_adds_what_is_new_and_downloads_nothing_else(
    world: World, tmp_path: Path, format_: str
) -> None:
    first = deliver_many(world, 3)
    assert fetch(world, format_, tmp_path / "out", "--all").code == 0
    world.emulator.on("imap", "FETCH", Reply("NO nothing may be fetched now"))
    assert fetch(world, format_, tmp_path / "out", "--all").code == 0
    assert "nothing may be fetched" in world.run("fetch", ADA).err, "it was not refused before"
    second = deliver_many(world, 2)
    assert fetch(world, format_, tmp_path / "out", "--all").code == 0
    assert contents(format_, tmp_path / "out") == [
        raw.replace(b"\r\n", b"\n") for raw in first + second
    ]


@pytest.mark.parametrize("format_", FORMATS)
def test_mailboxes_and_folders_with_the_same_numbers_share_a_place(
    world: World, tmp_path: Path, format_: str
) -> None:
    out = tmp_path / "deep" / "er" / "out"
    world.emulator.add_user(TEAM)
    world.emulator.share(TEAM, with_user=ADA)
    deliver_many(world, 2)
    deliver_many(world, 2, "../../etc/passwd")
    world.emulator.deliver(TEAM, b"Subject: team\r\n\r\nHi\r\n")
    for options in (
        ("--folder", "INBOX"),
        ("--folder", "../../etc/passwd"),
        ("--mailbox", TEAM),
        ("--folder", "inbox", "--mailbox", ADA.upper()),
    ):
        done = fetch(world, format_, out, "--all", *options)
        assert done.code == 0, done
    assert len(contents(format_, out)) == 5
    for folder in (tmp_path, tmp_path / "deep", tmp_path / "deep" / "er"):
        assert len(list(folder.iterdir())) == 1, "something is outside of its place"


@pytest.mark.parametrize("kind", [EmlFolder, Mbox, Maildir])
def test_equal_numbers_in_other_mailboxes_folders_and_lives_are_other_messages(
    tmp_path: Path, kind: type[EmlFolder | Mbox | Maildir]
) -> None:
    """Servers begin to count alike: UIDVALIDITY and UID are equal in many folders."""
    sources = [Source(ADA, "INBOX"), Source(ADA, "a/b"), Source(ADA, "a:b"), Source(TEAM, "INBOX")]
    for source in sources:
        for validity in (7, 77):
            output = kind(tmp_path / "out", source)
            output.prepare()
            assert len(output.known(validity)) == 0
            output.add(Message.from_bytes(b"Subject: x\r\n\r\n", uid=1, uid_validity=validity))
            output.commit()
            assert list(kind(tmp_path / "out", source).known(validity).runs()) == [(1, 1)]
    formats = {EmlFolder: "eml", Mbox: "mbox", Maildir: "maildir"}
    assert len(contents(formats[kind], tmp_path / "out")) == 8
    assert 1 in kind(tmp_path / "out", Source(ADA.upper(), "inbox")).known(7)


@pytest.mark.parametrize("which", [(), ("--all",)])
@pytest.mark.parametrize("format_", FORMATS)
def test_messages_are_marked_once_they_are_kept_and_found_again_if_not(
    world: World, tmp_path: Path, format_: str, which: tuple[str, ...]
) -> None:
    deliver_many(world, 3)
    assert fetch(world, format_, tmp_path / "out", "--limit", "2").code == 0
    world.emulator.on("imap", "STORE", Cut(), times=2)
    assert fetch(world, format_, tmp_path / "out", "--mark-seen").code == 4
    assert seen(world) == [False] * 3
    assert len(contents(format_, tmp_path / "out")) == 3
    assert fetch(world, format_, tmp_path / "out", "--mark-seen", *which).code == 0
    assert seen(world) == [True] * 3
    assert len(contents(format_, tmp_path / "out")) == 3


@pytest.mark.parametrize("format_", FORMATS)
def test_a_retry_goes_on_and_doubles_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    many = [MAIL.replace(b"a plan", b"%d" % number + b"x" * 400_000) for number in range(40)]
    for raw in many:
        world.emulator.deliver(ADA, raw)
    cut: list[str] = []

    def cut_the_line(said: str) -> None:
        if not cut and said.count("saved") == 5:  # several batches are still to come
            cut.append("here")
            world.emulator.on("imap", "SELECT", Cut(), times=2)
            world.emulator.disconnect("imap")

    terminal = Terminal(cut_the_line)
    monkeypatch.setattr(sys, "stderr", terminal)
    files = ("--attachments", str(tmp_path / "files"), "--mark-seen", "--retry-for", "50s")
    assert fetch(world, format_, tmp_path / "out", *files).code == 0
    assert cut
    assert "Trying again in " in terminal.getvalue()
    assert contents(format_, tmp_path / "out") == [expected(raw, format_) for raw in many]
    assert len(list((tmp_path / "files").iterdir())) == 40
    assert seen(world) == [True] * 40


def test_a_maildir_message_that_its_reader_moved_or_flagged_is_not_delivered_again(
    world: World, tmp_path: Path
) -> None:
    deliver_many(world, 3)
    out = tmp_path / "out"
    assert fetch(world, "maildir", out).code == 0
    moved = sorted((out / "new").iterdir())
    for path, flags in zip(moved, (":2,S", ":2,FRS,x", ""), strict=True):
        path.rename(out / "cur" / f"{path.name}{flags}")
    assert fetch(world, "maildir", out).code == 0
    assert list((out / "new").iterdir()) == []
    assert len(list((out / "cur").iterdir())) == 3


def test_a_maildir_has_the_flags_and_the_time_of_arrival(world: World, tmp_path: Path) -> None:
    deliver_many(world, 2)
    assert world.run("fetch", ADA, "--limit", "1", "--mark-seen").code == 0
    assert fetch(world, "maildir", tmp_path / "out", "--all").code == 0
    (old,) = (tmp_path / "out" / "cur").iterdir()
    (new,) = (tmp_path / "out" / "new").iterdir()
    assert old.name.endswith(":2,S")
    assert ":" not in new.name
    arrived = world.emulator.messages(ADA)[0].internal_date.timestamp()
    assert int(old.stat().st_mtime) == int(arrived)


def test_an_mbox_of_other_programs_is_added_to_and_kept(world: World, tmp_path: Path) -> None:
    deliver_many(world, 1)
    for ending in (b"", b"\n", b"\n\n"):
        path = tmp_path / f"with{len(ending)}"
        other = b"From b@example.org Thu Jan  1 00:00:00 1970\nSubject: old\n\nolder" + ending
        path.write_bytes(other)
        assert fetch(world, "mbox", path, "--all").code == 0
        assert path.read_bytes().startswith(other)
        assert [text[:12] for text in contents("mbox", path)] == [b"Subject: old", b"Subject: INB"]


@pytest.mark.parametrize("format_", ["eml", "maildir"])
def test_what_cannot_be_a_folder_is_said_before_anything_is_asked(
    world: World, tmp_path: Path, format_: str
) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        done = fetch(world, format_, place)
        assert done.code == 2
        assert "folder" in done.err
        assert "--output" in done.err
    assert world.emulator.connections == []
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_no_mbox_or_no_maildir_is_left_alone(world: World, tmp_path: Path) -> None:
    deliver_many(world, 1)
    (tmp_path / "letter.txt").write_text("Dear Ada")
    for format_, place in (("mbox", "letter.txt"), ("mbox", "."), ("maildir", ".")):
        done = fetch(world, format_, tmp_path / place)
        assert done.code == 2, done
        assert "--output" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text() == "Dear Ada"


def test_a_terminal_is_told_how_many_were_added(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_many(world, 2)
    out = tmp_path / "out"
    for said in ("Added 2 messages to ", "; 2 were there already."):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        done = fetch(world, "eml", out)
        assert (done.code, done.out) == (0, "")
        assert said in " ".join(terminal.getvalue().split())
