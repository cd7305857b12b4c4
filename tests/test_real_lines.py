"""Lines to real servers break on command, and the servers did what the client cannot know."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.real.clients import (
    imap,
    sign_in_in_two_steps,
    smtp,
    wait_for_mail,
    xoauth2,
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


def test_a_line_cut_in_the_middle_of_a_message_delivers_nothing(
    servers: RealServers, ada: str
) -> None:
    with (
        servers.proxy(servers.smtp) as proxy,
        smtp(servers, proxy.endpoint("starttls")) as client,
    ):
        sign_in_in_two_steps(client, "XOAUTH2", xoauth2(ada, servers.issue_token(ada)))
        client.mail(ada)
        client.rcpt(ada)
        client.docmd("DATA")
        client.send(b"Subject: half a message\r\n")
        proxy.cut()
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.docmd(".")
        assert proxy.connections == 1
    assert servers.messages(ada) == []


def test_a_reply_that_is_held_back_leaves_the_mail_delivered(
    servers: RealServers, ada: str
) -> None:
    with (
        servers.proxy(servers.smtp) as proxy,
        smtp(servers, proxy.endpoint("starttls")) as client,
    ):
        sign_in_in_two_steps(client, "XOAUTH2", xoauth2(ada, servers.issue_token(ada)))
        client.mail(ada)
        client.rcpt(ada)
        client.docmd("DATA")
        proxy.stall("server")
        client.send(b"Subject: delivered, unheard\r\n\r\nHello.\r\n.\r\n")
        assert b"delivered, unheard" in wait_for_mail(servers, ada)
        proxy.cut()
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.getreply()


def test_a_connection_ends_after_as_many_bytes_as_were_ordered(
    servers: RealServers, ada: str
) -> None:
    with servers.proxy(servers.imap_starttls) as proxy:
        proxy.cut_after(10, "server")
        with pytest.raises(imaplib.IMAP4.error):
            imaplib.IMAP4("localhost", proxy.port, timeout=10)
        assert proxy.sent["server"] == 10
        with imap(servers, proxy.endpoint("starttls")) as client:
            token = servers.issue_token(ada)
            assert client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))[0] == "OK"
        assert proxy.connections == 2


def test_a_reset_line_is_an_error_and_a_cut_one_an_end(servers: RealServers) -> None:
    with servers.proxy(servers.imap_starttls) as proxy:
        for reset in (True, False):
            with socket.create_connection(("localhost", proxy.port), timeout=10) as client:
                assert client.recv(4096).startswith(b"* OK")
                proxy.cut(reset=reset)
                with pytest.raises(ConnectionResetError) if reset else contextlib.nullcontext():
                    assert client.recv(4096) == b""


def test_disconnect_ends_the_sessions_of_one_protocol(servers: RealServers, ada: str) -> None:
    token = servers.issue_token(ada)
    before = len(servers.connections)
    with imap(servers) as client, smtp(servers) as sender:
        client.authenticate("XOAUTH2", lambda _: xoauth2(ada, token))
        opened = servers.connections[before:]
        assert [(each.protocol, each.open) for each in opened] == [("imap", True), ("smtp", True)]
        servers.disconnect("imap")
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
        assert sender.noop()[0] == 250
