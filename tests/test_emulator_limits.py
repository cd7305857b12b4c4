"""What the embedded Outlook allows each user on SMTP, and the trouble that it makes at random."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import Cut, OutlookEmulator, Reply
from tests.emulator_clients import ADA, BOB, mail_from, sign_in, smtp, submitting, tls, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        yield emulator


class TestLimits:
    def test_one_connection_more_than_allowed_is_refused_until_another_is_closed(
        self, outlook: OutlookEmulator
    ) -> None:
        outlook.limit_connections(2)
        with submitting(outlook), submitting(outlook, BOB), smtp(outlook) as third:
            second = submitting(outlook)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
                sign_in(third, ADA, token(outlook))
            assert refusal.value.smtp_code == 432
            assert b"4.3.2 Concurrent connections limit exceeded" in refusal.value.args[1]
            assert len(outlook.limited) == 1
            second.close()
            closed = outlook.connections[-1]
            _until(lambda: not closed.open)
            assert sign_in(third, ADA, token(outlook))[0] == 235

    def test_a_limit_may_be_lifted(self, outlook: OutlookEmulator) -> None:
        outlook.limit_connections(0)
        with smtp(outlook) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            sign_in(client, ADA, token(outlook))
        outlook.limit_connections(None)
        submitting(outlook).quit()

    def test_messages_beyond_the_rate_are_refused_when_they_have_come(
        self, outlook: OutlookEmulator
    ) -> None:
        outlook.limit_rate(2, per=60)
        with submitting(outlook) as client, submitting(outlook, BOB) as other:
            codes = [_send(client)[0] for _ in range(3)]
            assert codes == [250, 250, 432]
            assert _send(other, BOB)[0] == 250
            outlook.limit_rate(2, per=0.05)
            time.sleep(0.05)
            assert _send(client)[0] == 250
            outlook.limit_rate(0, per=60, reply="451 4.7.0 Slow down. Suggested Backoff Time: 5")
            assert _send(client) == (451, b"4.7.0 Slow down. Suggested Backoff Time: 5")
            outlook.limit_rate(None)
            assert _send(client)[0] == 250
        assert len(outlook.sent) == 5
        assert len(outlook.limited) == 2

    def test_recipients_beyond_the_limit_are_refused(self, outlook: OutlookEmulator) -> None:
        outlook.limit_recipients(2)
        names = [f"{letter}@elsewhere.example" for letter in "abcd"]
        with submitting(outlook) as client:
            for _ in range(2):
                refused = client.sendmail(ADA, names, mail_from(ADA))
                assert refused == dict.fromkeys(names[2:], (452, b"4.5.3 Too many recipients"))
        assert [message.recipients for message in outlook.sent] == [tuple(names[:2])] * 2


class TestCuts:
    def test_the_line_may_end_in_the_middle_of_an_answer(self, outlook: OutlookEmulator) -> None:
        outlook.on("smtp", ".", Cut(in_reply=True))
        client = submitting(outlook)
        _open_message(client)
        client.send(mail_from(ADA) + b".\r\n")
        line = _rest(client)
        client.close()
        assert line.startswith(b"250 2.0.0 OK <")
        assert b"\n" not in line
        assert len(outlook.sent) == 1

    @pytest.mark.parametrize("command", ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "RSET"])
    @pytest.mark.parametrize("cut", [Cut(), Cut(carried_out=True), Cut(in_reply=True)])
    def test_every_command_may_be_cut_before_and_after_it_is_carried_out(
        self, outlook: OutlookEmulator, command: str, cut: Cut
    ) -> None:
        outlook.on("smtp", command, cut)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            _session(outlook)
        # What was carried out has taken place, though nobody was told.
        signed_in = outlook.connections[-1].signed_in_as is not None
        never = command in {"CONNECT", "EHLO"} or (command == "AUTH" and cut == Cut())
        assert signed_in == (not never)
        assert outlook.sent == []

    def test_the_line_may_end_in_the_middle_of_a_message(self, outlook: OutlookEmulator) -> None:
        outlook.on("smtp", "MESSAGE", Cut())
        client = submitting(outlook)
        _open_message(client)
        client.send(b"F")
        assert _rest(client) == b""
        client.close()
        assert outlook.sent == []
        assert outlook.connections[0].commands[-1] == "DATA"


class TestDisturbance:
    def test_all_kinds_of_trouble_come_at_every_place_and_nothing_is_hidden(
        self, outlook: OutlookEmulator
    ) -> None:
        outlook.disturb(
            seed=2026,
            cut_before=0.05,
            cut_after=0.05,
            cut_in_reply=0.05,
            cut_in_message=0.1,
            refuse=0.1,
            backoff=0.25,
        )
        outcomes = Counter(_outcome(outlook) for _ in range(200))
        happened = outlook.disturbances
        places = {place for place, _ in happened}
        assert places >= {"CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."}
        assert "MESSAGE" in places
        kinds = {repr(action) for _, action in happened if isinstance(action, Cut)}
        assert len(kinds) == 3
        replies = {action.text[:3] for _, action in happened if isinstance(action, Reply)}
        assert replies == {"421", "432", "451"}
        assert all(
            action.text.endswith(" Suggested Backoff Time: 250 milliseconds")
            for _, action in happened
            if isinstance(action, Reply)
        )
        # What was answered with 250 has been sent; what was lost after it was sent is seen.
        lost = sum(
            place == "." and isinstance(action, Cut) and action != Cut()
            for place, action in happened
        )
        assert len(outlook.sent) == outcomes["sent"] + lost
        assert outcomes["sent"] > 10 < lost + outcomes["failed"]

    def test_the_same_seed_makes_the_same_trouble(self, outlook: OutlookEmulator) -> None:
        seen = []
        for _ in range(2):
            outlook.disturb(seed=7, cut_before=0.1, refuse=0.1)
            for _ in range(20):
                _outcome(outlook)
            seen.append(outlook.disturbances)
        assert seen[0] == seen[1] != []

    def test_it_ends(self, outlook: OutlookEmulator) -> None:
        outlook.disturb(seed=1, cut_before=1.0)
        assert _outcome(outlook) == "failed"
        assert outlook.disturbances == [("CONNECT", Cut())]
        outlook.calm()
        assert _outcome(outlook) == "sent"
        assert outlook.disturbances == []


def _open_message(client: smtplib.SMTP) -> None:
    client.mail(ADA)
    client.rcpt(BOB)
    assert client.docmd("DATA")[0] == 354


def _send(client: smtplib.SMTP, sender: str = ADA) -> tuple[int, bytes]:
    client.mail(sender)
    client.rcpt(BOB)
    return client.data(mail_from(sender))


def _session(outlook: OutlookEmulator) -> bytes:
    """Sign in, send a message and return the answer to it; any trouble is raised."""
    client = smtplib.SMTP("localhost", outlook.smtp.port, timeout=10)
    try:
        client.starttls(context=tls(outlook))
        client.ehlo()
        sign_in(client, ADA, token(outlook), inline=False)
        client.rset()
        client.mail(ADA)
        client.rcpt(BOB)
        code, text = client.data(mail_from(ADA))
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
        return text
    finally:
        client.close()


def _outcome(outlook: OutlookEmulator) -> str:
    try:
        answer = _session(outlook)
    except (smtplib.SMTPException, OSError):
        return "failed"
    # smtplib takes half an answer for one.
    return "sent" if answer.endswith(b"]") else "half"


def _rest(client: smtplib.SMTP) -> bytes:
    """Return what still comes until the line ends."""
    assert client.sock is not None
    received = b""
    try:
        while piece := client.sock.recv(1 << 12):
            received += piece
    except (ConnectionError, ssl.SSLEOFError):
        pass
    return received


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)
