"""The embedded servers' folders, as clients of the standard library and bare lines see them."""

from __future__ import annotations

import imaplib
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.emulator_clients import ADA, MAIL, opened, wire_opened

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        yield emulator


def test_outlook_marks_its_folders_though_it_does_not_say_that_it_would(
    outlook: OutlookEmulator,
) -> None:
    with wire_opened(outlook) as wire:
        assert b"SPECIAL-USE" not in wire.ask(b"A2 CAPABILITY")[0]
        listed = wire.ask(b'A3 LIST "" "*"')
    assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"' in listed
    assert b'* LIST (\\HasNoChildren \\Trash) "/" "Deleted Items"' in listed
    assert b'* LIST (\\HasNoChildren \\Junk) "/" "Junk Email"' in listed
    assert any(line.startswith(b'* LIST (\\HasNoChildren) "/"') for line in listed)


def test_a_name_with_a_tab_is_listed_as_it_is_and_can_be_opened(outlook: OutlookEmulator) -> None:
    outlook.deliver(ADA, MAIL, "Mails\tof 2020")
    with wire_opened(outlook) as wire:
        listed = wire.ask(b'A2 LIST "" "*"')
        assert b'* LIST (\\HasNoChildren) "/" Mails\tof 2020' in listed
        assert wire.ask(b'A3 SELECT "Mails\tof 2020"')[0] == b"* 1 EXISTS"


def test_a_message_is_moved_and_told_where_to(outlook: OutlookEmulator) -> None:
    outlook.deliver(ADA, MAIL)
    with wire_opened(outlook) as wire:
        wire.ask(b"A2 SELECT INBOX")
        lines = wire.ask(b'A3 UID MOVE 1 "Archive"')
        assert any(b"[COPYUID " in line for line in lines)
        assert b"* 1 EXPUNGE" in lines
        assert lines[-1].startswith(b"A3 OK ")
    assert len(outlook.messages(ADA, "Archive")) == 1
    assert outlook.messages(ADA) == []


@pytest.mark.parametrize("verb", ["MOVE", "COPY"])
def test_a_folder_that_is_not_there_can_be_tried_to_be_created(
    outlook: OutlookEmulator, verb: str
) -> None:
    outlook.deliver(ADA, MAIL)
    with opened(outlook) as client:
        client.select()
        kind, [text] = client.xatom("UID", f"{verb} 1 Nowhere")
        assert (kind, text[:11]) == ("NO", b"[TRYCREATE]")
    assert len(outlook.messages(ADA)) == 1


def test_given_messages_alone_are_expunged(outlook: OutlookEmulator) -> None:
    for _ in range(3):
        outlook.deliver(ADA, MAIL)
    with opened(outlook) as client:
        client.select()
        client.uid("STORE", "1:2", "+FLAGS.SILENT", "(\\Deleted)")
        client.xatom("UID", "EXPUNGE 2")
    assert [stored.uid for stored in outlook.messages(ADA)] == [1, 3]


def test_folders_are_counted_made_renamed_and_removed(outlook: OutlookEmulator) -> None:
    outlook.deliver(ADA, MAIL)
    with opened(outlook) as client:
        assert client.create("Work")[0] == "OK"
        assert client.create("Work")[0] == "NO"
        assert client.rename("Work", "Done")[0] == "OK"
        assert client.subscribe("Done")[0] == "OK"
        assert any(b"Done" in line for line in client.lsub()[1] if isinstance(line, bytes))
        assert client.status("INBOX", "(MESSAGES UNSEEN)")[1][0].endswith(b"(MESSAGES 1 UNSEEN 1)")
        assert client.delete("Done")[0] == "OK"
        assert client.delete("Done")[0] == "NO"
        assert client.delete("INBOX")[0] == "NO"
        assert client.select("Done")[0] == "NO"


def test_a_message_is_appended_with_flags_and_date(outlook: OutlookEmulator) -> None:
    when = imaplib.Time2Internaldate(86400 * 365)
    with opened(outlook) as client:
        kind, [text] = client.append("Drafts", "(\\Draft \\Seen)", when, MAIL)
    assert kind == "OK"
    assert text.startswith(b"[APPENDUID ")
    (stored,) = outlook.messages(ADA, "Drafts")
    assert stored.raw == MAIL
    assert stored.flags == {"\\Draft", "\\Seen"}
    assert stored.internal_date.timestamp() == 86400 * 365


def test_gmail_says_that_it_marks_its_folders() -> None:
    with OutlookEmulator(personality="gmail") as emulator:
        emulator.add_user(ADA)
        with wire_opened(emulator) as wire:
            assert b"SPECIAL-USE" in wire.ask(b"A2 CAPABILITY")[0]
            listed = wire.ask(b'A3 LIST "" "*"')
    assert b'* LIST (\\HasNoChildren \\All) "/" "[Gmail]/All Mail"' in listed
    assert any(b"\\Noselect" in line and b"[Gmail]" in line for line in listed)
