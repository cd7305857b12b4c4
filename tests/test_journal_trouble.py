"""A journal that cannot be used: an error that says so, and nothing is sent behind its back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.account import Account
from mailoauth.errors import ConfigError, MailOAuthError, StoreError
from mailoauth.mail.mailing.journal import Journal, Row
from mailoauth.mail.many import AsyncReceipts
from tests.many_world import ADA, FakeMailer, drain, notes, run, until
from tests.test_files_crashes import fill, mounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOB = "bob@example.com"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mailing.journal"


def sent_with(path: Path, error: type[MailOAuthError], words: str) -> None:
    """Try to send with the journal; nothing may be sent."""
    mailer = FakeMailer()
    before = path.read_bytes()
    with pytest.raises(error, match=words) as caught:
        run(mailer, notes(3), journal=path)
    assert "Nothing was sent" in str(caught.value)
    assert caught.value.remedy
    assert mailer.submissions == []
    assert path.read_bytes() == before, "it is left as it was"


def change(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(statement)
    finally:
        database.close()


def test_another_accounts_journal_is_refused(path: Path) -> None:
    mailer = FakeMailer()
    mailer.account = Account.outlook(BOB, client_id="client")
    mailer.address = BOB
    run(mailer, notes(1), journal=path)
    sent_with(path, ConfigError, r"is of bob@example\.com .* not of ada@example\.com")


def test_another_mailboxs_journal_is_refused(path: Path) -> None:
    mailer = FakeMailer()
    mailer.address = "team@example.com"
    run(mailer, notes(1), journal=path)
    sent_with(path, ConfigError, r"is of team@example\.com")


def test_a_journal_begun_with_keys_is_not_continued_without(path: Path) -> None:
    run(FakeMailer(), notes(1), journal=path, key=lambda message: message["to"])
    sent_with(path, ConfigError, "begun with key=")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_text("key,state\n" * 1000), "damaged or no journal"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
        (lambda path: change(path, "PRAGMA user_version = 2"), "newer version"),
        (lambda path: change(path, "PRAGMA application_id = 7"), "another program"),
        (lambda path: change(path, "DELETE FROM run"), "damaged"),
        (lambda path: change(path, "DROP TABLE run"), "cannot be used"),
    ],
)
def test_a_file_that_is_not_a_sound_journal_is_refused(
    path: Path, damage: Callable[[Path], Any], words: str
) -> None:
    run(FakeMailer(), notes(200), journal=path)
    damage(path)
    sent_with(path, StoreError, words)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch(0o644)
    run(FakeMailer(), notes(1), journal=path)
    assert run(FakeMailer(), notes(1), journal=path) == []
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("connections", [1, 3])
def test_a_full_disk_stops_the_run_and_it_is_continued_when_there_is_room(
    tmp_path: Path, connections: int
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=256k"):
        path = disk / "journal"
        mailer = FakeMailer(connections=connections)
        mailer.trouble = lambda number, _: fill(disk) if number == 20 else None
        receipts: list[Any] = []
        with pytest.raises(StoreError, match=r"Nothing more was sent.*Make room"):
            run(mailer, iter(notes(2000)), journal=path, receipts=receipts)
        assert len(receipts) == len(mailer.accepted), "each that was sent has its receipt"
        assert 10 < len(mailer.accepted) < 2000
        (disk / "ballast").unlink()
        later = FakeMailer(connections=connections)
        again = run(later, iter(notes(200)), journal=path)
        unknown = [receipt for receipt in again if receipt.error]
        assert len(unknown) <= connections
        sent = {*mailer.subjects(), *later.subjects()}
        assert len(mailer.accepted) + len(later.accepted) == len(sent), "none twice"
        assert len(sent) == 200 or unknown


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes there")
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        folder = tmp_path / "folder"
        folder.mkdir(mode=0o500)
        sent_nothing(folder / "journal")
        return
    disk = tmp_path / "disk"
    with mounted(disk, "size=256k"):
        run(FakeMailer(), notes(1), journal=disk / "begun")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        sent_nothing(disk / "begun")
        sent_nothing(disk / "journal")


def sent_nothing(path: Path) -> None:
    mailer = FakeMailer()
    with pytest.raises(StoreError, match="Nothing was sent"):
        run(mailer, notes(3), journal=path)
    assert mailer.submissions == []


def let_go(path: Path) -> None:
    """Wait for the journal's thread to end; then another run can have the file."""
    for thread in threading.enumerate():
        if thread.name == "mailoauth-journal":
            thread.join(10)
            assert not thread.is_alive()
    run(FakeMailer(), iter(notes(1)), journal=path)


@pytest.mark.parametrize("steps", range(6))
def test_a_run_that_is_cancelled_twice_lets_go_of_its_journal(path: Path, steps: int) -> None:
    mailer = FakeMailer()

    async def twice() -> None:
        many = AsyncReceipts(mailer, iter(notes(200)), journal=path)

        async def everything() -> None:
            try:
                await drain(many)
            finally:
                await many.aclose()

        task = asyncio.ensure_future(everything())
        await until(lambda: len(mailer.accepted) > 5)
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(twice())
    let_go(path)


def test_a_close_that_is_cancelled_lets_go_of_the_journal_and_writes_what_waits(
    path: Path,
) -> None:
    async def cancelled() -> None:
        journal = Journal(path, account=ADA, mailbox=ADA, keyed=False)
        await journal.open()
        journal.note(Row("#1", 1, "<1@example.com>", "sent"))
        closing = asyncio.ensure_future(journal.close())
        await asyncio.sleep(0)
        journal.note(Row("#2", 2, "<2@example.com>", "sent"))
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(cancelled())
    let_go(path)
    mailer = FakeMailer()
    run(mailer, iter(notes(3)), journal=path)
    assert mailer.subjects() == ["note 3"]
