"""The socket under IMAP: TLS before anything else, every wait bounded, closable from anywhere.

``imaplib`` documents ``open``, ``read``, ``readline``, ``send`` and ``shutdown`` as its
overridable methods. Beside those there is what saves round trips: the capabilities that
came with the greeting, the token that goes with AUTHENTICATE, and responses read whole for
commands that wait in a :class:`~mailoauth.mail.pipeline.Pipeline`.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import os
import re
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import ConnectionFailed
from mailoauth.mail.exchange import Exchange
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
#: TLS hands out 16 kB at most.
_RECORD: Final = 16 * 1024
#: A token goes with the AUTHENTICATE line up to here; Dovecot hangs up at 8,000 octets.
_LONGEST_INITIAL_RESPONSE: Final = 6000
#: Literals in one response: a message has one.
_MOST_PIECES: Final = 1000
_ABOUT_A_MESSAGE: Final = re.compile(rb"\* [0-9]")
_LITERAL: Final = re.compile(rb"\{([0-9]{1,12})\+?\}\r\n\Z")


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
        self._heard = time.monotonic()
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
            self._check_wanted()
            greeting = b""
            if self._endpoint.tls == "starttls":
                greeting = self._negotiate_starttls(plain)
            context = tls_context(self._ca_file)
            # Known before the handshake, so that it can be ended from elsewhere.
            self.sock = context.wrap_socket(
                plain, server_hostname=host, do_handshake_on_connect=False
            )
            self._check_wanted()
            self.sock.do_handshake()
            self._received = bytearray(greeting)
        except BaseException:
            plain.close()
            if self.sock is not None:
                self.sock.close()
            raise

    def _check_wanted(self) -> None:
        if self._shut:
            raise ConnectionFailed(f"The connection to {self._place} was given up.")

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

    def quiet(self) -> float:
        """Return for how many seconds nothing has been heard."""
        return time.monotonic() - self._heard

    def new_tag(self) -> bytes:
        """Return a tag for a command that imaplib knows nothing of."""
        tag: bytes = self._new_tag()
        del self.tagged_commands[tag]
        return tag

    def next_response(self) -> list[bytes]:
        """Return one response: a line, then each literal in it and what follows that."""
        return self._received_response() or self._read_response()

    def received_message(self) -> list[bytes] | None:
        """Return the next response if it is about a message and all of it is here; never waits."""
        # Others stay where they are: behind a goodbye there is nothing, and what came before
        # it must have been handed out by then.
        return self._received_response() if _ABOUT_A_MESSAGE.match(self._received) else None

    def _received_response(self) -> list[bytes] | None:
        pieces: list[bytes] = []
        received = self._received
        begin = 0
        while (line_break := received.find(b"\r\n", begin)) >= 0:
            end = line_break + 2
            line = bytes(received[begin:end])
            pieces.append(line)
            if not line.endswith(b"}\r\n") or not (announced := _LITERAL.search(line)):
                del received[:end]
                self._heard = time.monotonic()
                return pieces
            begin = end + int(announced[1])
            if begin >= len(received):
                break
            pieces.append(bytes(received[end:begin]))
        return None

    def _read_response(self) -> list[bytes]:
        line = self._whole_line()
        self._heard = time.monotonic()
        pieces = [line]
        total = 0
        while line.endswith(b"}\r\n") and (announced := _LITERAL.search(line)):
            size = int(announced[1])
            total += size
            if total > _LARGEST_LITERAL:
                raise self.abort(f"a literal of {total} bytes was announced")
            literal = self.read(size)
            if len(literal) < size:
                raise self.abort("socket error: EOF")
            line = self._whole_line()
            pieces += [literal, line]
            if len(pieces) > _MOST_PIECES:
                raise self.abort("a line without an end was sent")
        return pieces

    def _whole_line(self) -> bytes:
        line = self.readline()
        if not line.endswith(b"\r\n"):
            raise self.abort("socket error: unterminated line" if line else "socket error: EOF")
        return line

    def goodbye(self, line: bytes) -> Exception:
        """Keep what came with BYE and return the end of the connection, to be raised."""
        self.untagged_responses["BYE"] = [line[5:].strip()]
        return self.abort("socket error: EOF")

    def authenticate(
        self, mechanism: str, authobject: Callable[[bytes], bytes | None]
    ) -> tuple[str, Any]:
        """Sign in; the first answer goes with the command where the server takes it so.

        RFC 4959: that saves a round trip. A longer token waits for the server's ``+``.
        """
        first = base64.b64encode(authobject(b"") or b"")
        at_once = "SASL-IR" in self.capabilities and len(first) <= _LONGEST_INITIAL_RESPONSE
        # imaplib calls the literal for each challenge if it is a bound method.
        answers: Any = Exchange(authobject, b"" if at_once else first)
        self.literal = answers.answer
        words = [first.decode("ascii")] if at_once else []
        data: list[Any]
        kind, data = self._simple_command("AUTHENTICATE", mechanism.upper(), *words)
        if kind != "OK":
            raise self.error(data[-1].decode("utf-8", "replace"))
        self.state = "AUTH"
        return kind, data

    def _get_capabilities(self) -> None:
        """Ask for the capabilities, unless the greeting brought them (RFC 9051 section 7.1)."""
        # Taken away, or they would pass for those that come with the sign-in.
        announced: list[Any] | None = self.untagged_responses.pop("CAPABILITY", None)
        if announced:
            self.capabilities = tuple(announced[-1].decode("ascii", "replace").upper().split())
        else:
            super()._get_capabilities()  # type: ignore[misc] # not in the stubs

    def _log(self, line: str) -> None:
        """Keep nothing: a command may carry a token, and each line would be formatted."""

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes, fewer only at the end of the line."""
        if size > _LARGEST_LITERAL:
            raise self.abort(f"a literal of {size} bytes was announced")
        while len(self._received) < size <= len(self._received) + _RECORD:
            if not self._receive():
                break
        if size <= len(self._received):
            return self._take(size)
        # Not by way of the buffer: a large message would be in memory twice.
        chunks = [self._take(len(self._received))]
        missing = size - len(chunks[0])
        while missing:
            data = self._bounded().recv(min(missing, _RECORD))
            if not data:
                break
            chunks.append(data)
            missing -= len(data)
        return b"".join(chunks)

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
        data = self._bounded().recv(_RECORD)
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
        with memoryview(self._received) as received:
            taken = bytes(received[:size])
        del self._received[:size]
        return taken


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "replace").strip()
    # What a stranger sends may reach a terminal, which obeys control characters.
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    return f'"{clean}"' if clean else "an empty line"
