"""Servers that mean harm: what a client must not trust, each as a small script on loopback.

Behind each trouble waits a server that would gladly take a token, in clear or not,
and keeps every byte that it is sent: a test asks :meth:`HostileServer.saw`.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
import warnings
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Literal, Self

import trustme

from mailoauth.accounts import Endpoint
from tests.hostile_scripts import SCRIPTS, Line, LineEnded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mailoauth.accounts import Tls
    from mailoauth.emulator.certificates import Certificates

HostileProtocol = Literal["imap", "smtp"]
_PROTOCOLS: tuple[HostileProtocol, ...] = ("imap", "smtp")

Trouble = Literal[
    "none",  # the control: a good server, which shows that the recording works
    "self_signed",
    "unknown_root",
    "expired",
    "wrong_name",
    "old_tls",  # TLS 1.0 and 1.1 only
    "starttls_missing",  # struck out of the capabilities, as by a box on the way
    "starttls_refused",
    "starttls_injected",  # more plain text behind the answer to STARTTLS, then good TLS
    "preauth",  # IMAP: "you are signed in already", where STARTTLS is not allowed any more
    "silent",
    "garbage",
    "endless_line",
    "cut_after_greeting",
]

CERTIFICATE_TROUBLES: tuple[Trouble, ...] = (
    "self_signed",
    "unknown_root",
    "expired",
    "wrong_name",
    "old_tls",
)
STARTTLS_TROUBLES: tuple[Trouble, ...] = (
    "starttls_missing",
    "starttls_refused",
    "starttls_injected",
)
LINE_TROUBLES: tuple[Trouble, ...] = ("silent", "garbage", "endless_line", "cut_after_greeting")

_WAYS: tuple[Tls, ...] = ("implicit", "starttls")

#: Every combination there is, for ``pytest.mark.parametrize("protocol, trouble, tls", ...)``.
COMBINATIONS: tuple[tuple[HostileProtocol, Trouble, Tls], ...] = (
    *product(_PROTOCOLS, CERTIFICATE_TROUBLES + LINE_TROUBLES, _WAYS),
    *product(_PROTOCOLS, STARTTLS_TROUBLES, _WAYS[1:]),
    ("imap", "preauth", "starttls"),
)


@contextmanager
def hostile_server(
    protocol: HostileProtocol,
    trouble: Trouble,
    certificates: Certificates,
    *,
    tls: Tls | None = None,
) -> Iterator[HostileServer]:
    """Run one; ``tls`` is implicit for IMAP and STARTTLS for SMTP unless said."""
    only_starttls = trouble in STARTTLS_TROUBLES or trouble == "preauth"
    usual: Tls = "starttls" if only_starttls or protocol == "smtp" else "implicit"
    context = server_context(trouble, certificates)
    with HostileServer(protocol, trouble, tls or usual, context) as server:
        yield server


def server_context(trouble: Trouble, certificates: Certificates) -> ssl.SSLContext:
    """Return the server's side of TLS for that trouble."""
    if trouble == "self_signed":
        return self_signed_context()
    if trouble == "unknown_root":
        return certificates.stranger_context()
    if trouble == "expired":
        return certificates.expired_context()
    if trouble == "wrong_name":
        return certificates.other_name_context()
    context = certificates.server_context()
    if trouble == "old_tls":
        # OpenSSL's security level 1 and above has no cipher for the old versions.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def self_signed_context() -> ssl.SSLContext:
    """Return a context whose certificate for ``localhost`` vouches for itself."""
    # A root's own certificate signs itself; no name in it is localhost, but
    # that nobody vouches for it is found out first.
    root = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with root.cert_pem.tempfile() as chain, root.private_key_pem.tempfile() as key:
        context.load_cert_chain(chain, key)
    return context


class HostileServer:
    """One server on a free loopback port; :func:`hostile_server` makes it."""

    def __init__(
        self, protocol: HostileProtocol, trouble: Trouble, tls: Tls, context: ssl.SSLContext
    ) -> None:
        self.protocol = protocol
        self.trouble = trouble
        self.tls = tls
        #: Connections so far, and how many of them came to an end of the TLS handshake.
        self.connections = 0
        self.handshakes = 0
        self._context = context
        self._received = bytearray()
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens on localhost."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def endpoint(self) -> Endpoint:
        """Where a client is to go."""
        return Endpoint("localhost", self.port, self.tls)

    @property
    def received(self) -> bytes:
        """Every byte of every connection, in clear or decrypted, without TLS's own."""
        with self._lock:
            return bytes(self._received)

    def saw(self, secret: str) -> bool:
        """Say whether the secret came, plain or anywhere inside base64."""
        received = self.received
        words = re.findall(rb"[A-Za-z0-9+/]{8,}={0,2}", received)
        decoded = (base64.b64decode(word[: len(word) // 4 * 4]) for word in words)
        return any(secret.encode() in text for text in (received, *decoded))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        # A connection of our own wakes the thread from accept() on every system.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()
        with self._lock:
            for each in self._sockets:
                _shut(each)
        for thread in self._threads:
            thread.join()

    def record(self, data: bytes) -> None:
        """Keep what a client sent."""
        with self._lock:
            self._received += data

    def hold(self, line: socket.socket) -> None:
        """Remember a connection, so that it ends with the server."""
        with self._lock:
            self._sockets.append(line)
            if self._closed:
                _shut(line)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                client.close()
                return
            self.connections += 1
            self.hold(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        line = Line(client, self._context, self)
        try:
            with contextlib.suppress(OSError, LineEnded):
                self._play(line)
        finally:
            line.close()

    def _play(self, line: Line) -> None:
        if self.trouble == "silent":
            line.listen()
        if self.tls == "implicit":
            line.start_tls()
        if self.trouble == "garbage":
            line.send(b"\x00\xff\x16\x03 what would you like to eat?\r\n" * 3)
            line.listen()
        if self.trouble == "endless_line":
            line.send_endlessly(b"* OK " if self.protocol == "imap" else b"220 ")
        SCRIPTS[self.protocol](line, self.trouble)


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The plain shutdown: an SSLSocket's own would change it under its reader.
        socket.socket.shutdown(line, socket.SHUT_RDWR)
