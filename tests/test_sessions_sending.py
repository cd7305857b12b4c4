"""Sessions that send: lines that break, recipients that are refused, messages of every kind."""

from __future__ import annotations

import time
from email.message import EmailMessage
from email.mime.text import MIMEText
from email.parser import BytesParser
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut, Reply, Silent
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    RecipientsRefused,
    ServerError,
    Throttled,
)
from tests.judges import note
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message as StandardMessage

    from tests.judges import Colour, Judge, Wire

BOB = "bob@example.com"
IDLE_ENDED = "421 4.4.1 Connection timed out. Total session duration: 00:10:00.0000000"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        made.add_user(BOB)
        yield made


def connections(judge: Judge, wire: Wire) -> int:
    return sum(one.protocol == wire for one in judge.connections)


def parsed(raw: bytes) -> StandardMessage:
    return BytesParser().parsebytes(raw)


def sent_subjects(emulator: OutlookEmulator) -> list[str]:
    return [str(parsed(sent.raw)["Subject"]) for sent in emulator.sent]


# Lines that break.


def test_a_mailer_survives_the_end_of_an_idle_connection(judge: Judge, colour: Colour) -> None:
    before = connections(judge, "smtp")
    with session_of(judge, colour) as mail:
        mail.send(to="carol@example.org", subject="first", text="text")
        judge.disconnect("smtp")
        receipt = mail.send(to="carol@example.org", subject="second", text="text")
    assert receipt.accepted == ("carol@example.org",)
    assert connections(judge, "smtp") == before + 2


