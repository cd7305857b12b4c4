"""Clients of the standard library alone, for driving real servers past our own code."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailoauth.accounts import Endpoint
    from tests.real.servers import RealServers


def xoauth2(user: str, token: str) -> bytes:
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


def xoauth2_answer(user: str, token: str) -> Callable[[bytes], bytes]:
    return lambda challenge: b"" if challenge else xoauth2(user, token)


def oauthbearer(user: str, token: str) -> bytes:
    return f"n,a={user},\1auth=Bearer {token}\1\1".encode()


@contextlib.contextmanager
def imap(servers: RealServers, endpoint: Endpoint | None = None) -> Iterator[imaplib.IMAP4]:
    endpoint = endpoint or servers.imap
    context = ssl.create_default_context(cafile=str(servers.ca_file))
    client: imaplib.IMAP4
    if endpoint.tls == "implicit":
        client = imaplib.IMAP4_SSL(endpoint.host, endpoint.port, ssl_context=context, timeout=10)
    else:
        client = imaplib.IMAP4(endpoint.host, endpoint.port, timeout=10)
        client.starttls(context)
    try:
        yield client
    finally:
        client.shutdown()


@contextlib.contextmanager
def smtp(servers: RealServers, endpoint: Endpoint | None = None) -> Iterator[smtplib.SMTP]:
    endpoint = endpoint or servers.smtp
    client = smtplib.SMTP(endpoint.host, endpoint.port, timeout=10)
    try:
        client.starttls(context=ssl.create_default_context(cafile=str(servers.ca_file)))
        client.ehlo()
        yield client
    finally:
        client.close()


def sign_in_in_two_steps(client: smtplib.SMTP, mechanism: str, response: bytes) -> int:
    code, _ = client.docmd("AUTH", mechanism)
    if code != 334:
        return code
    code, _ = client.docmd(base64.b64encode(response).decode())
    return code if code != 334 else client.docmd("")[0]


def letter(sender: str, recipient: str, subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message.set_content("Hello.\n")
    return message


def wait_for_mail(servers: RealServers, address: str) -> bytes:
    limit = time.monotonic() + 10
    while not (found := servers.messages(address)):
        assert time.monotonic() < limit, servers.logs
        time.sleep(0.02)
    return found[0].raw
