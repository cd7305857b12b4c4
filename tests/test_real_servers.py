"""The second judge is a real one: Dovecot and Postfix, driven by the standard library alone."""

from __future__ import annotations

import base64
import imaplib
import smtplib
from typing import TYPE_CHECKING

import pytest

from tests.real import postfix
from tests.real.clients import (
    imap,
    letter,
    oauthbearer,
    sign_in_in_two_steps,
    smtp,
    wait_for_mail,
    xoauth2,
    xoauth2_answer,
)
from tests.real.servers import RealServers, running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def servers() -> Iterator[RealServers]:
    with running() as started:
        yield started


@pytest.fixture
def ada(servers: RealServers) -> str:
    servers.add_user("ada@example.com")
    servers.clear("ada@example.com")
    return "ada@example.com"


@pytest.mark.parametrize("entrance", ["imap", "imap_starttls"])
def test_a_live_token_opens_its_holders_mailbox(
    servers: RealServers, ada: str, entrance: str
) -> None:
    servers.deliver(ada, letter("bob@example.org", ada, "Unseen"))
    token = servers.issue_token(ada)
    assert len(token) == 2600
    with imap(servers, getattr(servers, entrance)) as client:
        assert client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))[0] == "OK"
        assert client.select() == ("OK", [b"1"])
        assert client.search(None, "UNSEEN") == ("OK", [b"1"])
        client.store("1", "+FLAGS", r"(\Seen)")
    assert [message.flags for message in servers.messages(ada)] == [{r"\Seen"}]


def test_oauthbearer_opens_the_mailbox_too(servers: RealServers, ada: str) -> None:
    token = servers.issue_token(ada)
    with imap(servers) as client:
        assert client.authenticate("OAUTHBEARER", lambda _: oauthbearer(ada, token))[0] == "OK"


def test_an_expired_token_is_refused_with_a_challenge_that_says_401(
    servers: RealServers, ada: str
) -> None:
    token = servers.issue_token(ada)
    servers.expire_tokens()
    challenges: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"" if challenge else xoauth2(ada, token)

    with imap(servers) as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("XOAUTH2", answer)
    assert b'"status":"401"' in challenges[1]


def test_nobody_opens_the_mailbox_of_somebody_else(servers: RealServers, ada: str) -> None:
    servers.add_user("bob@example.com")
    token = servers.issue_token("bob@example.com")
    with imap(servers) as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("XOAUTH2", xoauth2_answer(ada, token))


def test_delivered_messages_get_uids_in_the_order_of_their_delivery(
    servers: RealServers, ada: str
) -> None:
    token = servers.issue_token(ada)
    uids = []
    for number in range(25):
        uids.append(servers.deliver(ada, letter("bob@example.org", ada, f"Number {number}")))
        if number % 10 == 5:
            with imap(servers) as client:
                client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))
                client.select()
    with imap(servers) as client:
        client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))
        client.select()
    assert uids == list(range(1, 26))
    found = servers.messages(ada)
    assert [message.uid for message in found] == list(range(1, 26))
    assert [b"Number %d\r\n" % number in found[number].raw for number in range(25)] == [True] * 25


