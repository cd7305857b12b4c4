"""Changes on servers that refuse, hang up halfway, or lack what Outlook has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.faults import Reply
from mailoauth.errors import (
    ConfigError,
    FolderNotFound,
    MailboxUnavailable,
    ServerError,
    Throttled,
)
from mailoauth.mail.change_commands import parts
from mailoauth.mail.sets import sequence_set
from tests.judges import note
from tests.scripted_imap import ADA, ScriptedImap
from tests.scripted_mailbox import (
    BASIC,
    FULL,
    ScriptedMailbox,
    mailbox_of,
    message,
    messages,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as started:
        started.add_user(ADA)
        for subject in ("one", "two", "three"):
            started.deliver(ADA, note(subject))
        yield started


# What goes into one command.


def test_uids_are_cut_so_that_a_command_stays_short() -> None:
    uids = list(range(1, 40_000, 2))
    cut = list(parts([*reversed(uids), *uids]))
    assert [uid for part in cut for uid in part] == uids
    assert all(len(part) <= 1000 for part in cut)
    assert all(len(sequence_set(part)) <= 7000 for part in cut)
    assert list(parts([])) == []
    assert list(parts([3, 1, 2, 7])) == [[1, 2, 3, 7]]
    assert list(parts(range(4_000_000_000, 4_000_000_500))) == [
        list(range(4_000_000_000, 4_000_000_500))
    ]


def test_five_hundred_messages_are_one_short_command(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(*range(1, 501))
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server:
        with server.mailbox() as mail:
            mail.move(messages(range(500, 0, -1)), "Done")
        assert told(server, "UID") == ['UID MOVE 1:500 "Done"']


# Servers that lack MOVE, or UIDPLUS.


@pytest.mark.parametrize("lacking", ["MOVE", "MOVE UIDPLUS"])
def test_without_move_exactly_these_messages_are_copied_and_removed(
    certificates: Certificates, lacking: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mailoauth.mail")
    mailbox = ScriptedMailbox(1, 2, 3, 4)
    mailbox.folders["INBOX"][4].add("\\Deleted")  # by somebody else
    offered = " ".join(word for word in FULL.split() if word not in lacking.split())
    with ScriptedImap(certificates, mailbox, capabilities=offered) as server:
        with server.mailbox() as mail:
            mail.move(messages([1, 2]), "Done")
        assert told(server, "UID COPY", "UID STORE", "UID EXPUNGE", "EXPUNGE", "CLOSE") == [
            'UID COPY 1:2 "Done"',
            "UID STORE 1:2 +FLAGS.SILENT (\\Deleted)",
            *(["UID EXPUNGE 1:2"] if "UIDPLUS" in offered else []),
        ]
    assert len(mailbox.at("Done")) == 2
    if "UIDPLUS" in offered:
        assert mailbox.at("INBOX") == [3, 4]
    else:
        assert mailbox.flagged("\\Deleted") == [1, 2, 4]
        assert "2 stay in INBOX, flagged \\Deleted" in caplog.text


def test_without_uidplus_what_is_removed_stays_flagged(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1, 2, 3)
    with ScriptedImap(certificates, mailbox, capabilities=BASIC) as server:
        with server.mailbox() as mail:
            mail.delete(messages([1, 3]), permanently=True)
        assert told(server, "EXPUNGE", "CLOSE", "UID EXPUNGE") == []
    assert mailbox.flagged("\\Deleted") == [1, 3]


def test_a_copy_that_was_made_is_named_where_the_originals_cannot_be_removed(
    certificates: Certificates,
) -> None:
    mailbox = ScriptedMailbox(1, 2)
    mailbox.answers["UID EXPUNGE"] = b"", "NO Server Unavailable. 15"
    with (
        ScriptedImap(certificates, mailbox, capabilities=f"{BASIC} UIDPLUS") as server,
        server.mailbox() as mail,
        pytest.raises(ServerError, match='2 messages were copied to "Done" and are still in "INB'),
    ):
        mail.move(messages([1, 2]), "Done")


# Servers that refuse.


def test_an_error_halfway_says_how_many_were_moved(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(*range(1, 2001))

    def full(command: str) -> tuple[bytes, str | None] | None:
        if command.startswith("UID MOVE 1001"):
            return b"", "NO [OVERQUOTA] Quota exceeded"
        return mailbox(command)

    with (
        ScriptedImap(certificates, full, capabilities=FULL) as server,
        server.mailbox() as mail,
        pytest.raises(ServerError, match="1000 messages had been moved before that") as caught,
    ):
        mail.move(messages(range(1, 2001)), "Done")
    assert "mailbox is full" in caught.value.remedy
    assert (len(mailbox.at("INBOX")), len(mailbox.at("Done"))) == (1000, 1000)


def test_a_throttled_move_says_when_to_try_again(emulator: OutlookEmulator) -> None:
    throttled = "BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds"
    emulator.on("imap", "MOVE", Reply(throttled))
    with mailbox_of(emulator) as mail, pytest.raises(Throttled) as caught:
        mail.move(mail.unseen(), "Archive")
    assert caught.value.retry_after == pytest.approx(5)


def test_nothing_can_be_changed_in_a_folder_that_is_for_reading(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1)
    mailbox.mode, mailbox.permanent = "READ-ONLY", "()"
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server:
        with server.mailbox() as mail:
            changes: list[Any] = [
                lambda: mail.move(message(1), "Done"),
                lambda: mail.delete(message(1), permanently=True),
                lambda: mail.flag(message(1)),
                lambda: mail.flag(message(1), flag="mine"),
            ]
            for change in changes:
                with pytest.raises(MailboxUnavailable, match='"INBOX"'):
                    change()
            mail.copy(message(1), "Done")
        assert told(server, "UID") == ['UID COPY 1 "Done"']


def test_without_a_trash_nothing_is_deleted(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1)
    mailbox.listing = b'* LIST () "/" INBOX\r\n'
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server:
        with server.mailbox() as mail, pytest.raises(FolderNotFound, match='the one for "trash"'):
            mail.delete(message(1))
        assert told(server, "UID") == []


def test_deleting_nothing_asks_for_nothing(certificates: Certificates) -> None:
    with ScriptedImap(certificates, ScriptedMailbox(), capabilities=FULL) as server:
        with server.mailbox() as mail:
            mail.delete([])
            mail.delete([], permanently=True)
            mail.move([], "Done")
        assert server.connections == 0


# What is put in.


@pytest.mark.parametrize(
    ("offered", "size", "literal"),
    [("LITERAL+", 3000, "+"), ("LITERAL-", 3000, "+"), ("LITERAL-", 5000, ""), ("", 3000, "")],
)
def test_a_message_goes_along_with_its_command_where_the_server_takes_that(
    certificates: Certificates, offered: str, size: int, literal: str
) -> None:
    mailbox = ScriptedMailbox()
    content = b"Subject: x\r\n\r\n" + b"y" * size
    with ScriptedImap(certificates, mailbox, capabilities=f"{BASIC} {offered}") as server:
        with server.mailbox() as mail:
            assert mail.append(content, "Done", flags=["\\Seen"]) == 1
        head = f'APPEND "Done" (\\Seen) {{{len(content)}{literal}}}'
        assert told(server, "APPEND")[0].splitlines()[0] == head
    assert mailbox.stored == [content.decode()]


def test_a_message_that_is_too_large_is_not_put_in_and_the_error_says_so(
    certificates: Certificates,
) -> None:
    mailbox = ScriptedMailbox()
    mailbox.answers["APPEND"] = b"", "NO [TOOBIG] Message size exceeds the maximum"
    with (
        ScriptedImap(certificates, mailbox, capabilities=FULL) as server,
        server.mailbox() as mail,
        pytest.raises(ServerError, match=r'has 2\.0 MiB, more than localhost takes into "Done"'),
    ):
        mail.append(b"Subject: x\r\n\r\n" + b"y" * (2 * 1024 * 1024), "Done")


def test_a_uid_that_the_server_does_not_tell_is_none(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox()
    mailbox.answers["APPEND"] = b"", "OK done"
    with (
        ScriptedImap(certificates, mailbox, capabilities=FULL) as server,
        server.mailbox() as mail,
    ):
        assert mail.append(note("one"), "Done") is None


# Keywords.


@pytest.mark.parametrize(
    ("permanent", "kept"),
    [(r"(\Seen \*)", True), (r"(\Seen Mine)", True), (r"(\Seen)", False), ("()", False)],
)
def test_a_keyword_is_set_where_the_server_keeps_it(
    certificates: Certificates, permanent: str, kept: bool
) -> None:
    mailbox = ScriptedMailbox(1)
    mailbox.permanent = permanent
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server, server.mailbox() as mail:
        if kept:
            mail.flag(message(1), flag="mine")
        else:
            with pytest.raises(ConfigError, match='does not keep the keyword mine in "INBOX"'):
                mail.flag(message(1), flag="mine")
        mail.unflag(message(1), flag="other")
        mail.flag(message(1))
    assert mailbox.flagged("mine") == ([1] if kept else [])
    assert mailbox.flagged("\\Flagged") == [1]