def test_a_mailer_survives_a_server_that_says_goodbye_to_an_idle_connection(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    with session_of(emulator, colour) as mail:
        mail.send(to=BOB, subject="first", text="text")
        emulator.on("smtp", "MAIL", Reply(IDLE_ENDED))
        mail.send(to=BOB, subject="second", text="text")
    assert sent_subjects(emulator) == ["first", "second"]
    assert connections(emulator, "smtp") == 2


def test_a_server_that_says_goodbye_to_a_new_connection_is_not_asked_again(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.on("smtp", "MAIL", Reply(IDLE_ENDED))
    with session_of(emulator, colour) as mail:
        with pytest.raises(ServerError, match="421"):
            mail.send(to=BOB, subject="first", text="text")
        mail.send(to=BOB, subject="second", text="text")
    assert sent_subjects(emulator) == ["second"]


def test_a_goodbye_in_the_middle_of_the_recipients_is_no_refusal_of_them(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    with session_of(emulator, colour) as mail:
        for number in range(2):
            emulator.on("smtp", "RCPT", Reply("421 4.3.2 Service not available"))
            with pytest.raises(ServerError, match=r"421 4\.3\.2") as caught:
                mail.send(to=[BOB, ADA], subject=f"never {number}", text="text")
            assert not isinstance(caught.value, RecipientsRefused)
        mail.send(to=[BOB, ADA], subject="again", text="text")
    assert sent_subjects(emulator) == ["again"]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_cut_before_the_message_was_handed_over_is_retried_once(
    emulator: OutlookEmulator, colour: Colour, command: str
) -> None:
    emulator.on("smtp", command, Cut())
    with session_of(emulator, colour) as mail:
        mail.send(to=BOB, subject="once", text="text")
        emulator.on("smtp", command, Cut(), times=2)
        with pytest.raises(ConnectionFailed):
            mail.send(to=BOB, subject="never", text="text")
        mail.send(to=BOB, subject="again", text="text")
    assert sent_subjects(emulator) == ["once", "again"]


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("kind", [Cut, Silent])
def test_a_line_lost_after_the_message_was_handed_over_leaves_the_delivery_unknown(
    emulator: OutlookEmulator, colour: Colour, carried_out: bool, kind: type[Cut | Silent]
) -> None:
    emulator.on("smtp", ".", kind(carried_out=carried_out))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ADA, BOB, "unknown"
    message["Message-ID"] = "<of-this-test@example.com>"
    with session_of(emulator, colour, timeout=1.0) as mail:
        with pytest.raises(DeliveryUnknown) as caught:
            mail.send(message)
        assert caught.value.message_id == "<of-this-test@example.com>"
        assert "<of-this-test@example.com>" in str(caught.value)
        assert "Sent folder" in caught.value.remedy
        mail.send(to=BOB, subject="next", text="text")
    assert sent_subjects(emulator) == (["unknown", "next"] if carried_out else ["next"])
    assert [one.commands.count(".") for one in emulator.connections] == [1, 1]


def test_a_composed_message_has_the_message_id_that_the_error_names(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.on("smtp", ".", Cut(carried_out=True))
    with session_of(emulator, colour) as mail, pytest.raises(DeliveryUnknown) as caught:
        mail.send(to=BOB, subject="unknown", text="text")
    assert parsed(emulator.sent[0].raw)["Message-ID"] == caught.value.message_id


@pytest.mark.parametrize("wire", ["imap", "smtp"])
def test_a_deadline_ends_the_whole_call(
    emulator: OutlookEmulator, colour: Colour, wire: Wire
) -> None:
    emulator.on(wire, "AUTHENTICATE" if wire == "imap" else "MAIL", Silent())
    with session_of(emulator, colour, timeout=30.0, deadline=1.0) as mail:
        begun = time.monotonic()
        with pytest.raises(ConnectionTimedOut) as caught:
            _use(mail, wire)
        assert 0.9 < time.monotonic() - begun < 20  # and not the 30 of one step
        assert isinstance(caught.value, TimeoutError)
        _use(mail, wire)
    assert sent_subjects(emulator) == (["late"] if wire == "smtp" else [])


def _use(mail: object, wire: Wire) -> None:
    if wire == "imap":
        assert list(mail.unseen()) == []  # type: ignore[attr-defined] # either colour
    else:
        mail.send(to=BOB, subject="late", text="text")  # type: ignore[attr-defined] # either colour


def test_a_deadline_bounds_the_wait_for_a_token(emulator: OutlookEmulator, colour: Colour) -> None:
    emulator.expire_tokens()
    with session_of(emulator, colour, timeout=30.0, deadline=1.0) as mail:
        emulator.expire_tokens()
        emulator.identity.fail_next(hang=10)
        begun = time.monotonic()
        with pytest.raises(ConnectionTimedOut):
            list(mail.unseen())
        assert time.monotonic() - begun < 8  # the answer takes 10


# Recipients and messages.


def test_partly_refused_recipients_are_a_receipt(emulator: OutlookEmulator, colour: Colour) -> None:
    reply = "550 5.1.1 User unknown"
    emulator.refuse_recipient("nobody@example.com", reply)
    with session_of(emulator, colour) as mail:
        receipt = mail.send(to=["nobody@example.com", BOB], subject="s", text="t")
    assert receipt.accepted == (BOB,)
    assert receipt.refused == {"nobody@example.com": reply}
    assert receipt.reply.startswith("250")
    assert [sent.recipients for sent in emulator.sent] == [(BOB,)]


def test_all_recipients_refused_is_an_error_with_each_reply(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    replies = {
        "nobody@example.com": "550 5.1.1 User unknown",
        "full@example.com": "452 4.2.2 Mailbox full",
    }
    for address, reply in replies.items():
        emulator.refuse_recipient(address, reply)
    with session_of(emulator, colour) as mail:
        with pytest.raises(RecipientsRefused) as caught:
            mail.send(to=list(replies), subject="s", text="t")
        assert caught.value.refused == replies
        assert "nothing was sent" in str(caught.value)
        mail.send(to=BOB, subject="next", text="t")
    assert sent_subjects(emulator) == ["next"]
    assert connections(emulator, "smtp") == 1


def test_recipients_that_are_all_throttled_are_no_wrong_addresses(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    for address in (ADA, BOB):
        emulator.refuse_recipient(
            address, "451 4.7.500 Request is throttled. Suggested Backoff Time: 1000 milliseconds"
        )
    with session_of(emulator, colour) as mail, pytest.raises(Throttled) as caught:
        mail.send(to=[ADA, BOB], subject="s", text="t")
    assert caught.value.retry_after == 1.0
    assert emulator.sent == []


def test_bytes_and_both_kinds_of_standard_messages_are_sent_as_they_are(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    modern = EmailMessage()
    modern["From"], modern["To"], modern["Subject"] = ADA, BOB, "modern"
    modern.set_content("a line\n.a dot\n")
    old = MIMEText("a line\n.a dot\n")
    old["From"], old["To"], old["Subject"] = ADA, BOB, "old"
    raw = b"From: ada@example.com\nTo: bob@example.com\nSubject: raw\n\na line\n.a dot\n"
    with session_of(emulator, colour) as mail:
        for message in (modern, old, raw):
            mail.send(message)
    assert sent_subjects(emulator) == ["modern", "old", "raw"]
    for sent in emulator.sent:
        assert sent.raw.replace(b"\r\n", b"").count(b"\n") == 0
        assert sent.raw.endswith(b"\r\n\r\na line\r\n.a dot\r\n")


def test_bcc_gets_the_message_and_is_never_on_the_wire(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    hidden = "hidden@example.org"
    old = MIMEText("text")
    old["From"], old["To"], old["Bcc"], old["Subject"] = ADA, BOB, hidden, "old"
    raw = f"From: {ADA}\r\nTo: {BOB}\r\nbcc:\r\n {hidden}\r\nSubject: raw\r\n\r\ntext\r\n".encode()
    with session_of(emulator, colour) as mail:
        mail.send(to=BOB, bcc=hidden, subject="composed", text="text")
        mail.send(old)
        mail.send(raw)
    assert [sent.recipients for sent in emulator.sent] == [(BOB, hidden)] * 3
    for sent in emulator.sent:
        assert b"hidden" not in sent.raw
        assert b"bcc" not in sent.raw.lower()
    assert old["Bcc"] == hidden, "the caller's message was changed"


def test_a_message_and_keywords_together_are_refused(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    with session_of(emulator, colour) as mail, pytest.raises(ConfigError, match="not both"):
        mail.send(note("raw", BOB), subject="another")
    assert emulator.connections == []
