"""Messages on the disk: whole, in little memory, and none of somebody else's."""

from __future__ import annotations

import errno
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.accounts import Account
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Reply
from mailoauth.errors import ConnectionFailed, MailOAuthError, ServerError
from mailoauth.mail.commands import Command
from mailoauth.mail.message import Message
from mailoauth.mail.saving import PIECE, Saving
from tests.judges import note, signed_in_source
from tests.saving_world import (
    ADA,
    HEADERS,
    Box,
    FakeConnection,
    Scripted,
    box,
    cutting,
    headers,
    large,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judges import Judge
    from tests.real.servers import RealServers


def test_a_message_is_saved_as_it_came(judge: Judge, tmp_path: Path) -> None:
    raw = large()
    judge.deliver(ADA, raw)
    with box(judge) as mail:
        saved = mail.save(headers(mail), tmp_path)
    assert saved == tmp_path / "Large.eml"
    assert saved.read_bytes() == raw
    assert not judge.messages(ADA)[0].flags, "saving marks nothing"


def test_a_line_that_is_cut_is_taken_up_where_it_was(judge: Judge, tmp_path: Path) -> None:
    raw = large()
    judge.deliver(ADA, raw)
    with box(judge) as mail:
        message = headers(mail)
        start, connections = mail.commands, len(judge.connections)
        mail.between = cutting(judge, start + 2, start + 4)
        saved = mail.save(message, tmp_path)
    assert saved.read_bytes() == raw
    assert len(judge.connections) == connections + 2
    assert mail.commands - start < 8, "nothing was fetched from the beginning again"


def test_a_full_disk_leaves_nothing_and_the_line_as_it_was(judge: Judge, tmp_path: Path) -> None:
    judge.deliver(ADA, large())
    full = OSError(errno.ENOSPC, "No space left on device")
    with box(judge) as mail:
        message = headers(mail)
        start, connections = mail.commands, len(judge.connections)

        def fill(number: int) -> None:
            if number == start + 3:
                raise full

        mail.between = fill
        with pytest.raises(OSError, match="No space") as caught:
            mail.save(message, tmp_path)
        assert caught.value is full
        assert list(tmp_path.iterdir()) == []
        assert len(mail.attachments(message)) == 1
        assert headers(mail).uid == message.uid
        assert mail.save(message, tmp_path).stat().st_size == len(large())
    assert len(judge.connections) == connections


def test_a_message_that_goes_away_meanwhile_leaves_nothing(judge: Judge, tmp_path: Path) -> None:
    judge.deliver(ADA, large())
    with box(judge) as mail, box(judge) as other:
        message = headers(mail)

        def expunge(connection: Any) -> None:
            connection.store([message.uid], ["\\Deleted"], add=True)
            with connection.translated("EXPUNGE"):
                connection.run("EXPUNGE", Command())

        def between(number: int) -> None:
            if number == start + 3:
                other.in_folder("INBOX", expunge)
                judge.disconnect("imap")  # a session may still see what another one removed

        start = mail.commands
        mail.between = between
        with pytest.raises(ServerError, match=r"UID \d+ is not in the folder .INBOX. .* any more"):
            mail.save(message, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_message_of_a_rebuilt_folder_is_not_taken_for_another(
    judge: Judge, tmp_path: Path
) -> None:
    uid = judge.deliver(ADA, note("other"))
    old = Message.from_bytes(b"", uid=uid, folder="INBOX", uid_validity=99, headers_only=True)
    with box(judge) as mail:
        for verb in (mail.save, lambda message, _: mail.attachments(message)):
            with pytest.raises(ConnectionFailed, match="UIDVALIDITY"):
                verb(old, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_message_is_written_without_the_network(tmp_path: Path) -> None:
    mail = Saving(Account.outlook(ADA, client_id="x"))
    message = Message.from_bytes(note("one"))
    assert mail.save(message, tmp_path).read_bytes() == note("one")
    assert mail.save(message, tmp_path / "b.eml").name == "b.eml"
    assert mail.attachments(message) == ()


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("", "message.eml"),
        ("...", "message.eml"),
        ("Re: 1/2 \\ 3", "Re_ 1_2 _ 3.eml"),
        ("../../etc/passwd", "_.._etc_passwd.eml"),
        ("CON", "_CON.eml"),
        ("invoice.pdf", "invoice.pdf.eml"),
        ("=?utf-8?B?4oCuZ3BqLmV4ZQ==?=", "gpj.exe.eml"),
        ("x" * 10_000, "x" * 196 + ".eml"),
        ("\u00f6" * 10_000, "\u00f6" * 98 + ".eml"),
    ],
)
def test_a_saved_message_is_called_after_its_subject(
    tmp_path: Path, subject: str, name: str
) -> None:
    message = Message.from_bytes(f"Subject: {subject}\r\n\r\n".encode())
    mail = Saving(Account.outlook(ADA, client_id="x"))
    assert mail.save(message, tmp_path).name == name
    second = mail.save(message, tmp_path).name
    assert second.endswith("-2.eml")
    assert second.removesuffix("-2.eml") in name


def test_sizes_are_believed_of_nobody(tmp_path: Path) -> None:
    connection = FakeConnection(random.Random(1).randbytes(300_000), most=70_001)
    saved = Scripted(connection).save(HEADERS, tmp_path)
    assert saved.read_bytes() == connection.raw
    assert [start for _, start, _ in connection.asked] == [0, 70_001, 140_002, 210_003, 280_004, 300_000]  # fmt: skip


def test_an_empty_message_is_an_empty_file(tmp_path: Path) -> None:
    mail = Scripted(FakeConnection(b""))
    assert mail.save(HEADERS, tmp_path).read_bytes() == b""
    assert mail.attachments(HEADERS) == ()


def test_a_server_that_never_ends_leaves_nothing_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(FakeConnection):
        def partial(self, uid: int, section: str, start: int, count: int) -> bytes | None:
            return b"x" * count

    monkeypatch.setattr("mailoauth.mail.saving.LARGEST", 3 * PIECE)
    with pytest.raises(ConnectionFailed, match="sent more than 3 MiB of one message"):
        Scripted(Endless(b"")).save(HEADERS, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "reply", ["NO [UNAVAILABLE] try later", "BAD Command Argument Error. 12", "NO Server Busy"]
)
def test_a_refusal_in_the_middle_leaves_nothing(tmp_path: Path, reply: str) -> None:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.deliver(ADA, large())
        with box(emulator) as mail:
            message = headers(mail)
            start = mail.commands

            def refuse(number: int) -> None:
                if number == start + 3:
                    emulator.on("imap", "FETCH", Reply(reply))

            mail.between = refuse
            with pytest.raises(MailOAuthError):
                mail.save(message, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
@pytest.mark.xdist_group("real")
@pytest.mark.timeout(300)
def test_sixty_megabytes_are_saved_in_four(real_servers: RealServers, tmp_path: Path) -> None:
    real_servers.lines["imap"].resume()
    real_servers.clear(ADA)
    raw = large(44_000_000)
    assert len(raw) > 60_000_000
    real_servers.deliver(ADA, raw)
    account = real_servers.account(ADA, imap=real_servers.imap_direct)
    with Box(account, tokens=signed_in_source(real_servers, account), timeout=30) as mail:
        message = headers(mail)
        tracemalloc.start()
        try:
            saved = mail.save(message, tmp_path)
            (one,) = mail.attachments(message)
            part = mail.save_attachment(message, one, tmp_path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert saved.read_bytes() == raw
    assert part.stat().st_size == 44_000_000
    assert peak < 8_000_000
