"""The socket under IMAP: TLS before anything else, every wait bounded, closable from anywhere.

``imaplib`` documents ``open``, ``read``, ``readline``, ``send`` and ``shutdown`` as its
overridable methods; this class is those five and nothing more.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import socket
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConnectionFailed
from mailoauth.network import Deadline, prepare_socket, tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import ReadableBuffer

    from mailoauth.accounts import Endpoint

#: The longest line taken from a server: the answer to a SEARCH of two million messages.
_LONGEST_LINE: Final = 16 * 1024 * 1024
#: The largest literal taken from a server. Outlook's own limit is 150 MB a message.
_LARGEST_LITERAL: Final = 512 * 1024 * 1024


class SecureWire(imaplib.IMAP4):
    """An IMAP4 line that is encrypted and verified before it carries a command.

    ``timeout`` bounds each wait for the other side, ``deadline`` all of them together.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ca_file: Path | None,
        timeout: float,
        deadline: Deadline,
        on_start: Callable[[SecureWire], None],
    ) -> None:
        self._endpoint = endpoint
        self._ca_file = ca_file
        self.timeout = timeout
        self.deadline = deadline
        self._received = bytearray()
        self._shut = False
        self._pid = os.getpid()
        self.sock: socket.socket | ssl.SSLSocket | None = None  # type: ignore[assignment] # until it is connected
        # The mailbox knows of it before anything is waited for, so that it can be shut.
        on_start(self)
        super().__init__(endpoint.host, endpoint.port)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect and start TLS, implicit or by STARTTLS; raises ``OSError``."""
        step = self.deadline.step(self.timeout)
        plain = socket.create_connection((host, port), step if timeout is None else timeout)
        try:
            prepare_socket(plain)
            self.sock = plain
            if self._shut:
                raise ConnectionFailed(f"The connection to {self._place} was given up.")
            greeting = b""
            if self._endpoint.tls == "starttls":
                greeting = self._negotiate_starttls(plain)
            context = tls_context(self._ca_file)
            self.sock = context.wrap_socket(plain, server_hostname=host)
            self._received = bytearray(greeting)
        except BaseException:
            plain.close()
            if self.sock is not None:
                self.sock.close()
            raise

    def _negotiate_starttls(self, plain: socket.socket) -> bytes:
        """Ask for TLS in clear text and return the greeting, which the state machine still wants.

        RFC 9051 section 6.2.1. Nothing that came in clear text is believed afterwards, and a
        server (or somebody in between) that sends more than the answer is hung up on: CVE-2011-0411
        and its IMAP siblings were about such bytes being read as if TLS had protected them.
        """
        greeting = self._clear_line()
        if not greeting.upper().startswith(b"* OK"):
            # PREAUTH here would keep the client from ever starting TLS.
            raise ConnectionFailed(
                f"{self._place} did not offer a sign-in but answered {_shown(greeting)}.",
                remedy="Nothing was sent; check the port and the network between.",
            )
        plain.sendall(b"T0 STARTTLS\r\n")
        answer = self._clear_line()
        while answer.startswith(b"*"):
            answer = self._clear_line()
        if not answer.upper().startswith(b"T0 OK"):
            raise ConnectionFailed(
                f"{self._place} does not start TLS: {_shown(answer)}.",
                remedy="Nothing was sent in clear text; check the port and the network between.",
            )
        if self._received:
            raise ConnectionFailed(
                f"{self._place} sent more in clear text after agreeing to start TLS.",
                remedy="Somebody may be tampering with the connection; nothing was sent.",
            )
        return greeting

    def _clear_line(self) -> bytes:
        if line := self.readline():
            return line
        raise self.abort("socket error: EOF")

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes, fewer only at the end of the line."""
        if size > _LARGEST_LITERAL:
            raise self.abort(f"a literal of {size} bytes was announced")
        while len(self._received) < size and self._receive():
            pass
        return self._take(size)

    def readline(self) -> bytes:
        """Return one line with its end, what is left of one at the end of the connection."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > _LONGEST_LINE:
                raise self.abort("a line without an end was sent")
            if not self._receive():
                end = len(self._received) - 1
                break
        return self._take(end + 1)

    def send(self, data: ReadableBuffer) -> None:
        """Send all of the data."""
        self._bounded().sendall(data)

    def shutdown(self) -> None:
        """Close the connection, whatever its state; after a fork only this process's end of it."""
        self.shut()
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.close()

    def shut(self) -> None:
        """End every wait on this connection at once; from any thread or signal handler."""
        # Not SSLSocket.shutdown: it would drop the TLS layer and let a write that is
        # under way in another thread go out in clear text.
        self._shut = True
        # In a forked child the line is still the parent's.
        if self.sock is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _receive(self) -> bool:
        data = self._bounded().recv(65536)
        self._received += data
        return bool(data)

    def _bounded(self) -> socket.socket:
        """Return the socket, the next wait on it bounded."""
        if self.sock is None:
            raise self.abort("not connected")
        step = self.deadline.step(self.timeout)
        if self.sock.gettimeout() != step:
            self.sock.settimeout(step)
        return self.sock

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "replace").strip()
    # What a stranger sends may reach a terminal, which obeys control characters.
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    return f'"{clean}"' if clean else "an empty line"
