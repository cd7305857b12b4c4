"""Messages are moved, copied, deleted and put in, one or many, at every server alike."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError, FolderNotFound
from mailoauth.mail.mailbox import Mailbox
from tests.judges import TIMEOUT, note, signed_in_source

if TYPE_CHECKING:
    from mailoauth import Message
    from tests.judges import Judge

ADA = "ada@example.com"
SUBJECTS = ["one", "two", "three", "four", "five"]


def mailbox_of(judge: Judge) -> Mailbox:
    account = judge.account(ADA)
    return Mailbox(account, tokens=signed_in_source(judge, account), timeout=TIMEOUT)


@pytest.fixture
def inbox(judge: Judge) -> Judge:
    """The server with five unseen messages and an empty folder "Done"."""
    for subject in SUBJECTS:
        judge.deliver(ADA, note(subject))
    with mailbox_of(judge) as mail:
        mail.create_folder("Done")
    return judge


def subjects(judge: Judge, folder: str = "INBOX", flag: str = "") -> list[str]:
    """Return the subjects in a folder, read past IMAP."""
    return [
        message_from_bytes(stored.raw)["Subject"]
        for stored in judge.messages(ADA, folder)
        if not flag or flag in stored.flags
    ]


def test_one_message_is_moved(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        mail.move(next(iter(mail.unseen())), "Done")
    assert subjects(inbox) == SUBJECTS[1:]
    assert subjects(inbox, "Done") == ["one"]


def test_many_messages_of_several_folders_are_moved_at_once(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        mail.move(mail.unseen(limit=2), "Drafts" if "Drafts" in _names(mail) else "[Gmail]/Drafts")
        drafts = mail.special("drafts")
        mail.move([*mail.unseen(folder=drafts), *mail.unseen(limit=2)], "Done")
        mail.move([], "Done")
    assert subjects(inbox) == ["five"]
    assert sorted(subjects(inbox, "Done")) == sorted(SUBJECTS[:4])
    assert subjects(inbox, drafts) == []


def _names(mail: Mailbox) -> set[str]:
    return {folder.name for folder in mail.folders(counts=False)}


def test_messages_that_are_in_the_folder_already_stay(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        mail.move(found, "INBOX")
        mail.move(found, "inbox")
        assert [message.uid for message in mail.unseen()] == [message.uid for message in found]


def test_messages_that_are_gone_are_passed_over(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        mail.delete(found[:2], permanently=True)
        mail.move(found[:3], "Done")
        mail.move(found[:3], "Done")
        mail.copy(found[:3], "Done")
        mail.delete(found[:3])
        mail.delete(found[:3], permanently=True)
        mail.flag(found[:3])
    assert subjects(inbox) == SUBJECTS[3:]
    assert subjects(inbox, "Done") == ["three"]


def test_what_is_moved_keeps_its_flags(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        mail.flag(found[:2])
        mail.mark_seen(found[1])
        mail.move(found, "Done")
    assert subjects(inbox, "Done", "\\Flagged") == ["one", "two"]
    assert subjects(inbox, "Done", "\\Seen") == ["two"]


def test_messages_are_copied(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        mail.copy(found[1:3], "Done")
        mail.copy(found[0], "INBOX")
    assert subjects(inbox) == [*SUBJECTS, "one"]
    assert subjects(inbox, "Done") == ["two", "three"]


@pytest.mark.parametrize("verb", ["move", "copy", "append"])
def test_a_folder_that_is_not_there_is_named_and_nothing_is_lost(inbox: Judge, verb: str) -> None:
    with mailbox_of(inbox) as mail:
        found: Any = list(mail.unseen())
        with pytest.raises(FolderNotFound, match='no folder "Nowhere"'):
            getattr(mail, verb)(note("six") if verb == "append" else found, "Nowhere")
        assert "Nowhere" not in _names(mail)
    assert subjects(inbox) == SUBJECTS


def test_deleted_messages_go_to_the_trash_and_those_in_it_stay(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        mail.delete(found[0])
        mail.delete(found[1:3])
        trash = mail.special("trash")
        mail.delete(mail.search(folder=trash))
    assert subjects(inbox) == SUBJECTS[3:]
    assert subjects(inbox, trash) == SUBJECTS[:3]


def test_exactly_what_is_removed_for_good_goes(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        found = list(mail.unseen())
        # Somebody else has flagged this one, and a plain EXPUNGE would take it along.
        mail.flag(found[4], flag="\\Deleted")
        mail.delete(found[1:3], permanently=True)
        trash = mail.special("trash")
    assert subjects(inbox) == ["one", "four", "five"]
    assert subjects(inbox, flag="\\Deleted") == ["five"]
    assert subjects(inbox, trash) == []


def test_many_messages_are_moved_and_copied_in_one_command(judge: Judge) -> None:
    for number in range(520):
        judge.deliver(ADA, note(f"message-{number}"))
    with mailbox_of(judge) as mail:
        mail.create_folder("Done")
        found = list(mail.search(headers_only=True))
        mail.copy(found, "Done")
        mail.move(found[::2], "Done")
        mail.delete(found[1::2])
        trash = mail.special("trash")
    assert subjects(judge) == []
    assert len(subjects(judge, "Done")) == 780
    assert len(subjects(judge, trash)) == 260
    for connection in judge.connections:
        assert connection.commands.count("UID MOVE") in {0, 2}
        assert connection.commands.count("UID COPY") in {0, 1}


# In a loop.


@pytest.mark.parametrize("verb", ["move", "delete", "delete for good", "flag", "copy", "none"])
@pytest.mark.parametrize("mark_seen", [True, False])
def test_the_message_in_hand_can_be_changed_and_other_folders_searched(
    inbox: Judge, verb: str, mark_seen: bool
) -> None:
    with mailbox_of(inbox) as mail:
        mail.append(note("elsewhere"), "Done")
        change: Any = {
            "move": lambda message: mail.move(message, "Done"),
            "delete": mail.delete,
            "delete for good": lambda message: mail.delete(message, permanently=True),
            "flag": mail.flag,
            "copy": lambda message: mail.copy(message, "Done"),
            "none": lambda message: None,
        }[verb]
        found = []
        for message in mail.unseen(mark_seen=mark_seen):
            found.append(message.subject)
            assert message.text.strip() == f"body of {message.subject}"
            change(message)
            others = [other.subject for other in mail.search(folder="Done")]
            assert others[0] == "elsewhere"
            assert len(others) == (len(found) + 1 if verb in {"move", "copy"} else 1)
        trash = mail.special("trash")
    assert found == SUBJECTS
    seen = SUBJECTS if mark_seen else []
    stays = verb in {"flag", "copy", "none"}
    assert subjects(inbox) == (SUBJECTS if stays else [])
    assert subjects(inbox, flag="\\Seen") == (seen if stays else [])
    assert subjects(inbox, flag="\\Flagged") == (SUBJECTS if verb == "flag" else [])
    assert subjects(inbox, "Done")[1:] == (SUBJECTS if verb in {"move", "copy"} else [])
    assert subjects(inbox, trash) == (SUBJECTS if verb == "delete" else [])
    if verb in {"move", "delete"}:  # what was moved on is done with
        assert subjects(inbox, "Done" if verb == "move" else trash, "\\Seen") == seen


def test_messages_of_earlier_rounds_can_be_moved_from_a_loop(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        kept: list[Message] = []
        for message in mail.unseen(mark_seen=True):
            kept.append(message)
            if message.subject == "four":
                mail.move(kept[:3], "Done")
    assert subjects(inbox, "Done", "\\Seen") == ["one", "two", "three"]
    assert subjects(inbox, flag="\\Seen") == ["four", "five"]


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_message_that_could_not_be_moved_is_marked_if_the_loop_goes_on(
    inbox: Judge, goes_on: bool
) -> None:
    with mailbox_of(inbox) as mail:
        for message in mail.unseen(mark_seen=True):
            if message.subject == "three":
                with pytest.raises(FolderNotFound):
                    mail.move(message, "Nowhere")
                if not goes_on:
                    break
    assert subjects(inbox) == SUBJECTS
    assert subjects(inbox, flag="\\Seen") == (SUBJECTS if goes_on else SUBJECTS[:2])


# What is put in.


def test_a_message_is_put_in_with_flags_and_date_and_its_uid_returned(inbox: Judge) -> None:
    when = datetime(2020, 2, 29, 13, 37, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    with mailbox_of(inbox) as mail:
        uid = mail.append(note("six"), "Done", flags=["\\Seen", "\\Flagged"], date=when)
        message = next(iter(mail.search(folder="Done")))
    assert (message.uid, message.subject, message.internal_date) == (uid, "six", when)
    assert {"\\Seen", "\\Flagged"} <= set(message.flags)


def test_bytes_are_put_in_as_they_are_but_for_their_line_ends(inbox: Judge) -> None:
    raw: Any = b"Subject: raw\nBcc: carol@example.com\r\n\r\nfirst\rsecond\n\xff\xfe\r\n.\r\n"
    with mailbox_of(inbox) as mail:
        mail.append(raw, "Done")
        stored = next(iter(mail.search(folder="Done"))).raw
        others: list[Any] = [bytearray(raw), memoryview(raw)]
        for other in others:
            mail.append(other, "Done")
    assert stored == (
        b"Subject: raw\r\nBcc: carol@example.com\r\n\r\nfirst\r\nsecond\r\n\xff\xfe\r\n.\r\n"
    )
    assert subjects(inbox, "Done") == ["raw"] * 3


def test_a_message_of_ours_is_put_in_again(inbox: Judge) -> None:
    with mailbox_of(inbox) as mail:
        message = next(iter(mail.unseen()))
        mail.append(message, "Done")
        assert next(iter(mail.search(folder="Done"))).raw == message.raw
        headers = next(iter(mail.search(headers_only=True)))
        with pytest.raises(ConfigError, match="headers_only"):
            mail.append(headers, "Done")


def test_a_draft_keeps_its_bcc(inbox: Judge) -> None:
    draft = EmailMessage()
    draft["From"] = ADA
    draft["To"] = "bob@example.com"
    draft["Bcc"] = "Zoë <zoe@example.com>, carol@example.com"
    draft["Subject"] = "Grüße"
    draft.set_content("Text\n")
    with mailbox_of(inbox) as mail:
        mail.append(draft, "Done", flags=["\\Draft"])
        message = next(iter(mail.search(folder="Done")))
    assert [(each.name, each.address) for each in message.bcc] == [
        ("Zoë", "zoe@example.com"),
        ("", "carol@example.com"),
    ]
    assert (message.subject, message.text.strip()) == ("Grüße", "Text")
    assert draft["Bcc"] is not None


@pytest.mark.parametrize("size", [1, 4096, 4097, 3_000_000])
def test_messages_of_every_size_are_put_in(inbox: Judge, size: int) -> None:
    raw = b"Subject: big\r\n\r\n" + b"x" * size + b"\r\n"
    with mailbox_of(inbox) as mail:
        mail.append(raw, "Done")
        assert mail.append(note("after"), "Done") in {None, 2}
        assert next(iter(mail.search(folder="Done"))).raw == raw
