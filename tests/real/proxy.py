"""A line that breaks on command: a TCP proxy in front of a real server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Self

from mailoauth.accounts import Endpoint
from mailoauth.emulator.records import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mailoauth.accounts import Tls
    from mailoauth.emulator.records import Protocol

Side = Literal["client", "server"]


class FaultProxy:
    """Forwards ``localhost:port`` to a server, and cuts, stalls or delays it when told.

    TLS goes through untouched, so the client still sees the server's certificate
    for ``localhost``. ``history`` has every connection since the start,
    ``sent`` the bytes that each side has sent. Set ``delay`` (seconds) to hold
    back every piece that long. Methods may be called from any thread.
    """

    def __init__(self, target_host: str, target_port: int, *, protocol: Protocol = "imap") -> None:
        self._protocol: Protocol = protocol
        self.history: list[Connection] = []
        self.delay = 0.0
        self.sent: dict[Side, int] = {"client": 0, "server": 0}
        self._target = (target_host, target_port)
        self._change = threading.Condition()
        self._stalled: set[Side] = set()
        self._limits: dict[Side, int] = {}
        self._refusing = False
        self._closed = False
        self._lines: set[_Line] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """Where clients connect to, on localhost."""
        port: int = self._listener.getsockname()[1]
        return port

    def endpoint(self, tls: Tls) -> Endpoint:
        """Return where clients go that are to go through here."""
        return Endpoint("localhost", self.port, tls)

    @property
    def connections(self) -> int:
        """How many connections were accepted since the start."""
        return len(self.history)

    @property
    def open_connections(self) -> int:
        """How many connections are up just now."""
        with self._change:
            return len(self._lines)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._change:
            self._closed = True
        # A connection of our own wakes the thread from accept() on every system.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()
        self.cut()
        with self._change:
            self._change.wait_for(lambda: not self._lines, 5)

    def cut(self, *, reset: bool = False) -> None:
        """End every connection that is up: an end of file, or with ``reset`` an RST."""
        with self._change:
            lines = list(self._lines)
        for line in lines:
            self._end(line, reset=reset)

    def cut_after(self, count: int, side: Side) -> None:
        """End the next connection once ``count`` bytes of ``side`` went through it; once."""
        with self._change:
            self._limits[side] = count

    def stall(self, side: Side | None = None) -> None:
        """Forward nothing more from ``side``, from both where none is named; lines stay up."""
        with self._change:
            self._stalled |= {side} if side else {"client", "server"}

    def resume(self) -> None:
        """Do everything right again: forward what was held back, forget all orders."""
        with self._change:
            self._stalled.clear()
            self._limits.clear()
            self._refusing = False
            self.delay = 0.0
            self._change.notify_all()

    def refuse(self) -> None:
        """Close every new connection at once, until ``resume``."""
        with self._change:
            self._refusing = True

    def wait_for(self, side: Side, count: int, timeout: float = 10.0) -> None:
        """Wait until ``side`` has sent ``count`` bytes in all; raises ``TimeoutError``."""
        with self._change:
            if not self._change.wait_for(lambda: self.sent[side] >= count, timeout):
                raise TimeoutError(f"The {side} sent {self.sent[side]} bytes, not {count}.")

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with self._change:
                if self._closed:
                    client.close()
                    return
                connection = Connection(self._protocol, datetime.now(UTC))
                self.history.append(connection)
                refusing, limits, self._limits = self._refusing, self._limits, {}
            if refusing or not self._connect(client, limits, connection):
                connection.open = False
                client.close()

    def _connect(
        self, client: socket.socket, limits: dict[Side, int], connection: Connection
    ) -> bool:
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            return False
        server.settimeout(None)
        line = _Line(client, server, limits, connection)
        with self._change:
            self._lines.add(line)
        threading.Thread(target=self._carry, args=(line,), daemon=True).start()
        return True

    def _carry(self, line: _Line) -> None:
        """Serve one connection until either side ends it, then close both sockets."""
        back = threading.Thread(target=self._pump, args=(line, "server"), daemon=True)
        back.start()
        self._pump(line, "client")
        back.join()
        line.close()
        with self._change:
            line.connection.open = False
            self._lines.discard(line)
            self._change.notify_all()

    def _pump(self, line: _Line, side: Side) -> None:
        """Carry what ``side`` sends to the other one."""
        other: Side = "server" if side == "client" else "client"
        with contextlib.suppress(OSError):
            for data in line.read(side):
                with self._change:
                    self.sent[side] += len(data)
                    self._change.notify_all()
                    self._change.wait_for(lambda: side not in self._stalled or line.ended)
                time.sleep(self.delay)
                line.sockets[other].sendall(data)
        self._end(line)

    def _end(self, line: _Line, *, reset: bool = False) -> None:
        with self._change:
            line.end(reset=reset)
            self._change.notify_all()


class _Line:
    """One connection: its two sockets, and how much may go through it."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        limits: dict[Side, int],
        connection: Connection,
    ) -> None:
        self.connection = connection
        self.sockets: dict[Side, socket.socket] = {"client": client, "server": server}
        self.ended = False
        self._limits = limits
        for end in self.sockets.values():
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, side: Side) -> Iterator[bytes]:
        """Give what ``side`` sends, up to its limit."""
        left = self._limits.get(side)
        while left is None or left > 0:
            data = self.sockets[side].recv(65536 if left is None else min(left, 65536))
            if not data:
                return
            if left is not None:
                left -= len(data)
            yield data

    def end(self, *, reset: bool) -> None:
        """Wake the threads that read; only the first call says in which way it ends."""
        if self.ended:
            return
        self.ended = True
        for end in self.sockets.values():
            if reset:
                # Linger 0: the close() that follows sends an RST instead of a FIN.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the sockets back; nobody may be reading any more."""
        for end in self.sockets.values():
            end.close()
