"""What is to be marked as seen survives trouble, and what cannot be marked is said."""

from __future__ import annotations

import time
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut, Reply
from mailoauth.errors import ConnectionFailed, MailOAuthError, ServerError
from tests.judges import note
from tests.real.servers import RealServers
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from mailoauth import Message
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


def emulated(judge: Judge) -> OutlookEmulator:
    if not isinstance(judge, OutlookEmulator):
        pytest.skip("Dovecot cannot be told to answer so")
    return judge


def read_until(mail: Session, subject: str) -> Message:
    for message in mail.unseen(mark_seen=True):
        if message.subject == subject:
            return message
    raise AssertionError(f"there is no {subject}")


def test_marks_survive_the_end_of_the_token(inbox: Judge, colour: Colour) -> None:
    emulator = emulated(inbox)
    with session_of(inbox, colour) as mail:
        read_until(mail, "four")
        emulator.expire_tokens()
    assert seen(inbox) == SUBJECTS[:3]
    assert len(emulator.token_requests) == 1


def test_marks_survive_a_line_that_is_cut(inbox: Judge, colour: Colour) -> None:
    with session_of(inbox, colour) as mail:
        read_until(mail, "four")
        inbox.disconnect("imap")
    assert seen(inbox) == SUBJECTS[:3]


@pytest.mark.parametrize("carried_out", [True, False])
def test_marks_survive_a_cut_in_the_store_itself(
    inbox: Judge, colour: Colour, carried_out: bool
) -> None:
    emulator = emulated(inbox)
    emulator.on("imap", "STORE", Cut(carried_out=carried_out))
    with session_of(inbox, colour) as mail:
        assert [message.subject for message in mail.unseen(mark_seen=True)] == SUBJECTS
    assert seen(inbox) == SUBJECTS


def test_every_message_of_many_batches_is_marked_though_the_token_ends_in_between(
    judge: Judge, colour: Colour
) -> None:
    emulator = emulated(judge)
    subjects = [f"message-{number}" for number in range(120)]
    for subject in subjects:
        emulator.deliver(ADA, note(subject))
    emulator.bye_after_messages(70)
    with session_of(judge, colour) as mail:
        assert [message.subject for message in mail.unseen(mark_seen=True)] == subjects
    assert seen(judge) == subjects


def test_marks_go_out_between_batches(judge: Judge, colour: Colour) -> None:
    subjects = [f"message-{number}" for number in range(60)]
    for subject in subjects:
        judge.deliver(ADA, note(subject))
    with session_of(judge, colour) as mail:
        read_until(mail, "message-50")
        assert seen(judge) == subjects[:50]


def test_a_failure_to_mark_at_exit_is_raised(inbox: Judge, colour: Colour) -> None:
    emulator = emulated(inbox)
    emulator.on("imap", "STORE", Reply("NO Server Unavailable. 15"))
    with (
        pytest.raises(ServerError, match="Server Unavailable"),
        session_of(inbox, colour) as mail,
    ):
        read_until(mail, "three")
    assert seen(inbox) == []


def test_a_failure_to_mark_does_not_hide_the_callers_own_exception(
    inbox: Judge, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = emulated(inbox)
    emulator.on("imap", "STORE", Reply("NO Server Unavailable. 15"))
    with (  # noqa: PT012 - the end of the block is what is tested
        pytest.raises(ZeroDivisionError),
        session_of(inbox, colour) as mail,
    ):
        read_until(mail, "three")
        raise ZeroDivisionError
    assert "could not be marked as seen" in caplog.text
    assert "three" not in caplog.text


def test_marks_that_failed_once_are_written_by_the_next_try(inbox: Judge, colour: Colour) -> None:
    emulator = emulated(inbox)
    emulator.on("imap", "STORE", Reply("NO Server Unavailable. 15"))
    with session_of(inbox, colour) as mail, pytest.raises(MailOAuthError):
        list(mail.unseen(mark_seen=True))
    assert seen(inbox) == SUBJECTS


def test_marks_are_never_written_to_a_folder_that_was_rebuilt(judge: Judge, colour: Colour) -> None:
    if not isinstance(judge, RealServers):
        pytest.skip("the emulator keeps its UIDVALIDITY")
    for subject in SUBJECTS:
        judge.deliver(ADA, note(subject))
    with (  # noqa: PT012 - the end of the block is what is tested
        pytest.raises(ConnectionFailed, match="was rebuilt on the server"),
        session_of(judge, colour) as mail,
    ):
        read_until(mail, "three")
        judge.disconnect("imap")
        # Dovecot's UIDVALIDITY is the time in whole seconds.
        now = int(time.time())
        while int(time.time()) == now:
            time.sleep(0.05)
        judge.clear(ADA)
        for subject in SUBJECTS:
            judge.deliver(ADA, note(subject))
    assert seen(judge) == []
