"""A submission server that says what a test tells it to: for answers that no real one gives."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from mailoauth import Account, Provider
from mailoauth.accounts import Endpoint
from mailoauth.mail.parcel import Parcel
from mailoauth.mail.smtp import SubmissionConnection
from mailoauth.network import Deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from mailoauth.emulator.certificates import Certificates

ADA: Final = "ada@example.com"

#: How replies come: all in one packet, one a packet, or every byte by itself.
Delivery = Literal["together", "one by one", "bytes"]
DELIVERIES: Final[tuple[Delivery, ...]] = ("together", "one by one", "bytes")

EXTENSIONS: Final = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8")
_SECONDS: Final = 30.0
_EARLY: Final = 100_000


class Say(NamedTuple):
    """An answer, and what follows it: the line's end, no other answer, not even reading."""

    text: bytes
    close: bool = False
    mute: bool = False
    deaf: bool = False


HANG_UP: Final = Say(b"", close=True)
NOTHING: Final = Say(b"")

_POLITE: Final = {
    "EHLO": b"250 hello\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 sender ok\r\n",
    "RCPT": b"250 2.1.5 recipient ok\r\n",
    "DATA": b"354 go on\r\n",
    ".": b"250 2.0.0 taken\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}


class ScriptedSmtp:
    """A server on loopback with TLS, which takes any token; a context manager.

    ``commands`` is what it was told after AUTH; ``turns`` the same as it came, one tuple for
    what arrived at once. ``messages`` are those that were ended, dots undone.
    """

    def __init__(
        self,
        certificates: Certificates,
        *,
        extensions: tuple[str, ...] = EXTENSIONS,
        delivery: Delivery = "together",
    ) -> None:
        self.turns: list[tuple[str, ...]] = []
        self.messages: list[bytes] = []
        self.received = 0
        self.connections = 0
        self._certificates = certificates
        self._extensions = extensions
        self._delivery = delivery
        self._answers: dict[str, deque[Say]] = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.chain_file, certificates.key_file)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[ssl.SSLSocket] = []
        self._ended = threading.Event()
        # TLS is for one thread at a time, so that the line's own says what a test wants said.
        self._bells: list[socket.socket] = []
        self._unasked: deque[Say] = deque()
        self._threads: list[threading.Thread] = []

    @property
    def pipelines(self) -> bool:
        """Whether it offers PIPELINING."""
        return "PIPELINING" in self._extensions

    @property
    def lines(self) -> int:
        """How many connections are up."""
        return len(self._bells)

    @property
    def commands(self) -> list[str]:
        """Every command after AUTH, in the order of their coming."""
        return [command for turn in self.turns for command in turn]

    @property
    def account(self) -> Account:
        """Ada's account on this server."""
        provider = Provider(
            name="scripted",
            oauth="microsoft",
            authority="https://localhost/common",
            scopes=("scope",),
            smtp=Endpoint("localhost", self._listener.getsockname()[1], "implicit"),
            ca_file=self._certificates.ca_file,
        )
        return Account(name=ADA, user=ADA, provider=provider, client_id="client")

    def on(self, command: str, *answers: bytes | Say) -> None:
        """Give these answers, in turn, to commands that begin so.

        "." is a message's end, and "..." its middle, after 100 kB.
        """
        said = (Say(one) if isinstance(one, bytes) else one for one in answers)
        self._answers.setdefault(command, deque()).extend(said)

    def say(self, text: bytes, *, close: bool = False) -> None:
        """Say something that nobody asked for, on every line."""
        for bell in list(self._bells):
            self._unasked.append(Say(text, close))
            bell.send(b"!")

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # Closing alone would leave accept() waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in list(self._open):
            _shut(line)
        for thread in self._threads:
            thread.join(5)

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
        with contextlib.suppress(OSError), plain_line:
            plain_line.settimeout(_SECONDS)
            plain_line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(plain_line, server_side=True) as line:
                self._open.append(line)
                bell, rung = socket.socketpair()
                with bell, rung:
                    self._bells.append(bell)
                    try:
                        self._talk(line, rung)
                    finally:
                        self._bells.remove(bell)

    def _talk(self, line: ssl.SSLSocket, rung: socket.socket) -> None:
        line.sendall(b"220 localhost ready\r\n")
        unread, in_message = b"", False
        while data := self._listen(line, rung):
            self.received += len(data)
            unread += data
            turn: list[str] = []
            answers: list[Say] = []
            while found := _next(unread, in_message=in_message):
                command, unread = found
                if in_message:
                    self.messages.append(command)
                    answers.append(self._answer("."))
                    in_message = False
                    continue
                words = command.decode()
                answers.append(self._answer(words))
                in_message = words == "DATA" and answers[-1].text.startswith(b"354")
                turn.append(words)
            if turn and not turn[0].startswith(("EHLO", "AUTH")):
                self.turns.append(tuple(turn))
            if in_message and len(unread) > _EARLY and self._answers.get("..."):
                answers.append(self._answer("..."))
            if not self._send(line, answers):
                return

    def _listen(self, line: ssl.SSLSocket, rung: socket.socket) -> bytes:
        while not line.pending():
            ready, _, _ = select.select([line, rung], [], [], _SECONDS)
            if rung not in ready:
                break
            rung.recv(1)
            unasked = self._unasked.popleft()
            line.sendall(unasked.text)
            if unasked.close:
                _shut(line)
        return line.recv(65_536)

    def _answer(self, command: str) -> Say:
        for beginning, answers in self._answers.items():
            if command.startswith(beginning) and answers:
                return answers.popleft()
        if command.startswith("EHLO"):
            lines = ("localhost", "AUTH XOAUTH2", *self._extensions)
            said = [f"250{'-' if one is not lines[-1] else ' '}{one}\r\n" for one in lines]
            return Say("".join(said).encode())
        return Say(_POLITE.get(command.partition(" ")[0], b"250 2.0.0 done\r\n"))

    def _send(self, line: ssl.SSLSocket, answers: list[Say]) -> bool:
        last = next(
            (index for index, one in enumerate(answers) if one.close or one.mute or one.deaf), None
        )
        answers = answers[: None if last is None else last + 1]
        texts = [one.text for one in answers]
        whole = b"".join(texts)
        if self._delivery == "together":
            texts = [whole]
        elif self._delivery == "bytes":
            texts = [whole[index : index + 1] for index in range(len(whole))]
        for text in filter(None, texts):
            line.sendall(text)
        if answers and answers[-1].close:
            _shut(line)
        elif answers and answers[-1].deaf:
            self._ended.wait(_SECONDS)
        elif last is not None:
            while line.recv(65_536):
                pass
        return last is None


