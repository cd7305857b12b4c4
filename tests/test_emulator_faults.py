"""What goes wrong on purpose at the embedded Outlook, each at least once."""

from __future__ import annotations

import imaplib
import smtplib
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import Cut, OutlookEmulator, Reply, Silent
from tests.emulator_clients import (
    ADA,
    BOB,
    MAIL,
    imap,
    mail_from,
    once,
    opened,
    sign_in,
    smtp,
    submitting,
    token,
    wire_opened,
    xoauth2,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        yield emulator


class TestImapFaults:
    def test_sign_ins_are_refused_whatever_their_token(self, outlook: OutlookEmulator) -> None:
        outlook.refuse("imap", "NO Server Unavailable. 15", times=2)
        for _ in range(2):
            with pytest.raises(imaplib.IMAP4.error, match="Server Unavailable"):
                opened(outlook)
        with opened(outlook):
            pass

    def test_a_sign_in_may_reach_no_mailbox(self, outlook: OutlookEmulator) -> None:
        outlook.not_connected(ADA, times=1)
        with wire_opened(outlook) as wire:
            assert wire.ask(b"A2 CAPABILITY")[-1].startswith(b"A2 OK")
            for command in (b"SELECT INBOX", b"NAMESPACE"):
                answer = wire.ask(b"A3 " + command)
                assert answer == [b"A3 BAD User is authenticated but not connected."]
            assert wire.ask(b'A4 LIST "" *')[0].startswith(b"A4 BAD User")
            assert wire.line() == b"* BYE Connection closed. 14"
            assert wire.line() == b""
        with opened(outlook) as client:
            assert client.select()[0] == "OK"

    def test_throttling_says_how_long_to_wait(self, outlook: OutlookEmulator) -> None:
        with wire_opened(outlook) as wire:
            outlook.throttle("imap")
            assert wire.ask(b"A2 NOOP")[-1].startswith(b"A2 OK")
            text = b"A3 BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
            assert wire.ask(b"A3 SELECT INBOX") == [text]
            assert wire.ask(b"A4 SELECT INBOX")[-1].startswith(b"A4 OK")

    def test_a_sign_in_is_throttled_with_a_reply_of_one_s_own(
        self, outlook: OutlookEmulator
    ) -> None:
        outlook.throttle(reply="NO [LIMIT] Too many.")
        with pytest.raises(imaplib.IMAP4.error, match="Too many"):
            opened(outlook)

    def test_live_sessions_are_cut(self, outlook: OutlookEmulator) -> None:
        with wire_opened(outlook) as wire, submitting(outlook) as client:
            outlook.disconnect("imap")
            assert wire.ended()
            assert client.noop()[0] == 250
            outlook.disconnect()
            with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
                client.noop()
            client.close()

    def test_a_command_is_answered_otherwise(self, outlook: OutlookEmulator) -> None:
        outlook.deliver(ADA, MAIL)
        outlook.on("imap", "FETCH", Reply("NO Server Unavailable. 15"))
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            assert wire.ask(b"A3 UID FETCH 1 FLAGS") == [b"A3 NO Server Unavailable. 15"]
            assert wire.ask(b"A4 UID FETCH 1 FLAGS")[-1].startswith(b"A4 OK")

    def test_a_bye_ends_the_session(self, outlook: OutlookEmulator) -> None:
        outlook.on("imap", "NOOP", Reply("* BYE Connection is closed. 13"))
        with wire_opened(outlook) as wire:
            assert wire.ask(b"A2 NOOP")[0] == b"* BYE Connection is closed. 13"
            assert wire.line() == b""

    def test_the_greeting_may_be_a_bye(self, outlook: OutlookEmulator) -> None:
        outlook.on("imap", "CONNECT", Reply("* BYE Server busy"))
        with pytest.raises(imaplib.IMAP4.error, match="Server busy"):
            imap(outlook)

    def test_authenticate_is_cut(self, outlook: OutlookEmulator) -> None:
        outlook.on("imap", "AUTHENTICATE", Cut())
        client = imap(outlook)
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.authenticate("XOAUTH2", once(xoauth2(ADA, token(outlook))))
        client.shutdown()

    @pytest.mark.parametrize("carried_out", [True, False])
    def test_a_move_is_cut_before_or_after_it_is_done(
        self, outlook: OutlookEmulator, *, carried_out: bool
    ) -> None:
        outlook.deliver(ADA, MAIL)
        outlook.on("imap", "MOVE", Cut(carried_out=carried_out))
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            wire.say(b"A3 UID MOVE 1 Archive")
            assert wire.ended()
        assert len(outlook.messages(ADA, "Archive")) == carried_out

    def test_a_silent_server_answers_nothing(self, outlook: OutlookEmulator) -> None:
        outlook.on("imap", "NOOP", Silent())
        with wire_opened(outlook) as wire:
            wire.say(b"A2 NOOP")
            wire.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                wire.line()
            assert outlook.connections[0].open


class TestByeDuringFetch:
    def test_the_messages_of_all_sessions_count(self, outlook: OutlookEmulator) -> None:
        for _ in range(5):
            outlook.deliver(ADA, MAIL)
        outlook.bye_after_messages(3, expire=False)
        with opened(outlook) as first:
            first.select()
            first.uid("FETCH", "1:2", "(BODY.PEEK[])")
            first.uid("FETCH", "1:5", "(FLAGS BODY.PEEK[HEADER])")
        second = opened(outlook)
        second.select()
        with pytest.raises(imaplib.IMAP4.abort):
            second.uid("FETCH", "1:5", "(BODY.PEEK[])")
        second.shutdown()
        assert len(_fetched(second)) == 1

    def test_the_bye_comes_between_messages_and_the_tokens_end(
        self, outlook: OutlookEmulator
    ) -> None:
        for _ in range(5):
            outlook.deliver(ADA, MAIL)
        outlook.bye_after_messages(3)
        access_token = token(outlook)
        client = opened(outlook, ADA, access_token)
        client.select()
        with pytest.raises(imaplib.IMAP4.abort, match="AccessTokenExpired"):
            client.uid("FETCH", "1:5", "(BODY.PEEK[])")
        assert len(_fetched(client)) == 3
        client.shutdown()
        assert outlook.identity.holder(access_token) is None

    def test_a_fetch_that_ends_at_the_count_gets_the_bye_too(
        self, outlook: OutlookEmulator
    ) -> None:
        outlook.deliver(ADA, MAIL)
        outlook.bye_after_messages(1, "Connection is closed. 13", expire=False)
        client = opened(outlook)
        client.select()
        with pytest.raises(imaplib.IMAP4.abort, match=r"Connection is closed\. 13"):
            client.uid("FETCH", "1", "(BODY.PEEK[])")
        client.shutdown()
        with opened(outlook) as second:
            second.select()
            assert second.uid("FETCH", "1", "(BODY.PEEK[])")[0] == "OK"

    def test_the_line_is_cut_in_the_middle_of_a_message(self, outlook: OutlookEmulator) -> None:
        for _ in range(3):
            outlook.deliver(ADA, MAIL + b"x" * 1000)
        outlook.bye_after_messages(1, cut_in_literal=True)
        with wire_opened(outlook) as wire:
            wire.ask(b"A2 SELECT INBOX")
            wire.say(b"A3 UID FETCH 1:* BODY.PEEK[]")
            received = b""
            while piece := wire.socket.recv(1 << 16):
                received += piece
        assert received.startswith(b"* 1 FETCH")
        assert b"* 2 FETCH" in received
        assert 1000 < received.count(b"x") < 2000
        assert b"BYE" not in received


class TestSmtpFaults:
    def test_sign_ins_are_refused_whatever_their_token(self, outlook: OutlookEmulator) -> None:
        outlook.refuse("smtp", "535 5.7.139 Authentication unsuccessful, disabled for the Tenant.")
        with smtp(outlook) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.139"):
                sign_in(client, ADA, token(outlook))
            assert sign_in(client, ADA, token(outlook))[0] == 235

    def test_throttling_comes_at_the_next_mail(self, outlook: OutlookEmulator) -> None:
        with submitting(outlook) as client:
            outlook.throttle("smtp")
            assert client.mail(ADA)[0] == 432
            assert client.mail(ADA)[0] == 250

    def test_a_recipient_is_refused(self, outlook: OutlookEmulator) -> None:
        outlook.refuse_recipient(BOB, "550 5.1.1 No such user")
        with submitting(outlook) as client:
            refused = client.sendmail(ADA, [BOB, "ann@example.org"], mail_from(ADA))
        assert refused == {BOB: (550, b"5.1.1 No such user")}
        assert outlook.sent[0].recipients == ("ann@example.org",)

    @pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA", ".", "RSET"])
    def test_a_command_is_answered_otherwise(self, outlook: OutlookEmulator, command: str) -> None:
        client = submitting(outlook)
        outlook.on("smtp", command, Reply("451 4.7.0 Temporary server error."))
        answers = [
            client.ehlo()[0],
            client.mail(ADA)[0],
            client.rcpt(BOB)[0],
        ]
        if 451 not in answers:
            try:
                answers.append(client.data(mail_from(ADA))[0])
            except smtplib.SMTPDataError as refusal:
                answers.append(refusal.smtp_code)
        if 451 not in answers:
            answers.append(client.rset()[0])
        assert 451 in answers
        assert (outlook.sent == []) == (command != "RSET")
        client.quit()

    def test_421_ends_the_session(self, outlook: OutlookEmulator) -> None:
        outlook.on("smtp", "MAIL", Reply("421 4.3.2 Service not available"))
        client = submitting(outlook)
        assert client.mail(ADA)[0] == 421
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.docmd("NOOP")
        client.close()

    @pytest.mark.parametrize("carried_out", [True, False])
    def test_the_line_is_lost_at_the_end_of_a_message(
        self, outlook: OutlookEmulator, *, carried_out: bool
    ) -> None:
        outlook.on("smtp", ".", Cut(carried_out=carried_out))
        client = submitting(outlook)
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.sendmail(ADA, [BOB], mail_from(ADA))
        client.close()
        assert len(outlook.messages(BOB)) == len(outlook.sent) == carried_out

    def test_a_silent_server_answers_nothing(self, outlook: OutlookEmulator) -> None:
        outlook.on("smtp", "CONNECT", Silent())
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            smtplib.SMTP("localhost", outlook.smtp.port, timeout=0.3)


def _fetched(client: imaplib.IMAP4) -> list[object]:
    return [part for part in client.untagged_responses["FETCH"] if isinstance(part, tuple)]