@pytest.mark.parametrize("entrance", ["smtp", "dovecot_smtp"])
@pytest.mark.parametrize(
    ("mechanism", "response"), [("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer)]
)
def test_a_long_token_sends_in_two_steps_and_the_mail_arrives(
    servers: RealServers, ada: str, entrance: str, mechanism: str, response: object
) -> None:
    assert callable(response)
    token = servers.issue_token(ada)
    with smtp(servers, getattr(servers, entrance)) as client:
        assert sign_in_in_two_steps(client, mechanism, response(ada, token)) == 235
        assert client.send_message(letter(ada, ada, "To myself")) == {}
    assert b"Subject: To myself\r\n" in wait_for_mail(servers, ada)


@pytest.mark.parametrize("entrance", ["smtp", "dovecot_smtp"])
def test_a_long_token_in_one_step_is_refused_as_if_it_were_bad(
    servers: RealServers, ada: str, entrance: str
) -> None:
    line = base64.b64encode(xoauth2(ada, servers.issue_token(ada))).decode()
    with smtp(servers, getattr(servers, entrance)) as client:
        assert client.docmd("AUTH", f"XOAUTH2 {line}")[0] in {500, 535}


@pytest.mark.parametrize("entrance", ["smtp", "dovecot_smtp"])
def test_an_expired_token_sends_nothing(servers: RealServers, ada: str, entrance: str) -> None:
    token = servers.issue_token(ada)
    servers.expire_tokens()
    with smtp(servers, getattr(servers, entrance)) as client:
        assert sign_in_in_two_steps(client, "XOAUTH2", xoauth2(ada, token)) == 535


def test_a_revoked_user_gets_no_further(servers: RealServers) -> None:
    servers.add_user("eve@example.com")
    token = servers.issue_token("eve@example.com")
    servers.revoke("eve@example.com")
    with smtp(servers) as client:
        assert sign_in_in_two_steps(client, "XOAUTH2", xoauth2("eve@example.com", token)) == 535


def test_postfix_offers_auth_behind_tls_only(servers: RealServers) -> None:
    with smtplib.SMTP(servers.smtp.host, servers.smtp.port, timeout=10) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.mail("ada@example.com")[0] == 530


def test_some_recipients_are_refused_and_the_others_get_the_mail(
    servers: RealServers, ada: str
) -> None:
    people = [ada, "nobody@example.com", "anybody@example.org", "x@elsewhere.example"]
    with smtp(servers) as client:
        sign_in_in_two_steps(client, "XOAUTH2", xoauth2(ada, servers.issue_token(ada)))
        refused = client.send_message(letter(ada, ada, "To many"), to_addrs=people)
    assert {who: code for who, (code, _) in refused.items()} == {people[1]: 550, people[3]: 550}
    assert b"To many" in wait_for_mail(servers, "anybody@example.org")
    assert b"To many" in wait_for_mail(servers, ada)


def test_a_foreign_sender_is_refused(servers: RealServers, ada: str) -> None:
    with smtp(servers) as client:
        sign_in_in_two_steps(client, "XOAUTH2", xoauth2(ada, servers.issue_token(ada)))
        client.mail("bob@example.com")
        code, text = client.rcpt(ada)
    assert code == 553
    assert text.startswith(b"5.7.1 <bob@example.com>: Sender address rejected: not owned by")


def test_somebody_whose_sign_in_name_is_not_the_address_uses_the_sign_in_name(
    servers: RealServers,
) -> None:
    servers.add_user("grace@example.com", upn="g.hopper@outlook.example")
    account = servers.account("grace@example.com")
    assert (account.user, account.address) == ("g.hopper@outlook.example", "grace@example.com")
    servers.clear("grace@example.com")
    token = servers.issue_token("grace@example.com")
    with smtp(servers) as client:
        assert sign_in_in_two_steps(client, "XOAUTH2", xoauth2(str(account.user), token)) == 235
        client.send_message(letter("grace@example.com", "grace@example.com", "Renamed"))
    assert b"Renamed" in wait_for_mail(servers, "grace@example.com")
    for name in (str(account.user), account.address):
        with imap(servers) as client:
            client.authenticate("XOAUTH2", xoauth2_answer(name, token))
            assert client.select() == ("OK", [b"1"])


def test_special_folders_are_outlooks(servers: RealServers, ada: str) -> None:
    token = servers.issue_token(ada)
    servers.deliver(ada, b"Subject: old\r\n\r\n", "Archive/2025", flags=[r"\Seen"])
    with imap(servers) as client:
        client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))
        listed = b"\n".join(line for line in client.list()[1] if isinstance(line, bytes))
        assert client.select('"Archive/2025"') == ("OK", [b"1"])
    for use, name in ((b"Trash", b"Deleted Items"), (b"Sent", b"Sent Items")):
        assert b"\\" + use + b') "/" "' + name + b'"' in listed
    assert servers.messages(ada, "Archive/2025")[0].flags == {r"\Seen"}
    assert servers.messages(ada, "Sent Items") == []
    with pytest.raises(KeyError):
        servers.messages(ada, "Nowhere")


@pytest.mark.parametrize(
    ("variable", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_server_skips_at_home_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, variable: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(postfix, "missing", lambda: "Postfix is not installed")
    monkeypatch.setenv("CI", variable)
    with pytest.raises(outcome, match="Postfix is not installed"), running():
        pass
