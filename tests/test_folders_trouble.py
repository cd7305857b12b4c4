"""Folders on servers that refuse, hang up, or are like no emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.faults import Cut, Reply
from mailoauth.errors import ConfigError, FolderNotFound, OutcomeUnknown, Throttled
from mailoauth.mail.mailbox import Mailbox
from tests.judges import TIMEOUT, note, signed_in_source
from tests.scripted_imap import ScriptedImap
from tests.scripted_mailbox import BASIC, ScriptedMailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADA = "ada@example.com"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


def mailbox_of(emulator: OutlookEmulator) -> Mailbox:
    account = emulator.account(ADA)
    return Mailbox(account, tokens=signed_in_source(emulator, account), timeout=TIMEOUT)


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as started:
        started.add_user(ADA)
        yield started


def test_a_folder_whose_status_is_refused_has_no_counts_and_does_not_end_the_list(
    emulator: OutlookEmulator,
) -> None:
    emulator.on("imap", "STATUS", Reply("NO Mailbox is corrupt."), times=2)
    with mailbox_of(emulator) as mail:
        counts = [folder.messages for folder in mail.folders()]
    assert counts == [None, None, 0, 0, 0, 0, 0]


def test_a_throttled_status_ends_the_list(emulator: OutlookEmulator) -> None:
    throttled = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
    emulator.on("imap", "STATUS", Reply(throttled))
    with mailbox_of(emulator) as mail, pytest.raises(Throttled) as caught:
        mail.folders()
    assert caught.value.retry_after == pytest.approx(92.415)


def test_subscriptions_that_a_server_does_not_tell_are_unknown(emulator: OutlookEmulator) -> None:
    emulator.on("imap", "LSUB", Reply("BAD Command not supported"))
    with mailbox_of(emulator) as mail:
        assert {folder.subscribed for folder in mail.folders()} == {None}


@pytest.mark.parametrize("verb", ["LIST", "STATUS", "LSUB"])
def test_a_line_that_is_lost_while_folders_are_listed_costs_nothing(
    emulator: OutlookEmulator, verb: str
) -> None:
    emulator.on("imap", verb, Cut())
    with mailbox_of(emulator) as mail:
        assert [folder.messages for folder in mail.folders()] == [0] * 7


@pytest.mark.parametrize("verb", ["SUBSCRIBE", "UNSUBSCRIBE"])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_subscription_is_repeated(
    emulator: OutlookEmulator, verb: str, carried_out: bool
) -> None:
    with mailbox_of(emulator) as mail:
        mail.subscribe("Archive")
        emulator.on("imap", verb, Cut(carried_out=carried_out))
        (mail.subscribe if verb == "SUBSCRIBE" else mail.unsubscribe)("Archive")
        known = {folder.name: folder.subscribed for folder in mail.folders()}
    assert known["Archive"] is (verb == "SUBSCRIBE")


@pytest.mark.parametrize("carried_out", [True, False])
def test_no_folder_is_made_renamed_or_deleted_twice(
    emulator: OutlookEmulator, carried_out: bool
) -> None:
    with mailbox_of(emulator) as mail:
        changes: dict[str, Callable[[], None]] = {
            "CREATE": lambda: mail.create_folder("Work"),
            "RENAME": lambda: mail.rename_folder("Archive", "Old"),
            "DELETE": lambda: mail.delete_folder("Outbox"),
        }
        for verb, change in changes.items():
            emulator.on("imap", verb, Cut(carried_out=carried_out))
            with pytest.raises(OutcomeUnknown, match="not known whether"):
                change()
        names = {folder.name for folder in mail.folders(counts=False)}
    assert ({"Work", "Old"} <= names) is carried_out
    assert ("Outbox" in names) is not carried_out
    sent = [verb for connection in emulator.connections for verb in connection.commands]
    assert [sent.count(verb) for verb in ("CREATE", "RENAME", "DELETE")] == [1, 1, 1]


def test_special_asks_once_and_again_when_a_folder_was_not_where_it_should_be(
    emulator: OutlookEmulator,
) -> None:
    emulator.deliver(ADA, note("one"))
    with mailbox_of(emulator) as mail, mailbox_of(emulator) as other:
        message = next(iter(mail.unseen()))
        assert [mail.special("trash"), mail.special("sent")] == ["Deleted Items", "Sent Items"]
        assert emulator.connections[0].commands.count("LIST") == 1
        other.delete_folder("Deleted Items")
        other.create_folder("Papierkorb")
        with pytest.raises(FolderNotFound, match="Deleted Items"):
            mail.delete(message)
        mail.delete(message)
    assert len(emulator.messages(ADA, "Papierkorb")) == 1


# Servers that no emulator is like.

EXTENDED = f"{BASIC} LIST-EXTENDED LIST-STATUS SPECIAL-USE CHILDREN"


def test_folders_and_counts_come_in_one_round_trip_where_the_server_can(
    certificates: Certificates,
) -> None:
    mailbox = ScriptedMailbox()
    lines = (
        b'* LIST (\\Subscribed) "/" INBOX\r\n'
        b"* STATUS INBOX (MESSAGES 3 UNSEEN 1)\r\n"
        b'* LIST (\\Subscribed \\Trash) "/" {3}\r\na b\r\n'
        b"* STATUS {3}\r\na b (MESSAGES 5 UNSEEN 0)\r\n"
        b'* LIST (\\NonExistent \\HasChildren) "/" "top"\r\n'
        b'* LIST () "/" "top/broken"\r\n'
    )
    mailbox.answers["LIST"] = lines, "OK done"
    with ScriptedImap(certificates, mailbox, capabilities=EXTENDED) as server:
        with server.mailbox() as mail:
            folders = mail.folders()
        asked = [command for command in server.commands if command.startswith(("LIST", "STATUS"))]
    assert asked == [
        'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UNSEEN))'
    ]
    assert [
        (folder.name, folder.messages, folder.unseen, folder.subscribed, folder.selectable)
        for folder in folders
    ] == [
        ("INBOX", 3, 1, True, True),
        ("a b", 5, 0, True, True),
        ("top", None, None, False, False),
        ("top/broken", None, None, False, True),
    ]


def test_a_server_with_list_extended_alone_is_asked_for_each_count(
    certificates: Certificates,
) -> None:
    mailbox = ScriptedMailbox()
    mailbox.answers["LIST"] = b'* LIST () "/" INBOX\r\n', "OK done"
    mailbox.answers["LSUB"] = b"", "OK done"
    mailbox.answers["STATUS"] = b"* STATUS INBOX (MESSAGES 2 UNSEEN 1)\r\n", "OK done"
    with (
        ScriptedImap(certificates, mailbox, capabilities=f"{BASIC} LIST-EXTENDED") as server,
        server.mailbox() as mail,
    ):
        assert [(each.messages, each.unseen) for each in mail.folders()] == [(2, 1)]


def test_odd_lists_are_read_to_their_end(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox()
    lines = (
        b"* OK still here\r\n* 23 EXISTS\r\n* LIST nonsense\r\n"
        b'* LIST () "/" "R&D"\r\n* LIST () NIL a\tb\r\n* LIST (\\Noselect) "/" ""\r\n'
    )
    mailbox.answers["LIST"] = lines, "OK done"
    mailbox.answers["LSUB"] = b"", "NO"
    mailbox.answers["STATUS"] = b"* STATUS nonsense\r\n", "OK done"
    with ScriptedImap(certificates, mailbox, capabilities=BASIC) as server:
        with server.mailbox() as mail:
            folders = mail.folders()
        asked = [command for command in server.commands if command.startswith("STATUS")]
    assert [folder.messages for folder in folders] == [None, None]
    assert asked == ['STATUS "R&D" (MESSAGES UNSEEN)', 'STATUS "a\tb" (MESSAGES UNSEEN)']


def test_a_name_with_a_line_break_is_listed_and_never_sent(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox()
    mailbox.answers["LIST"] = b'* LIST () "/" {14}\r\na\r\nX1 DELETE b\r\n', "OK done"
    mailbox.answers["LSUB"] = b"", "OK done"
    with ScriptedImap(certificates, mailbox, capabilities=BASIC) as server:
        with server.mailbox() as mail:
            folders = mail.folders()
            with pytest.raises(ConfigError, match="line break"):
                mail.delete_folder(folders[0].name)
        assert not any("DELETE" in command for command in server.commands)
    assert [folder.messages for folder in folders] == [None]


def test_an_empty_list_has_no_folders(certificates: Certificates) -> None:
    with (
        ScriptedImap(certificates, ScriptedMailbox(), capabilities=BASIC) as server,
        server.mailbox() as mail,
    ):
        assert mail.folders() == []
        with pytest.raises(FolderNotFound, match='the one for "sent"'):
            mail.special("sent")
