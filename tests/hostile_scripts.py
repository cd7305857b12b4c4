"""What the hostile servers say: a line that records, and one script a protocol."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_SECONDS = 30.0
_ENDLESS = 64 * 1024 * 1024


class LineEnded(Exception):
    """The client has gone."""


class Recorder(Protocol):
    """Who keeps what a client sent."""

    handshakes: int

    def record(self, data: bytes) -> None: ...
    def hold(self, line: socket.socket) -> None: ...


class Line:
    """One connection, in clear until ``start_tls``."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext, recorder: Recorder) -> None:
        self._socket = client
        self._context = context
        self._recorder = recorder
        self._unread = b""
        self.encrypted = False
        client.settimeout(_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start_tls(self) -> None:
        """Be the server of a TLS handshake."""
        # What the client sent behind STARTTLS in clear is recorded already, and dropped.
        self._unread = b""
        secure = self._context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket = secure
        self._recorder.hold(secure)
        secure.do_handshake()
        self._recorder.handshakes += 1
        self.encrypted = True

    def send(self, data: bytes) -> None:
        """Send it in one piece."""
        self._socket.sendall(data)

    def send_endlessly(self, beginning: bytes) -> NoReturn:
        """Send a line that does not end, far beyond what anybody may keep."""
        self.send(beginning)
        for _ in range(_ENDLESS // 65536):
            self.send(b"x" * 65536)
        self.listen()

    def read_line(self) -> bytes:
        """Return the client's next line without its end; raises ``LineEnded``."""
        while b"\n" not in self._unread:
            self._unread += self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r")

    def listen(self) -> NoReturn:
        """Say nothing more and record what comes."""
        while True:
            self._receive()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise LineEnded
        self._recorder.record(data)
        return data


def speak_imap(line: Line, trouble: str) -> None:
    """Take any token over IMAP, after whatever the trouble is."""
    capability = b"IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER"
    if not line.encrypted and trouble != "starttls_missing":
        capability += b" STARTTLS"
    greeting = b"* PREAUTH" if trouble == "preauth" else b"* OK"
    line.send(greeting + b" [CAPABILITY " + capability + b"] ready\r\n")
    if trouble == "cut_after_greeting":
        return
    while command := line.read_line():
        tag, _, rest = command.partition(b" ")
        verb = rest.split(b" ")[0].upper()
        if verb == b"CAPABILITY":
            line.send(b"* CAPABILITY " + capability + b"\r\n" + tag + b" OK done\r\n")
        elif verb == b"STARTTLS":
            _begin_tls(
                line, trouble, tag + b" OK begin\r\n", tag + b" NO not today\r\n", _IMAP_MORE
            )
            if line.encrypted:
                capability = capability.removesuffix(b" STARTTLS")
        elif verb == b"AUTHENTICATE":
            if rest.count(b" ") == 1:
                line.send(b"+ \r\n")
                line.read_line()
            line.send(tag + b" OK welcome\r\n")
        elif verb in {b"SELECT", b"EXAMINE"}:
            line.send(
                b"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n" + tag + b" OK [READ-WRITE] ok\r\n"
            )
        else:
            line.send(tag + b" OK done\r\n")


def speak_smtp(line: Line, trouble: str) -> None:
    """Take any token and any message over SMTP, after whatever the trouble is."""
    line.send(b"220 localhost ready\r\n")
    if trouble == "cut_after_greeting":
        return
    while command := line.read_line():
        verb = command.split(b" ")[0].upper()
        if verb == b"EHLO":
            starttls = not line.encrypted and trouble != "starttls_missing"
            more = b"250-STARTTLS\r\n" if starttls else b""
            line.send(b"250-localhost\r\n" + more + b"250 AUTH XOAUTH2 OAUTHBEARER\r\n")
        elif verb == b"STARTTLS":
            _begin_tls(line, trouble, b"220 go ahead\r\n", b"454 not today\r\n", _SMTP_MORE)
        elif verb == b"AUTH":
            if command.count(b" ") == 1:
                line.send(b"334 \r\n")
                line.read_line()
            line.send(b"235 2.7.0 welcome\r\n")
        elif verb == b"DATA":
            line.send(b"354 go on\r\n")
            while line.read_line() != b".":
                pass
            line.send(b"250 2.0.0 taken\r\n")
        else:
            line.send(b"250 2.0.0 done\r\n")


# What a client that keeps its buffer across the handshake would take for the
# server's word under TLS (CVE-2011-0411 and its kin).
_IMAP_MORE = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n"
_SMTP_MORE = b"250-localhost\r\n250 AUTH XOAUTH2\r\n"


def _begin_tls(line: Line, trouble: str, yes: bytes, no: bytes, more: bytes) -> None:
    if trouble in {"starttls_missing", "starttls_refused"}:
        line.send(no)
        return
    line.send(yes + more if trouble == "starttls_injected" else yes)
    line.start_tls()


SCRIPTS: dict[str, Callable[[Line, str], None]] = {"imap": speak_imap, "smtp": speak_smtp}
