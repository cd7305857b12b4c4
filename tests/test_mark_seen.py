r"""Reading never marks; ``mark_seen=True`` marks what the caller has finished with."""

from __future__ import annotations

from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import Message
from mailoauth.errors import ConfigError
from tests.judges import note
from tests.real.servers import RealServers
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from tests.judges import Colour, Judge
    from tests.session_colours import Session

SUBJECTS = ["one", "two", "three", "four", "five"]


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture
def inbox(judge: Judge) -> Judge:
    """The server with five unseen messages."""
    for subject in SUBJECTS:
        judge.deliver(ADA, note(subject))
    return judge


def seen(judge: Judge, folder: str = "INBOX") -> list[str]:
    """Return the subjects of what is marked as seen, read past IMAP."""
    return [
        message_from_bytes(stored.raw)["Subject"]
        for stored in judge.messages(ADA, folder)
        if "\\Seen" in stored.flags
    ]


def put(judge: Judge, subject: str, folder: str) -> None:
    deliver: Any = judge.deliver  # both take a folder
    deliver(ADA, note(subject), folder)


def read_until(mail: Session, subject: str) -> Message:
    for message in mail.unseen(mark_seen=True):
        if message.subject == subject:
            return message
    raise AssertionError(f"there is no {subject}")


def test_reading_never_marks(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        assert [message.subject for message in mail.unseen()] == SUBJECTS
        assert [message.text.split()[-1] for message in mail.search()] == SUBJECTS
        assert not any("\\Seen" in message.flags for message in mail.unseen())
    assert seen(inbox) == []


def test_a_loop_that_ends_by_itself_has_marked_everything_when_it_ends(
    inbox: Judge, colour: Colour
) -> None:
    with session_of(inbox, colour) as mail:
        assert [message.subject for message in mail.unseen(mark_seen=True)] == SUBJECTS
        assert seen(inbox) == SUBJECTS
        assert list(mail.unseen()) == []


def test_search_marks_as_unseen_does(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        for message in mail.search(mark_seen=True):
            if message.subject == "three":
                break
    assert seen(inbox) == ["one", "two"]


def test_break_leaves_the_message_in_hand_unseen_and_marks_the_earlier_ones(
    inbox: Judge, colour: Colour
) -> None:
    with session_of(inbox, colour) as mail:
        for message in mail.unseen(mark_seen=True):
            if message.subject == "three":
                break
    assert seen(inbox) == ["one", "two"]


def test_return_out_of_the_session_marks_the_earlier_ones(inbox: Judge, colour: Colour) -> None:
    def first_two() -> str:
        with session_of(inbox, colour) as mail:
            for message in mail.unseen(mark_seen=True):
                if message.subject == "two":
                    return message.subject
        return ""

    assert first_two() == "two"
    assert seen(inbox) == ["one"]


def test_an_exception_leaves_the_message_in_hand_unseen_and_passes(
    inbox: Judge, colour: Colour
) -> None:
    with (  # noqa: PT012 - the end of the block is what is tested
        pytest.raises(ZeroDivisionError),
        session_of(inbox, colour) as mail,
    ):
        for message in mail.unseen(mark_seen=True):
            if message.subject == "four":
                raise ZeroDivisionError
    assert seen(inbox) == ["one", "two", "three"]


def test_the_first_message_in_hand_marks_nothing(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        read_until(mail, "one")
    assert seen(inbox) == []


def test_mark_seen_before_break_settles_the_message_in_hand(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        for message in mail.unseen(mark_seen=True):
            if message.subject == "two":
                mail.mark_seen(message)
                assert "two" in seen(inbox)
                break
    assert seen(inbox) == ["one", "two"]


@pytest.mark.parametrize("ends", ["by itself", "by break"])
def test_mark_unseen_inside_the_loop_wins(inbox: Judge, colour: Colour, ends: str) -> None:
    with session_of(inbox, colour) as mail:
        for message in mail.unseen(mark_seen=True):
            if message.subject == "two":
                mail.mark_unseen(message)
            if message.subject == "five" and ends == "by break":
                break
    assert seen(inbox) == ["one", "three", "four", "five"][: 4 if ends == "by itself" else 3]


def test_mark_unseen_of_an_earlier_message_wins_too(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        earlier: list[Message] = []
        for message in mail.unseen(mark_seen=True):
            earlier.append(message)
            if message.subject == "four":
                mail.mark_unseen(earlier[:2])
    assert seen(inbox) == ["three", "four", "five"]


def test_a_limit_ends_the_loop_by_itself(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        assert [one.subject for one in mail.unseen(mark_seen=True, limit=2)] == ["one", "two"]
        assert seen(inbox) == ["one", "two"]
        assert list(mail.unseen(mark_seen=True, limit=0)) == []
    assert seen(inbox) == ["one", "two"]


def test_newest_first_marks_in_its_own_order(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        subjects = []
        for message in mail.unseen(mark_seen=True, newest_first=True):
            subjects.append(message.subject)
            if len(subjects) == 3:
                break
    assert subjects == ["five", "four", "three"]
    assert seen(inbox) == ["four", "five"]


def test_a_new_loop_does_not_find_what_an_earlier_one_has_finished_with(
    inbox: Judge, colour: Colour
) -> None:
    with session_of(inbox, colour) as mail:
        read_until(mail, "three")
        assert [message.subject for message in mail.unseen()] == ["three", "four", "five"]


def test_a_loop_inside_a_loop_over_the_same_folder(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        found = {}
        for message in mail.unseen(mark_seen=True):
            found[message.subject] = [inner.subject for inner in mail.unseen()]
    assert found == {subject: SUBJECTS[index:] for index, subject in enumerate(SUBJECTS)}
    assert seen(inbox) == SUBJECTS


def test_other_folders_other_verbs_and_a_send_inside_the_loop(inbox: Judge, colour: Colour) -> None:
    other = "Sent" if isinstance(inbox, RealServers) else "Archive"
    for subject in ("old", "older"):
        put(inbox, subject, other)
    with session_of(inbox, colour) as mail:
        subjects = []
        for message in mail.unseen(mark_seen=True):
            subjects.append(message.subject)
            mail.flag(message)
            for inner in mail.unseen(folder=other, mark_seen=True):
                mail.flag(inner)
                mail.send(to="bob@example.com", subject="a copy", text=inner.text)
                break
            if message.subject == "four":
                break
    assert subjects == SUBJECTS[:4]
    assert seen(inbox) == SUBJECTS[:3]
    assert seen(inbox, other) == []
    flagged = [stored for stored in inbox.messages(ADA) if "\\Flagged" in stored.flags]
    assert len(flagged) == 4


def test_many_messages_of_several_folders_are_marked_and_unmarked_at_once(
    inbox: Judge, colour: Colour
) -> None:
    other = "Sent" if isinstance(inbox, RealServers) else "Archive"
    put(inbox, "old", other)
    with session_of(inbox, colour) as mail:
        many = [*mail.unseen(limit=2), *mail.unseen(folder=other)]
        mail.mark_seen(many)
        assert (seen(inbox), seen(inbox, other)) == (["one", "two"], ["old"])
        mail.mark_unseen(iter(many))
        mail.mark_seen([])
    assert (seen(inbox), seen(inbox, other)) == ([], [])


def test_a_message_that_is_in_no_folder_cannot_be_marked(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail, pytest.raises(ConfigError, match="no folder"):
        mail.mark_seen(Message.from_bytes(note("one")))
    assert seen(inbox) == []
