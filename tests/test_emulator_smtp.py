"""The embedded Outlook's submission, and the embedded Gmail, driven by the standard library."""

from __future__ import annotations

import base64
import imaplib
import smtplib
import socket
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.emulator_clients import (
    ADA,
    BOB,
    TEAM,
    Wire,
    mail_from,
    opened,
    sign_in,
    smtp,
    submitting,
    token,
    xoauth2,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CAROL = "carol@elsewhere.example"


@pytest.fixture
def outlook() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        yield emulator


@pytest.fixture
def gmail() -> Iterator[OutlookEmulator]:
    with OutlookEmulator(personality="gmail") as emulator:
        emulator.add_user(ADA)
        yield emulator


class TestOutlookSmtp:
    def test_sign_in_is_offered_within_tls_alone(self, outlook: OutlookEmulator) -> None:
        with smtplib.SMTP("localhost", outlook.smtp.port, timeout=10) as client:
            client.ehlo()
            assert client.has_extn("starttls")
            assert not client.has_extn("auth")
            assert client.esmtp_features["size"] == "157286400"
            assert client.docmd("AUTH", "XOAUTH2")[0] == 530
        with smtp(outlook) as client:
            assert not client.has_extn("starttls")
            assert client.esmtp_features["auth"].split() == ["LOGIN", "XOAUTH2"]

    @pytest.mark.parametrize("inline", [True, False])
    def test_a_token_signs_in_with_one_step_or_two(
        self, outlook: OutlookEmulator, *, inline: bool
    ) -> None:
        with smtp(outlook) as client:
            reply = sign_in(client, ADA, token(outlook), inline=inline)
            assert reply == (235, b"2.7.0 Authentication successful")
        assert outlook.connections[0].signed_in_as == ADA

    def test_a_refused_token_may_be_followed_by_a_good_one(self, outlook: OutlookEmulator) -> None:
        with smtp(outlook) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
                sign_in(client, ADA, "nonsense")
            assert refusal.value.smtp_code == 535
            assert isinstance(refusal.value.smtp_error, bytes)
            assert refusal.value.smtp_error.startswith(b"5.7.3 Authentication unsuccessful [")
            assert sign_in(client, ADA, token(outlook))[0] == 235

    def test_an_imap_token_does_not_send(self, outlook: OutlookEmulator) -> None:
        scopes = ("https://outlook.office.com/IMAP.AccessAsUser.All",)
        access_token, _ = outlook.identity.issue(ADA, scopes)
        with smtp(outlook) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            sign_in(client, ADA, access_token)
        with opened(outlook, ADA, access_token):
            pass

    def test_a_strict_server_refuses_long_auth_lines(self) -> None:
        with OutlookEmulator(strict_auth_line=True) as outlook:
            outlook.add_user(ADA)
            access_token = token(outlook)
            with smtp(outlook) as client:
                line = base64.b64encode(xoauth2(ADA, access_token)).decode()
                assert client.docmd("AUTH", f"XOAUTH2 {line}") == (500, b"5.5.2 Line too long")
                assert sign_in(client, ADA, access_token, inline=False)[0] == 235

    def test_a_server_like_postfix_takes_auth_lines_of_2047_octets(self) -> None:
        with OutlookEmulator(strict_auth_line=2047, token_size=1489) as outlook:
            outlook.add_user(ADA)
            with smtp(outlook) as client:
                assert sign_in(client, ADA, token(outlook))[0] == 235
            with smtp(outlook) as client:
                line = base64.b64encode(xoauth2(ADA, token(outlook) + "x")).decode()
                assert client.docmd("AUTH", f"XOAUTH2 {line}") == (500, b"5.5.2 Line too long")

    def test_nothing_is_sent_without_a_sign_in(self, outlook: OutlookEmulator) -> None:
        with smtp(outlook) as client:
            assert client.mail(ADA)[0] == 530

    def test_a_message_reaches_the_inbox_the_sent_copy_and_the_outbox(
        self, outlook: OutlookEmulator
    ) -> None:
        raw = mail_from(ADA)
        with submitting(outlook) as client:
            assert client.sendmail(ADA, [BOB, CAROL], raw) == {}
        assert [message.raw for message in outlook.messages(BOB)] == [raw]
        [copy] = outlook.messages(ADA, "Sent Items")
        assert (copy.raw, copy.flags) == (raw, frozenset({"\\Seen"}))
        assert outlook.messages(ADA) == []
        [sent] = outlook.sent
        assert (sent.envelope_from, sent.recipients, sent.user) == (ADA, (BOB, CAROL), ADA)
        assert [kept.recipients for kept in outlook.outbox] == [(CAROL,)]

    def test_lines_that_begin_with_dots_and_large_mail_arrive_whole(
        self, outlook: OutlookEmulator
    ) -> None:
        raw = mail_from(ADA) + b".\r\n..\r\n" + b"x" * 3000 + b"\r\n" + b"y" * 70 + b"\r\n" * 50000
        with submitting(outlook) as client:
            client.sendmail(ADA, [BOB], raw)
        assert outlook.messages(BOB)[0].raw == raw

    def test_the_reply_to_a_message_names_the_host(self, outlook: OutlookEmulator) -> None:
        with submitting(outlook) as client:
            client.mail(ADA)
            client.rcpt(BOB)
            code, text = client.data(mail_from(ADA))
        assert code == 250
        assert text.startswith(b"2.0.0 OK <")
        assert text.endswith(b"@outlook.example> [Hostname=EMULATOR.outlook.example]")

    def test_a_session_sends_many_messages(self, outlook: OutlookEmulator) -> None:
        with submitting(outlook) as client:
            for _ in range(20):
                client.sendmail(ADA, [BOB], mail_from(ADA))
        assert len(outlook.messages(BOB)) == 20

    def test_another_s_address_sends_only_when_it_is_shared(self, outlook: OutlookEmulator) -> None:
        outlook.add_user(TEAM)
        with submitting(outlook) as client:
            with pytest.raises(smtplib.SMTPSenderRefused) as refusal:
                client.sendmail(TEAM, [BOB], mail_from(TEAM))
            assert refusal.value.smtp_code == 550
            assert b"permissions to send as this sender" in refusal.value.smtp_error
            with pytest.raises(smtplib.SMTPDataError, match="SendAsDenied"):
                client.sendmail(ADA, [BOB], mail_from(TEAM))
            outlook.share(TEAM, ADA)
            client.sendmail(TEAM, [BOB], mail_from(TEAM))
        assert len(outlook.sent) == 1

    def test_dsn_parameters_are_taken(self, outlook: OutlookEmulator) -> None:
        with submitting(outlook) as client:
            assert client.mail(ADA, ["RET=HDRS", "ENVID=abc"])[0] == 250
            assert client.rcpt(BOB, ["NOTIFY=NEVER"])[0] == 250


class TestApps:
    def test_an_app_opens_and_sends_as_any_mailbox_that_is_not_closed_to_it(
        self, outlook: OutlookEmulator
    ) -> None:
        account = outlook.app_account(secret="s" * 20)
        access_token = app_token(outlook, str(account.client_id), "s" * 20, account.tenant)
        with opened(outlook, BOB, access_token):
            pass
        with smtp(outlook) as client:
            sign_in(client, BOB, access_token)
            client.sendmail(BOB, [ADA], mail_from(BOB))
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail(ADA, [BOB], mail_from(ADA))
        outlook.deny_app(BOB)
        with pytest.raises(imaplib.IMAP4.error):
            opened(outlook, BOB, access_token)

    def test_the_secret_is_in_a_private_file(self, outlook: OutlookEmulator) -> None:
        account = outlook.app_account()
        assert account.sign_in == "app"
        assert account.client_secret_file is not None
        assert account.client_secret_file.stat().st_mode & 0o077 == 0
        assert len(account.client_secret_file.read_text(encoding="utf-8")) > 20


def app_token(emulator: OutlookEmulator, client_id: str, secret: str, tenant: str) -> str:
    import json
    import ssl
    import urllib.parse
    import urllib.request

    url = f"{emulator.identity.authority_of(tenant)}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": "https://outlook.office365.com/.default",
    }
    context = ssl.create_default_context(cafile=emulator.ca_file)
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, body, timeout=10, context=context) as reply:
        granted = json.load(reply)["access_token"]
    assert isinstance(granted, str)
    return granted


