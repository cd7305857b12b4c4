"""An IMAP server that says what a test tells it to: for answers that no real one gives."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self

from mailoauth import Account, Provider, StaticToken
from mailoauth.accounts import Endpoint
from mailoauth.mail.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from mailoauth.emulator.certificates import Certificates

ADA = "ada@example.com"
CAPABILITIES = "IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE LITERAL+ NAMESPACE"


_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")


def plain(command: str) -> tuple[bytes, str | None] | None:
    """Answer as an empty mailbox does."""
    if command.startswith("SELECT"):
        return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] .\r\n", "OK [READ-WRITE] done"
    if command.startswith("UID SEARCH"):
        return b"* SEARCH\r\n", "OK done"
    if command.startswith("LOGOUT"):
        return b"* BYE\r\n", "OK done"
    if command.startswith("CAPABILITY"):
        return f"* CAPABILITY {CAPABILITIES}\r\n".encode(), "OK done"
    return b"", "OK done"


class ScriptedImap:
    """A server on loopback with TLS, which takes any token; a context manager.

    ``commands`` is what it was told, literals included, in the order of their coming;
    ``connections`` how often somebody came.
    """

    def __init__(
        self,
        certificates: Certificates,
        script: Callable[[str], tuple[bytes, str | None] | None] = plain,
        *,
        capabilities: str = CAPABILITIES,
    ) -> None:
        self.commands: list[str] = []
        self.connections = 0
        self._certificates = certificates
        self._script = script
        self._capabilities = capabilities
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.chain_file, certificates.key_file)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing alone would leave accept() waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def mailbox(
        self, *, timeout: float = 3.0, deadline: float | None = None, port: int | None = None
    ) -> Mailbox:
        """Return Ada's mailbox on this server, or on another of this machine's ports."""
        provider = Provider(
            name="scripted",
            oauth="microsoft",
            authority="https://localhost/common",
            scopes=("scope",),
            imap=Endpoint("localhost", port or self._listener.getsockname()[1], "implicit"),
            ca_file=self._certificates.ca_file,
        )
        account = Account(name=ADA, user=ADA, provider=provider, client_id="client")
        return Mailbox(account, tokens=StaticToken("token"), timeout=timeout, deadline=deadline)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain_line, _ = self._listener.accept()
                self.connections += 1
                self._start(lambda line=plain_line: self._serve(line))  # type: ignore[misc] # bound now

    def _serve(self, plain_line: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), plain_line:
            line = self._context.wrap_socket(plain_line, server_side=True)
            self._open.append(line)
            with line:
                line.sendall(f"* OK [CAPABILITY {self._capabilities}] ready\r\n".encode())
                with line.makefile("rb") as reader:
                    while self._answer(line, reader.readline, reader.read):
                        pass

    def _answer(
        self, line: ssl.SSLSocket, readline: Callable[[], bytes], read: Callable[[int], bytes]
    ) -> bool:
        command = readline()
        if not command.endswith(b"\r\n"):
            return False
        while found := _LITERAL.search(command):
            if not found[2]:
                line.sendall(b"+ go on\r\n")
            command += read(int(found[1])) + readline()
        tag, _, rest = command.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
        if rest.startswith("AUTHENTICATE"):
            line.sendall(f"{tag} OK [CAPABILITY {self._capabilities}] signed in\r\n".encode())
            return True
        self.commands.append(rest)
        answer = self._script(rest)
        if answer is None:
            return False
        before, reply = answer
        line.sendall(before + (f"{tag} {reply}\r\n".encode() if reply is not None else b""))
        return True
