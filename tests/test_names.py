"""Files that appear whole or not at all, under names that strangers chose."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.mail.names import attached_name, place_for, remove_abandoned, safe_name, save_new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = [
    "../../etc/passwd", "..\\..\\boot.ini", "/", "\\", "", ".", "..", "....", " . ", "CON", "con.txt", "NUL.tar.gz", "COM¹",
    "a\0b", "\0", "x" * 10_000, "." * 10_000, "ö" * 10_000, "a/" * 10_000, "\u202egnp.exe", "\u200b\u2066\u2069", "a\r\nb",
    "a:stream", "C:", "~", "-rf", "\ud800", "name ", "name.", "$(id)", "\U0001f4a9" * 300, "x." + "y" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_in_its_folder_and_can_be_written(tmp_path: Path, name: str) -> None:
    safe = safe_name(name)
    assert safe == safe_name(safe), "it is as safe the second time"
    assert safe
    assert not set(safe) & set('/\\\0\r\n:<>"|?*\u202e\u2066')
    assert len(safe.encode()) <= 200
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert save_new(tmp_path / safe, b"1").parent == tmp_path
    assert save_new(tmp_path / safe, b"2").parent == tmp_path
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_left_of_nothing_is_what_the_caller_says() -> None:
    assert safe_name("...") == "attachment"
    assert safe_name("...", default="message") == "message"


def test_a_name_is_no_option() -> None:
    assert safe_name("-rf") == "_-rf"
    assert safe_name("--help.txt") == "_--help.txt"
    assert safe_name("a-b") == "a-b"


@pytest.mark.parametrize(
    ("filename", "content_type", "name"),
    [
        ("", "application/pdf", "attachment.pdf"),
        ("", "image/jpeg", "attachment.jpg"),
        ("", "message/rfc822", "attachment.eml"),
        ("", "application/octet-stream", "attachment"),
        ("", "application/x-msdownload", "attachment"),
        ("", "no type", "attachment"),
        ("plan", "application/pdf", "plan"),
        ("../plan.txt", "application/pdf", "plan.txt"),
    ],
)
def test_what_has_a_type_and_no_name_gets_the_usual_suffix(
    filename: str, content_type: str, name: str
) -> None:
    assert attached_name(filename, content_type) == name


UNFINISHED = """
import os, signal, sys
from pathlib import Path
from mailoauth.mail.names import save_new
def pieces():
    yield b"x" * 100_000
    {end}
save_new(Path(sys.argv[1], "a.bin"), pieces())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither such locks nor SIGKILL")
def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    killed = UNFINISHED.format(end="os.kill(os.getpid(), signal.SIGKILL)")
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    alive = UNFINISHED.format(end="print(flush=True); input()")
    command = [sys.executable, "-c", alive, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / ".mailoauth-notes").write_text("mine")
        remove_abandoned(tmp_path)
        assert not left.exists()
        assert len(list(tmp_path.iterdir())) == 2
        process.communicate(b"\n")
    assert (tmp_path / "a.bin").stat().st_size == 100_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mailoauth-notes", "a.bin"]


def test_without_locks_only_what_is_a_day_old_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    old, new = tmp_path / ".mailoauth-old.part", tmp_path / ".mailoauth-new.part"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [new]
    assert save_new(tmp_path / "a.bin", b"x").read_bytes() == b"x"


def test_pieces_are_written_one_after_the_other(tmp_path: Path) -> None:
    path = save_new(tmp_path / "a.bin", iter([b"one", b"", b"two"]))
    assert path.read_bytes() == b"onetwo"
    assert save_new(tmp_path / "empty", iter([])).read_bytes() == b""


def test_nothing_has_the_name_before_all_of_it_is_there(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    seen = []

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000
            seen.append(target.exists())

    save_new(target, pieces())
    assert seen == [False, False, False]
    assert target.stat().st_size == 300_000


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "no"), KeyboardInterrupt(), ValueError()])
def test_what_goes_wrong_between_the_pieces_leaves_nothing(
    tmp_path: Path, failure: BaseException
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise failure

    with pytest.raises(type(failure)) as caught:
        save_new(tmp_path / "a.bin", pieces())
    assert caught.value is failure
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [30_000, 3_000_000])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, size: int) -> None:
    pytest.importorskip("resource", reason="Windows limits no files")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from mailoauth.mail.names import save_new\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    save_new(Path(sys.argv[1], 'a.bin'), (bytes(10_000) for _ in range(int(sys.argv[2]))))\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(size // 10_000)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(errno.EFBIG)
    assert list(tmp_path.iterdir()) == []


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"
    synced: list[tuple[int, bool]] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, target.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    save_new(target, iter([b"x" * 70_000]))
    assert synced[0] == (70_000, False)
    if sys.platform != "win32":  # where folders cannot be synced
        assert synced[1][1], "the name is on the disk when save_new returns"


def test_a_disk_that_cannot_sync_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = errno.EINVAL

    def refuse(descriptor: int) -> None:
        raise OSError(failure, "no")

    monkeypatch.setattr(os, "fsync", refuse)
    assert save_new(tmp_path / "a.bin", b"x").read_bytes() == b"x"
    failure = errno.ENOSPC
    with pytest.raises(OSError, match="no"):
        save_new(tmp_path / "b.bin", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_path_means_a_folder_or_a_file_as_it_looks(tmp_path: Path) -> None:
    assert place_for(tmp_path, "a.txt") == tmp_path / "a.txt"
    assert place_for(f"{tmp_path}/made.d/", "a.txt") == tmp_path / "made.d" / "a.txt"
    assert place_for(tmp_path / "deep" / "b.txt", "a.txt") == tmp_path / "deep" / "b.txt"
    assert (tmp_path / "made.d").is_dir()
    assert (tmp_path / "deep").is_dir()
