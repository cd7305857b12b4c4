"""The floor: a TLS socket, ready-made mails, one round trip each (RFC 2920), nothing parsed."""

from __future__ import annotations

import base64
import socket
import ssl
from typing import TYPE_CHECKING, Self

from tests.benchmarks.common.job import Done
from tests.benchmarks.sending.letters import SINK, html, subject, text

if TYPE_CHECKING:
    from types import TracebackType

    from tests.benchmarks.common.job import Job


class RawConnection:
    """A signed-in connection; leaving the ``with`` block says goodbye."""

    def __init__(self, job: Job) -> None:
        context = ssl.create_default_context(cafile=job.ca_file)
        self._socket = socket.create_connection(("127.0.0.1", job.port), 120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.expect(b"220")
        self.say(b"EHLO localhost\r\n", b"250")
        self.say(b"STARTTLS\r\n", b"220")
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self.say(b"EHLO localhost\r\n", b"250")
        proof = f"user={job.user}\1auth=Bearer {job.token}\1\1".encode()
        self.say(b"AUTH XOAUTH2\r\n", b"334")  # in two steps: one line may be too long
        self.say(base64.b64encode(proof) + b"\r\n", b"235")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._socket:
            if kind is None:
                self.say(b"QUIT\r\n", b"221")

    def say(self, octets: bytes, *codes: bytes) -> None:
        """Send what there is in one piece, then read the replies to it."""
        self._socket.sendall(octets)
        self.expect(*codes)

    def expect(self, *codes: bytes) -> None:
        """Read a reply for each code; the last line of each must begin with it."""
        for code in codes:
            while (line := self._line())[3:4] == b"-":
                pass
            if not line.startswith(code):
                raise ConnectionError(f"the server said {line.decode(errors='replace')}")

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server hung up")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def many(job: Job) -> Done:
    """Send the end of a message and the next one's MAIL, RCPT and DATA in one piece."""
    opening = f"MAIL FROM:<{job.user}>\r\nRCPT TO:<{SINK}>\r\nDATA\r\n".encode()
    with RawConnection(job) as connection:
        connection.say(opening, b"250", b"250", b"354")
        for number in range(job.count - 1):
            mail = _ready_made(job.user, number)
            connection.say(mail + b".\r\n" + opening, b"250", b"250", b"250", b"354")
        connection.say(_ready_made(job.user, job.count - 1) + b".\r\n", b"250")
    return Done(job.count)


def _ready_made(sender: str, number: int) -> bytes:
    head = (
        f"From: {sender}\r\nTo: {SINK}\r\nSubject: =?utf-8?q?"
        + subject(number).replace(" ", "_").replace("ö", "=C3=B6").replace("ß", "=C3=9F")
        + f"?=\r\nDate: Mon, 05 Jan 2026 08:00:00 +0000\r\nMessage-ID: <{number}@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b-o-u-n-d\r\n\r\n"
    )
    kind = "Content-Transfer-Encoding: 8bit\r\nContent-Type: text/{}; charset=utf-8\r\n\r\n"
    plain, rich = (part(number).replace("\n", "\r\n") for part in (text, html))
    body = f"--b-o-u-n-d\r\n{kind.format('plain')}{plain}\r\n--b-o-u-n-d\r\n"
    return f"{head}{body}{kind.format('html')}{rich}\r\n--b-o-u-n-d--\r\n".encode()