def _next(unread: bytes, *, in_message: bool) -> tuple[bytes, bytes] | None:
    """Return the next command, or the whole message, and what follows it."""
    if not in_message:
        command, end, rest = unread.partition(b"\r\n")
        return (command, rest) if end else None
    if unread.startswith(b".\r\n"):
        return b"", unread[3:]
    message, end, rest = unread.partition(b"\r\n.\r\n")
    if not end:
        return None
    return re.sub(rb"(?m)^\.", b"", message + b"\r\n"), rest


def _shut(line: ssl.SSLSocket) -> None:
    with contextlib.suppress(OSError):
        # The plain shutdown: an SSLSocket's own would change it under its reader.
        socket.socket.shutdown(line, socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def connected(
    server: ScriptedSmtp, *, patience: float = 5.0
) -> AsyncIterator[SubmissionConnection]:
    """Sign in, and say goodbye in the end."""
    connection = SubmissionConnection(server.account, timeout=patience, deadline=Deadline(None))
    await connection.connect()
    await connection.sign_in("xoauth2", ADA, "token")
    try:
        yield connection
    finally:
        await connection.quit()


def parcel(
    *recipients: str, subject: str = "first", data: bytes = b"", sender: str = ADA
) -> Parcel:
    """Return a small message, for Bob unless somebody else is named."""
    return Parcel(
        sender=sender,
        recipients=recipients or ("bob@example.com",),
        data=data or f"Subject: {subject}\r\n\r\n.a dot\r\n".encode(),
        message_id=f"<{subject}@example.com>",
    )
