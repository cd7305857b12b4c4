"""Clients of the standard library for the embedded Outlook's tests."""

from __future__ import annotations

import base64
import imaplib
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.emulator import OutlookEmulator

ADA = "ada@example.com"
BOB = "bob@example.com"
TEAM = "team@example.com"
MAIL = b"From: ann@example.org\r\nSubject: Hello\r\n\r\nHello, Ada.\r\n"


def tls(emulator: OutlookEmulator) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=emulator.ca_file)


def token(emulator: OutlookEmulator, user: str = ADA) -> str:
    return emulator.identity.issue(user)[0]


def xoauth2(user: str, access_token: str) -> bytes:
    return f"user={user}\x01auth=Bearer {access_token}\x01\x01".encode()


def once(payload: bytes) -> Callable[[bytes], bytes]:
    """Answer with the payload first, and with nothing to the challenge of a refusal."""
    answers = [payload]
    return lambda _challenge: answers.pop() if answers else b""


def imap(emulator: OutlookEmulator) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("localhost", emulator.imap.port, ssl_context=tls(emulator), timeout=10)


def opened(
    emulator: OutlookEmulator, mailbox: str = ADA, access_token: str | None = None
) -> imaplib.IMAP4_SSL:
    client = imap(emulator)
    payload = xoauth2(mailbox, access_token or token(emulator, mailbox))
    try:
        client.authenticate("XOAUTH2", once(payload))
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


def smtp(emulator: OutlookEmulator) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", emulator.smtp.port, timeout=10)
    client.starttls(context=tls(emulator))
    client.ehlo()
    return client


def sign_in(
    client: smtplib.SMTP, mailbox: str, access_token: str, *, inline: bool = True
) -> tuple[int, bytes]:
    payload = xoauth2(mailbox, access_token).decode()
    return client.auth("XOAUTH2", lambda _challenge=None: payload, initial_response_ok=inline)


def submitting(emulator: OutlookEmulator, mailbox: str = ADA) -> smtplib.SMTP:
    client = smtp(emulator)
    sign_in(client, mailbox, token(emulator, mailbox))
    return client


def mail_from(sender: str) -> bytes:
    return f"From: {sender}\r\nSubject: Report\r\n\r\nAll is well.\r\n".encode()


def line_from(connection: ssl.SSLSocket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            break
        line += piece
    return line


class Wire:
    """A bare IMAP client, for what imaplib hides."""

    def __init__(self, emulator: OutlookEmulator) -> None:
        plain = socket.create_connection(("127.0.0.1", emulator.imap.port), timeout=10)
        self.socket = tls(emulator).wrap_socket(plain, server_hostname="localhost")
        self.greeting = self.line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def say(self, line: bytes) -> None:
        self.socket.sendall(line + b"\r\n")

    def line(self) -> bytes:
        return line_from(self.socket).rstrip(b"\r\n")

    def ended(self) -> bool:
        """Wait for the next octet, and return whether the line was closed instead."""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, ssl.SSLEOFError):
            return True

    def ask(self, line: bytes) -> list[bytes]:
        self.say(line)
        tag = line.split()[0]
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines


def wire_opened(emulator: OutlookEmulator, access_token: str | None = None) -> Wire:
    wire = Wire(emulator)
    payload = base64.b64encode(xoauth2(ADA, access_token or token(emulator)))
    assert wire.ask(b"A1 AUTHENTICATE XOAUTH2 " + payload)[-1].startswith(b"A1 OK")
    return wire
