"""Changes on lines that end halfway: nothing is done twice, nothing is lost in silence."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.faults import Cut, Silent
from mailoauth.errors import (
    ConnectionFailed,
    OutcomeUnknown,
)
from tests.judges import note
from tests.scripted_imap import ADA, ScriptedImap
from tests.scripted_mailbox import (
    FULL,
    CutImap,
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


# The answer to moving three messages: three lines of EXPUNGE, and "A5 OK done".
ANSWER = 3 * len("* 1 EXPUNGE\r\n") + len("AAAA5 OK done\r\n")


@pytest.mark.parametrize("cut", range(ANSWER))
def test_a_line_lost_anywhere_in_the_answer_to_move_moves_nothing_twice(
    certificates: Certificates, cut: int
) -> None:
    mailbox = ScriptedMailbox(1, 2, 3)
    with CutImap(certificates, mailbox, capabilities=FULL, verb="UID MOVE", cuts=[cut]) as server:
        with server.mailbox() as mail:
            try:
                mail.move(messages([1, 2, 3]), "Done")
            except OutcomeUnknown as error:
                lost = str(error)
            else:
                lost = ""
        moves = len(told(server, "UID MOVE"))
    assert (mailbox.at("INBOX"), mailbox.at("Done")) == ([], [1, 2, 3])
    assert moves == 1
    # Only a whole answer is one.
    assert ("3 of 3 messages" in lost) is (server.connections > 1)
    assert lost or cut >= ANSWER - 3


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_what_is_left_after_a_lost_line_is_moved_and_what_is_gone_is_reported(
    certificates: Certificates, done: int
) -> None:
    mailbox = ScriptedMailbox(1, 2, 3, 4)

    def half(command: str) -> tuple[bytes, str | None] | None:
        if command.startswith("UID MOVE") and server.connections == 1:
            for uid in range(1, done + 1):
                mailbox(f'UID MOVE {uid} "Done"')
            return None
        return mailbox(command)

    with ScriptedImap(certificates, half, capabilities=FULL) as server:
        with server.mailbox() as mail:
            if done:
                with pytest.raises(OutcomeUnknown, match=f"{done} of 3 messages") as caught:
                    mail.move(messages([1, 2, 3]), "Done")
                assert "Look for them in that folder" in caught.value.remedy
            else:
                mail.move(messages([1, 2, 3]), "Done")
        left = f"{done + 1}:3" if done < 2 else "3"
        assert told(server, "UID MOVE", "UID SEARCH") == [
            'UID MOVE 1:3 "Done"',
            "UID SEARCH UID 1:3",
            *([f'UID MOVE {left} "Done"'] if done < 3 else []),
        ]
    assert (mailbox.at("INBOX"), len(mailbox.at("Done"))) == ([4], 3)


def test_a_line_that_is_lost_twice_is_not_tried_a_third_time(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1, 2)
    mailbox.answers["UID MOVE"] = None
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server:
        with server.mailbox() as mail, pytest.raises(OutcomeUnknown, match="not known"):
            mail.move(messages([1, 2]), "Done")
        assert len(told(server, "UID MOVE")) == 2


def test_nothing_is_moved_again_in_a_folder_that_was_rebuilt(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1, 2)

    def rebuilt(command: str) -> tuple[bytes, str | None] | None:
        if command.startswith("UID MOVE"):
            mailbox.validity = 8
            return None
        return mailbox(command)

    with ScriptedImap(certificates, rebuilt, capabilities=FULL) as server:
        with server.mailbox() as mail, pytest.raises(OutcomeUnknown):
            mail.move(messages([1, 2]), "Done")
        assert told(server, "UID") == ['UID MOVE 1:2 "Done"']


def test_nothing_is_changed_in_a_folder_that_was_rebuilt_before(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1, 2)
    with ScriptedImap(certificates, mailbox, capabilities=FULL) as server:
        with server.mailbox() as mail:
            old = message(1, validity=3)
            changes: list[Any] = [
                lambda: mail.move(old, "Done"),
                lambda: mail.copy(old, "Done"),
                lambda: mail.delete(old, permanently=True),
                lambda: mail.flag(old),
            ]
            for change in changes:
                with pytest.raises(ConnectionFailed, match="rebuilt on the server"):
                    change()
        assert told(server, "UID") == []


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("verb", ["STORE", "EXPUNGE"])
def test_removing_for_good_is_repeated(
    emulator: OutlookEmulator, verb: str, carried_out: bool
) -> None:
    emulator.on("imap", verb, Cut(carried_out=carried_out))
    with mailbox_of(emulator) as mail:
        mail.delete(list(mail.unseen(limit=2)), permanently=True)
    assert len(emulator.messages(ADA)) == 1


@pytest.mark.parametrize("carried_out", [True, False])
def test_nothing_is_copied_or_put_in_twice(emulator: OutlookEmulator, carried_out: bool) -> None:
    with mailbox_of(emulator) as mail:
        found = list(mail.unseen())
        emulator.on("imap", "COPY", Cut(carried_out=carried_out))
        with pytest.raises(OutcomeUnknown):
            mail.copy(found, "Archive")
        emulator.on("imap", "APPEND", Cut(carried_out=carried_out))
        with pytest.raises(OutcomeUnknown):
            mail.append(note("four"), "Archive")
    assert len(emulator.messages(ADA, "Archive")) == (4 if carried_out else 0)
    sent = [verb for connection in emulator.connections for verb in connection.commands]
    assert (sent.count("UID COPY"), sent.count("APPEND")) == (1, 1)


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_move_survives_the_end_of_the_token(emulator: OutlookEmulator, carried_out: bool) -> None:
    with mailbox_of(emulator) as mail:
        found = list(mail.unseen())
        emulator.expire_tokens()
        mail.move(found[0], "Archive")  # told so by the server: nothing was done before
        emulator.on("imap", "MOVE", Cut(carried_out=carried_out))
        if carried_out:
            with pytest.raises(OutcomeUnknown, match="2 of 2 messages"):
                mail.move(found[1:], "Archive")
        else:
            mail.move(found[1:], "Archive")
    assert len(emulator.messages(ADA, "Archive")) == 3


def test_a_move_that_is_given_up_from_elsewhere_is_not_begun_again(
    emulator: OutlookEmulator,
) -> None:
    with mailbox_of(emulator) as mail:
        found = list(mail.unseen())
        emulator.on("imap", "MOVE", Silent(carried_out=True))

        def give_up() -> None:
            while "UID MOVE" not in emulator.connections[0].commands:
                time.sleep(0.01)
            mail.close()

        thread = threading.Thread(target=give_up)
        thread.start()
        with pytest.raises(OutcomeUnknown):
            mail.move(found, "Archive")
        thread.join()
    sent = [verb for connection in emulator.connections for verb in connection.commands]
    assert sent.count("UID MOVE") == 1
    assert sent.count("AUTHENTICATE") == 1


def test_a_move_is_bounded_by_its_deadline(certificates: Certificates) -> None:
    mailbox = ScriptedMailbox(1)
    mailbox.answers["UID MOVE"] = b"", None
    with (
        ScriptedImap(certificates, mailbox, capabilities=FULL) as server,
        server.mailbox(timeout=20, deadline=0.5) as mail,
    ):
        begun = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            mail.move(message(1), "Done")
        assert time.monotonic() - begun < 10