class TestGmail:
    def test_imap_tells_why_before_it_refuses(self, gmail: OutlookEmulator) -> None:
        with Wire(gmail) as wire:
            assert wire.greeting.startswith(b"* OK Gimap ready for requests")
            payload = base64.b64encode(xoauth2(ADA, "nonsense"))
            wire.say(b"A1 AUTHENTICATE XOAUTH2 " + payload)
            challenge = base64.b64decode(wire.line().removeprefix(b"+ "))
            expected = b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
            assert challenge == expected
            wire.say(b"")
            refusal = b"A1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
            assert wire.line() == refusal

    @pytest.mark.parametrize("good", [True, False])
    def test_oauthbearer_is_taken_and_refused(self, gmail: OutlookEmulator, *, good: bool) -> None:
        access_token = token(gmail) if good else "nonsense"
        claim = f"n,a={ADA},\x01host=localhost\x01port=993\x01auth=Bearer {access_token}\x01\x01"
        with Wire(gmail) as wire:
            wire.say(b"A1 AUTHENTICATE OAUTHBEARER " + base64.b64encode(claim.encode()))
            if good:
                assert wire.line().startswith(b"* CAPABILITY IMAP4rev1 ")
                assert wire.line() == b"A1 OK ada@example.com authenticated (Success)"
            else:
                assert b"invalid_request" in base64.b64decode(wire.line().removeprefix(b"+ "))
                wire.say(b"AQ==")
                assert wire.line().startswith(b"A1 NO [AUTHENTICATIONFAILED]")

    def test_smtp_tells_why_before_it_refuses(self, gmail: OutlookEmulator) -> None:
        with smtp(gmail) as client:
            payload = base64.b64encode(xoauth2(ADA, "nonsense")).decode()
            code, challenge = client.docmd("AUTH", f"XOAUTH2 {payload}")
            assert code == 334
            assert b'"status":"400"' in base64.b64decode(challenge)
            code, text = client.docmd("")
            assert code == 535
            assert len(text.splitlines()) == 2

    def test_smtp_takes_oauthbearer(self, gmail: OutlookEmulator) -> None:
        claim = f"n,a={ADA},\x01host=localhost\x01port=587\x01auth=Bearer {token(gmail)}\x01\x01"
        with smtp(gmail) as client:
            payload = base64.b64encode(claim.encode()).decode()
            assert client.docmd("AUTH", f"OAUTHBEARER {payload}") == (235, b"2.7.0 Accepted")
            client.sendmail(ADA, [CAROL], mail_from(ADA))
        assert len(gmail.messages(ADA, "[Gmail]/Sent Mail")) == 1

    def test_search_knows_utf_8(self, gmail: OutlookEmulator) -> None:
        gmail.deliver(ADA, "Subject: x\r\n\r\nGrüße\r\n".encode())
        with opened(gmail) as client:
            client.select()
            client.literal = "Grüße".encode()  # type: ignore[assignment]  # imaplib's own attribute for it
            assert client.uid("SEARCH", "CHARSET", "UTF-8", "BODY") == ("OK", [b"1"])


def test_both_loopback_addresses_are_served(outlook: OutlookEmulator) -> None:
    for endpoint in (outlook.imap, outlook.smtp):
        for *_, address in socket.getaddrinfo("localhost", endpoint.port, proto=socket.IPPROTO_TCP):
            host = str(address[0])
            socket.create_connection((host, endpoint.port), timeout=10).close()
