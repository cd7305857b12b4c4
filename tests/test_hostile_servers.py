"""The hostile servers do the harm they promise: shown with careless clients."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import socket
import ssl
import time
import warnings
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator.certificates import Certificates
from tests.hostile import COMBINATIONS, HostileServer, hostile_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile import HostileProtocol, Trouble

TOKEN = "a-token-that-must-not-be-seen"
RESPONSE = f"user=ada@example.com\1auth=Bearer {TOKEN}\1\1"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


def careless_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def sign_in(server: HostileServer, context: ssl.SSLContext) -> None:
    if server.protocol == "smtp":
        sender = smtplib.SMTP("localhost", server.port, timeout=5)
        with contextlib.closing(sender):
            sender.starttls(context=context)
            sender.ehlo()
            sender.auth("XOAUTH2", lambda _=None: RESPONSE)
        return
    client: imaplib.IMAP4
    if server.tls == "implicit":
        client = imaplib.IMAP4_SSL("localhost", server.port, ssl_context=context, timeout=5)
    else:
        client = imaplib.IMAP4("localhost", server.port, timeout=5)
    try:
        if server.tls == "starttls":
            client.starttls(context)
        client.authenticate("XOAUTH2", lambda _: RESPONSE.encode())
    finally:
        client.shutdown()


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_the_good_server_takes_the_token_of_a_careful_client(
    certificates: Certificates, protocol: HostileProtocol
) -> None:
    with hostile_server(protocol, "none", certificates) as server:
        sign_in(server, certificates.client_context())
        assert server.saw(TOKEN)
        assert (server.connections, server.handshakes) == (1, 1)


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("self_signed", "self-signed certificate"),
        ("unknown_root", "unable to get local issuer|self-signed certificate"),
        ("expired", "certificate has expired"),
        ("wrong_name", "Hostname mismatch"),
        ("old_tls", "(?i)protocol|version"),
    ],
)
def test_a_bad_certificate_stops_careful_clients_only(
    certificates: Certificates, protocol: HostileProtocol, trouble: Trouble, reason: str
) -> None:
    with hostile_server(protocol, trouble, certificates) as server:
        with pytest.raises(ssl.SSLError, match=reason):
            sign_in(server, certificates.client_context())
        assert not server.saw(TOKEN)
        sign_in(server, careless_context())
        assert server.saw(TOKEN)


@pytest.mark.parametrize("trouble", ["starttls_missing", "starttls_refused"])
def test_without_starttls_the_server_takes_the_token_in_clear(
    certificates: Certificates, trouble: Trouble
) -> None:
    with hostile_server("smtp", trouble, certificates) as server:
        with contextlib.closing(smtplib.SMTP("localhost", server.port, timeout=5)) as sender:
            sender.ehlo()
            assert sender.has_extn("starttls") == (trouble == "starttls_refused")
            assert sender.docmd("STARTTLS")[0] == 454
            sender.auth("XOAUTH2", lambda _=None: RESPONSE)
        assert (server.saw(TOKEN), server.handshakes) == (True, 0)


@pytest.mark.parametrize(("protocol", "command"), [("imap", b"A1 STARTTLS"), ("smtp", b"STARTTLS")])
def test_injected_text_comes_with_the_answer_and_tls_is_good_after_it(
    certificates: Certificates, protocol: HostileProtocol, command: bytes
) -> None:
    with (
        hostile_server(protocol, "starttls_injected", certificates) as server,
        socket.create_connection(("localhost", server.port), timeout=5) as line,
    ):
        line.recv(4096)
        line.sendall(command + b"\r\n")
        assert b"AUTH" in line.recv(4096).partition(b"\r\n")[2]
        with certificates.client_context().wrap_socket(line, server_hostname="localhost") as secure:
            secure.sendall(b"A2 NOOP\r\n")
            assert secure.recv(4096)
        assert server.handshakes == 1


@pytest.mark.parametrize(
    ("trouble", "beginning"),
    [("preauth", b"* PREAUTH "), ("garbage", b"\0"), ("endless_line", b"* OK xxxx")],
)
def test_strange_greetings_come_as_promised(
    certificates: Certificates, trouble: Trouble, beginning: bytes
) -> None:
    with (
        hostile_server("imap", trouble, certificates, tls="starttls") as server,
        socket.create_connection(("localhost", server.port), timeout=5) as line,
        line.makefile("rb") as stream,
    ):
        assert stream.read(10).startswith(beginning)


def test_a_silent_server_says_nothing_and_a_cut_line_ends(certificates: Certificates) -> None:
    with (
        hostile_server("smtp", "silent", certificates) as server,
        socket.create_connection(("localhost", server.port), timeout=0.1) as line,
        pytest.raises(TimeoutError),
    ):
        line.recv(1)
    with (
        hostile_server("smtp", "cut_after_greeting", certificates) as server,
        socket.create_connection(("localhost", server.port), timeout=5) as line,
    ):
        assert line.makefile("rb").read() == b"220 localhost ready\r\n"


def test_every_combination_stops_at_once_though_a_client_is_there(
    certificates: Certificates,
) -> None:
    begun = time.monotonic()
    for protocol, trouble, tls in COMBINATIONS:
        with (
            contextlib.ExitStack() as clients,
            hostile_server(protocol, trouble, certificates, tls=tls) as server,
        ):
            clients.enter_context(socket.create_connection(("localhost", server.port)))
            assert server.endpoint.tls == tls
    assert time.monotonic() - begun < 20
    assert len(COMBINATIONS) == len(set(COMBINATIONS)) == 43
