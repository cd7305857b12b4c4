"""Attachments on the disk: listed without their content, streamed, and called as is safe."""

from __future__ import annotations

import random
import tempfile
from typing import TYPE_CHECKING

import pytest

from mailoauth.accounts import Account
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import ConfigError, ServerError
from mailoauth.mail.message import Message
from mailoauth.mail.saving import Saving
from mailoauth.mail.spool import Spool
from tests.broken_mail import broken_messages
from tests.saving_world import (
    ADA,
    HEADERS,
    SINGLE,
    FakeConnection,
    Scripted,
    attached,
    box,
    cutting,
    headers,
    large,
    rich,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judges import Judge


@pytest.mark.parametrize(
    "raw", [rich(), large(), *SINGLE.values()], ids=["everything", "large", *SINGLE]
)
def test_what_is_listed_and_saved_is_what_a_whole_message_has(
    judge: Judge, tmp_path: Path, raw: bytes
) -> None:
    judge.deliver(ADA, raw)
    # pymap takes the line break before a boundary for a part of what is above it.
    also = b"\r\n" if isinstance(judge, OutlookEmulator) else b""
    with box(judge) as mail:
        message = headers(mail)
        start = mail.commands
        remote = mail.attachments(message)
        assert mail.commands - start == 1, "one FETCH BODYSTRUCTURE and nothing else"
        (whole,) = mail.search()
        local = whole.attachments
        assert [each.filename for each in remote] == [each.filename for each in local]
        assert [each.content_type for each in remote] == [each.content_type for each in local]
        for one, two in zip(remote, local, strict=True):
            # Quoted-printable is longer than what it stands for, and pymap counts the headers.
            assert two.size * 0.99 <= one.size <= two.size * 2.1 + 200
        for one, two in zip(remote, local, strict=True):
            streamed = mail.save_attachment(message, one, tmp_path)
            written = mail.save_attachment(whole, two, tmp_path)
            assert written.read_bytes() == two.content
            assert streamed.read_bytes() in {two.content, two.content + also}
            assert streamed.parent == written.parent == tmp_path
            assert streamed.name != written.name
        with pytest.raises(ConfigError, match="save_attachment"):
            _ = remote[0].content


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "CON", "x" * 10_000, "\u202egpj.exe", "...", "C:\\boot.ini", ".bashrc"],
)
def test_a_name_that_a_stranger_chose_leads_nowhere(
    judge: Judge, tmp_path: Path, name: str
) -> None:
    judge.deliver(ADA, attached("application/x", name.replace("\\", "\\\\"), b"hello"))
    folder = tmp_path / "in" / "here"
    with box(judge) as mail:
        message = headers(mail)
        (one,) = mail.attachments(message)
        saved = [mail.save_attachment(message, one, folder) for _ in range(2)]
        named = mail.save_attachment(message, one, tmp_path / "mine.bin")
    assert named == tmp_path / "mine.bin"
    assert {path.parent for path in saved} == {folder}
    assert set(folder.iterdir()) == set(saved)
    assert len(set(saved)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"in", "mine.bin"}
    assert {path.read_bytes() for path in [*saved, named]} == {b"hello"}


def test_an_attachment_of_another_message_is_refused(judge: Judge, tmp_path: Path) -> None:
    judge.deliver(ADA, large(1000))
    judge.deliver(ADA, large(2000))
    with box(judge) as mail:
        first, second = mail.search(headers_only=True)
        whole, other = mail.search()
        wrong = [
            (second, mail.attachments(first)[0]),
            (first, whole.attachments[0]),
            (other, whole.attachments[0]),
            (Message.from_bytes(other.raw), mail.attachments(first)[0]),
        ]
        for message, attachment in wrong:
            with pytest.raises(ConfigError, match="not one of this message"):
                mail.save_attachment(message, attachment, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_message_from_elsewhere_has_no_place_to_be_fetched_from(tmp_path: Path) -> None:
    mail = Saving(Account.outlook(ADA, client_id="x"))
    message = Message.from_bytes(b"Subject: one\r\n\r\n", headers_only=True)
    with pytest.raises(ConfigError):
        mail.save(message, tmp_path / "new")
    with pytest.raises(ConfigError):
        mail.attachments(message)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_line_does_not_harm_an_attachment(judge: Judge, tmp_path: Path) -> None:
    raw = large()
    judge.deliver(ADA, raw)
    with box(judge) as mail:
        message = headers(mail)
        (one,) = mail.attachments(message)
        mail.between = cutting(judge, mail.commands + 3)
        saved = mail.save_attachment(message, one, tmp_path)
    assert saved.read_bytes() == Message.from_bytes(raw).attachments[0].content


@pytest.mark.parametrize(
    "raw", [rich(), large(), *SINGLE.values()], ids=["everything", "large", *SINGLE]
)
def test_where_the_structure_is_broken_the_message_itself_is_asked(
    tmp_path: Path, raw: bytes
) -> None:
    mail = Scripted(FakeConnection(raw, ([None], b"MIXED"), most=1000))
    found = mail.attachments(HEADERS)
    whole = Message.from_bytes(raw).attachments
    assert [(each.filename, each.content_type, each.content_id) for each in found] == [
        (each.filename, each.content_type, each.content_id) for each in whole
    ]
    for one, two in zip(found, whole, strict=True):
        assert one.content == two.content
        assert mail.save_attachment(HEADERS, one, tmp_path).read_bytes() == two.content
    with pytest.raises(ConfigError, match="not one of this message"):
        mail.save_attachment(Message.from_bytes(raw), found[0], tmp_path)


def test_what_is_gone_has_no_attachments_to_list() -> None:
    class Gone(FakeConnection):
        def partial(self, uid: int, section: str, start: int, count: int) -> bytes | None:
            return None

    with pytest.raises(ServerError, match="UID 7 is not in the folder"):
        Scripted(Gone(b"")).attachments(HEADERS)


def test_a_file_answers_the_parser_as_bytes_do(tmp_path: Path) -> None:
    chance = random.Random(1)
    raw = bytes(chance.choices(b"ab\r\n", k=60))
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        spool = Spool.of(file)
    for _ in range(2000):
        what = bytes(chance.choices(b"ab\r\n", k=chance.randint(1, 3)))
        start, end = chance.randint(-5, 65), chance.choice([None, chance.randint(-5, 65)])
        assert spool.startswith(what, start, end) == raw.startswith(what, start, end)
        assert spool.endswith(what, start, end) == raw.endswith(what, start, end)
        assert spool.count(what, start, end) == raw.count(what, start, end)


def test_broken_messages_are_read_from_a_file_as_from_memory() -> None:
    for name, raw in broken_messages():
        found = Scripted(FakeConnection(raw)).attachments(HEADERS)
        whole = Message.from_bytes(raw).attachments
        assert [(each.filename, each.content_type) for each in found] == [
            (each.filename, each.content_type) for each in whole
        ], name
        for one, two in zip(found[:10], whole, strict=False):
            assert one.content == two.content, name
