"""A long line: a proxy that holds back every byte as far away as the server is said to be.

The proxy of the fault tests waits for each piece before it takes the next, which makes the
line narrow as well as long; here pieces travel one behind the other.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

#: Pieces of up to 64 KiB that may be on their way; a receiver that is slow stops the sender.
_ON_THE_WAY = 256


class LongLine:
    """Forwards ``localhost:port`` to a local port, ``delay`` seconds later each way."""

    def __init__(self, target_port: int, delay: float) -> None:
        self._target_port = target_port
        self._delay = delay
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

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
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed:
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry one direction; a second thread takes the pieces in, so that they overlap."""
        way: queue.Queue[tuple[float, bytes]] = queue.Queue(_ON_THE_WAY)
        threading.Thread(target=self._take_in, args=(source, way), daemon=True).start()
        given_up = False
        while True:
            due, data = way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            try:
                if not given_up:
                    sink.sendall(data)
            except OSError:
                given_up = True  # and take the rest, or the other thread would wait for ever
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _take_in(self, source: socket.socket, way: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"?"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            way.put((time.monotonic() + self._delay, data))
