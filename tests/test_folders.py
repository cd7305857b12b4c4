"""Folders: listed with counts and uses; made, renamed, subscribed to and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import ConfigError, FolderNotFound, ServerError
from mailoauth.mail.mailbox import Mailbox
from tests.judges import TIMEOUT, note, signed_in_source
from tests.real.servers import RealServers

if TYPE_CHECKING:
    from tests.judges import Judge

ADA = "ada@example.com"


def mailbox_of(judge: Judge) -> Mailbox:
    account = judge.account(ADA)
    return Mailbox(account, tokens=signed_in_source(judge, account), timeout=TIMEOUT)


def test_folders_are_listed_with_their_counts_and_uses(judge: Judge) -> None:
    judge.deliver(ADA, note("one"))
    judge.deliver(ADA, note("two"))
    with mailbox_of(judge) as mail:
        mail.mark_seen(next(iter(mail.unseen())))
        folders = {folder.name: folder for folder in mail.folders()}
        inbox = folders["INBOX"]
        assert (inbox.special_use, inbox.messages, inbox.unseen) == ("inbox", 2, 1)
        assert inbox.delimiter == "/"
        for use in ("sent", "trash", "drafts", "junk"):
            folder = folders[mail.special(use)]
            assert folder.special_use == use
            assert (folder.messages, folder.unseen, folder.selectable) == (0, 0, True)
        without = {folder.name: folder for folder in mail.folders(counts=False)}
    assert without.keys() == folders.keys()
    assert {folder.messages for folder in without.values()} == {None}


def test_special_finds_outlooks_and_gmails_folders(judge: Judge) -> None:
    with mailbox_of(judge) as mail:
        found = {use: mail.special(use) for use in ("sent", "trash", "drafts", "junk", "inbox")}
        assert found["inbox"] == "INBOX"
        gmail = found["sent"].startswith("[Gmail]")
        assert found == (
            {
                "sent": "[Gmail]/Sent Mail",
                "trash": "[Gmail]/Trash",
                "drafts": "[Gmail]/Drafts",
                "junk": "[Gmail]/Spam",
                "inbox": "INBOX",
            }
            if gmail
            else {
                "sent": "Sent Items",
                "trash": "Deleted Items",
                "drafts": "Drafts",
                "junk": "Junk Email",
                "inbox": "INBOX",
            }
        )
        missing = "archive" if gmail else "all"
        with pytest.raises(FolderNotFound, match=f'the one for "{missing}"'):
            mail.special(missing)
        assert gmail or mail.special("archive") == "Archive"  # by its name: it has no flag
        with pytest.raises(ConfigError, match="Did you mean"):
            mail.special("draft")


def test_folders_are_made_renamed_subscribed_to_and_deleted(judge: Judge) -> None:
    name = 'Entwürfe & "mehr" 台北 😀'
    with mailbox_of(judge) as mail:
        mail.create_folder(name)
        mail.subscribe(name)
        assert mail.append(note("one"), name) == 1
        mail.rename_folder(name, "Neu")
        assert [message.subject for message in mail.unseen(folder="Neu")] == ["one"]
        mail.create_folder("Neu/unter")
        by_name = {folder.name: folder for folder in mail.folders()}
        assert name not in by_name
        assert (by_name["Neu"].messages, by_name["Neu/unter"].messages) == (1, 0)
        mail.subscribe("Neu/unter")
        assert {folder.name: folder for folder in mail.folders()}["Neu/unter"].subscribed is True
        mail.unsubscribe("Neu/unter")
        assert {folder.name: folder for folder in mail.folders()}["Neu/unter"].subscribed is False
        mail.delete_folder("Neu/unter")
        mail.delete_folder("Neu")
        assert "Neu" not in {folder.name for folder in mail.folders(counts=False)}
        with pytest.raises(FolderNotFound):
            list(mail.unseen(folder="Neu"))


def test_a_folder_that_was_deleted_and_made_again_is_opened_anew(judge: Judge) -> None:
    with mailbox_of(judge) as mail:
        mail.create_folder("Work")
        mail.append(note("old"), "Work")
        assert len(list(mail.unseen(folder="Work"))) == 1
        mail.delete_folder("Work")
        mail.create_folder("Work")
        assert list(mail.unseen(folder="Work")) == []


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "a*b",
        "a%b",
        'a"b',
        "a\\b",
        "a{5}",
        "(x)",
        " x ",
        "x" * 300,
        "NIL",
    ],
)
def test_whatever_a_name_is_it_is_one_name_or_refused(judge: Judge, name: str) -> None:
    with mailbox_of(judge) as mail:
        before = {folder.name for folder in mail.folders(counts=False)}
        try:
            mail.create_folder(name)
        except ServerError:
            made = set()
        else:
            made = {folder.name for folder in mail.folders(counts=False)} - before
        after = {folder.name for folder in mail.folders(counts=False)}
    assert after == before | made
    assert [each.strip() for each in made] in ([], [name.strip()]) or "/" in name


@pytest.mark.parametrize("name", ["", "a\r\nDELETE Archive", "a\nb", "a\0b", "a\tb", "\ud800"])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(judge: Judge, name: str) -> None:
    with mailbox_of(judge) as mail:
        for verb in (
            mail.create_folder,
            mail.delete_folder,
            mail.subscribe,
            mail.unsubscribe,
            lambda bad: mail.rename_folder(bad, "x"),
            lambda bad: mail.rename_folder("x", bad),
            lambda bad: mail.append(note("one"), bad),
        ):
            with pytest.raises(ConfigError):
                verb(name)
    assert judge.connections == [] or isinstance(judge, RealServers)


def test_a_folder_that_exists_is_not_made_again_and_the_error_says_so(judge: Judge) -> None:
    with mailbox_of(judge) as mail:
        mail.create_folder("Work")
        with pytest.raises(ServerError, match=r'"Work" was not created.*There is a folder of that'):
            mail.create_folder("Work")
        with pytest.raises(ServerError, match='"INBOX" was not created'):
            mail.create_folder("INBOX")


def test_what_is_not_there_cannot_be_renamed_or_deleted(judge: Judge) -> None:
    with mailbox_of(judge) as mail:
        with pytest.raises(FolderNotFound, match='no folder "Nowhere"'):
            mail.rename_folder("Nowhere", "Work")
        with pytest.raises(FolderNotFound, match='no folder "Nowhere"'):
            mail.delete_folder("Nowhere")


def test_inbox_cannot_be_deleted(judge: Judge) -> None:
    judge.deliver(ADA, note("one"))
    with mailbox_of(judge) as mail:
        with pytest.raises(ServerError, match='"INBOX" was not deleted') as caught:
            mail.delete_folder("INBOX")
        assert not isinstance(caught.value, FolderNotFound)
        assert len(list(mail.unseen())) == 1


def put_three(mail: Mailbox, folder: str) -> None:
    mail.create_folder(folder)
    for subject in ("one", "two", "three"):
        mail.append(note(subject), folder)


def leave_at_the_third(mail: Mailbox, folder: str) -> None:
    for message in mail.unseen(folder=folder, mark_seen=True):
        if message.subject == "three":
            return


def test_what_a_loop_has_finished_with_is_marked_before_its_folder_is_renamed(
    judge: Judge,
) -> None:
    with mailbox_of(judge) as mail:
        put_three(mail, "Work")
        leave_at_the_third(mail, "Work")
        mail.rename_folder("Work", "Done")
        assert [message.subject for message in mail.unseen(folder="Done")] == ["three"]


def test_nothing_is_left_to_be_marked_in_a_folder_that_was_deleted(judge: Judge) -> None:
    with mailbox_of(judge) as mail:
        put_three(mail, "Work")
        leave_at_the_third(mail, "Work")
        mail.delete_folder("Work")
