"""Attachments on the disk: names that strangers chose, and nothing overwritten."""

from __future__ import annotations

import os
import stat
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from mailoauth.mail.message import Attachment, Message

if TYPE_CHECKING:
    from pathlib import Path


def attachment(name: str, content: str = "hello") -> Attachment:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    head = f'Content-Type: application/x\nContent-Disposition: attachment; filename="{quoted}"'
    raw = f"{head}\n\n{content}".encode()
    (found,) = Message.from_bytes(raw).attachments
    return found


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.txt", "a.txt"),
        ("..", "attachment"),
        ("", "attachment"),
        ("...bashrc", "bashrc"),
        ("a\tb\x01.txt", "a b .txt"),
        ("CON.txt", "_CON.txt"),
        ("lpt1", "_lpt1"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("name. ", "name"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("Übersicht €.pdf", "Übersicht €.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("ö" * 300 + ".pdf", "ö" * 98 + ".pdf"),
        ("a." + "x" * 300, "a." + "x" * 198),
    ],
)
def test_a_saved_file_has_a_safe_name(tmp_path: Path, name: str, saved: str) -> None:
    path = attachment(name).save(tmp_path)
    assert path == tmp_path / saved
    assert path.read_bytes() == b"hello"
    assert attachment(name).filename in {saved, ""}


def test_a_file_without_a_name_has_the_suffix_of_its_type(tmp_path: Path) -> None:
    raw = b"Content-Type: application/pdf\nContent-Disposition: attachment\n\nhello"
    (nameless,) = Message.from_bytes(raw).attachments
    assert nameless.filename == ""
    assert nameless.save(tmp_path) == tmp_path / "attachment.pdf"


def test_a_saved_file_replaces_none(tmp_path: Path) -> None:
    saved = [attachment("a.tar.gz", str(number)).save(tmp_path) for number in range(3)]
    assert [path.name for path in saved] == ["a.tar.gz", "a.tar-2.gz", "a.tar-3.gz"]
    assert [path.read_text() for path in saved] == ["0", "1", "2"]
    assert set(tmp_path.iterdir()) == set(saved)


def test_twenty_threads_save_twenty_files(tmp_path: Path) -> None:
    start = threading.Barrier(20)

    def save(number: int) -> None:
        start.wait(10)
        attachment("a.txt", str(number)).save(tmp_path)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert {path.read_text() for path in tmp_path.iterdir()} == {str(n) for n in range(20)}


def test_a_file_is_saved_where_links_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    saved = [attachment("a.txt", str(number)).save(tmp_path) for number in range(2)]
    assert [path.name for path in saved] == ["a.txt", "a-2.txt"]
    assert [path.read_text() for path in saved] == ["0", "1"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_path_is_a_folder_or_a_file_as_it_looks(tmp_path: Path) -> None:
    one = attachment("a.txt")
    assert one.save(f"{tmp_path}/made.d/") == tmp_path / "made.d" / "a.txt"
    assert one.save(tmp_path / "new" / "deep") == tmp_path / "new" / "deep" / "a.txt"
    assert one.save(tmp_path / "b.txt") == tmp_path / "b.txt"
    assert one.save(tmp_path / "b.txt") == tmp_path / "b-2.txt"
    assert one.save(tmp_path / "later" / "c.txt") == tmp_path / "later" / "c.txt"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_what_is_saved_is_for_this_user_only(tmp_path: Path) -> None:
    path = attachment("a.txt").save(tmp_path / "new" / "deep")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        attachment("a.txt").save(f"{tmp_path}/file/")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
