"""Other verbs inside a loop over a folder: nothing is skipped, doubled or refused.

In both colours, on every server, and with and without work ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.mail import batches, fetching
from tests.judges import note
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judges import Colour, Judge
    from tests.session_colours import Session

SUBJECTS = [f"message-{number:02}" for number in range(24)]


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    found: Colour = request.param
    return found


@pytest.fixture(params=[0, 1, 4], ids=lambda ahead: f"{ahead}-ahead", autouse=True)
def _ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "AHEAD", request.param)
    monkeypatch.setattr(batches, "_MESSAGES", 5)
    monkeypatch.setattr(batches, "_MARKED", 5)
    monkeypatch.setattr(batches, "_SIZED", 7)


@pytest.fixture
def inbox(judge: Judge) -> Judge:
    for subject in SUBJECTS:
        judge.deliver(ADA, note(subject))
    return judge


def subjects_in(mail: Session, folder: str) -> list[str]:
    return sorted(message.subject for message in mail.search(folder=folder))


def folder_of(mail: Session, name: str) -> str:
    """Return a folder that is empty; the real servers keep theirs from test to test."""
    if name not in {folder.name for folder in mail.folders()}:
        mail.create_folder(name)
    mail.delete(list(mail.search(folder=name)), permanently=True)
    return name


@pytest.mark.parametrize("mark_seen", [False, True])
def test_every_message_is_moved_once(inbox: Judge, colour: Colour, mark_seen: bool) -> None:
    with session_of(inbox, colour) as mail:
        done = folder_of(mail, "Done")
        got = []
        for message in mail.unseen(mark_seen=mark_seen):
            got.append(message.subject)
            mail.move(message, done)
        assert got == SUBJECTS
        assert subjects_in(mail, done) == SUBJECTS
        assert subjects_in(mail, "INBOX") == []
        assert len(list(mail.unseen(folder=done))) == (0 if mark_seen else len(SUBJECTS))


def test_every_other_message_is_deleted_for_good(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        got = []
        for number, message in enumerate(mail.unseen()):
            got.append(message.subject)
            if number % 2:
                mail.delete(message, permanently=True)
        assert got == SUBJECTS
        assert subjects_in(mail, "INBOX") == SUBJECTS[::2]


def test_messages_that_are_still_to_come_may_be_removed(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        everything = list(mail.search())
        got = []
        for message in mail.search():
            got.append(message.subject)
            if len(got) == 1:
                mail.delete(everything[-3:], permanently=True)
        assert got[:-3] == SUBJECTS[: len(got[:-3])]
        assert set(SUBJECTS[:-3]) <= set(got) <= set(SUBJECTS)
        assert len(got) == len(set(got))


def test_everything_at_once(inbox: Judge, colour: Colour, tmp_path: Path) -> None:
    with session_of(inbox, colour) as mail:
        other = folder_of(mail, "Other")
        for subject in ("first", "second"):
            mail.append(note(subject), other)
        got = []
        for message in mail.unseen(mark_seen=True):
            got.append(message.subject)
            mail.flag(message)
            assert {"first", "second"} <= set(subjects_in(mail, other))
            if len(got) % 5 == 0:
                mail.copy(message, other)
                mail.save(message, tmp_path)
            if len(got) % 11 == 0:
                mail.send(to="bob@example.com", subject=message.subject, text="seen")
        assert got == SUBJECTS
        assert list(mail.search(flagged=False)) == []
        assert list(mail.unseen()) == []
        assert subjects_in(mail, other) == sorted([*SUBJECTS[4::5], "first", "second"])
    assert len(list(tmp_path.iterdir())) == len(SUBJECTS[4::5])


@pytest.mark.parametrize("headers_only", [False, True])
def test_a_nested_search_of_another_folder_mixes_nothing_up(
    inbox: Judge, colour: Colour, headers_only: bool
) -> None:
    """The other folder has the same UIDs."""
    with session_of(inbox, colour) as mail:
        other = folder_of(mail, "Other")
        for number in range(30):
            mail.append(note(f"other-{number}"), other)
        got = []
        for message in mail.search(headers_only=headers_only):
            got.append(message.subject)
            (inner,) = mail.search(folder=other, limit=1, headers_only=headers_only)
            assert inner.subject == "other-0"
        assert got == SUBJECTS


def test_two_loops_over_one_folder_go_side_by_side(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        pairs = zip(mail.search(), mail.search(newest_first=True), strict=True)
        got = [(oldest.subject, newest.subject) for oldest, newest in pairs]
        assert got == list(zip(SUBJECTS, SUBJECTS[::-1], strict=True))


def test_a_line_that_is_cut_in_every_round_loses_nothing(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        got = []
        for message in mail.unseen(mark_seen=True):
            got.append(message.subject)
            inbox.disconnect("imap")
        assert got == SUBJECTS
        assert list(mail.unseen()) == []


def test_headers_alone_come_in_the_same_order(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        assert [m.subject for m in mail.search(headers_only=True)] == SUBJECTS
        newest = mail.search(headers_only=True, newest_first=True, limit=7)
        assert [message.subject for message in newest] == SUBJECTS[:-8:-1]
