"""Who has a mailbox and who may send as whom, as a lookup table that Postfix asks."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Directory:
    """A socketmap server (socketmap_table(5)): netstrings ``name SP key`` in, ``OK value`` out.

    A table that is asked each time lets tests add users while Postfix runs;
    its file tables are read again only by the next process.
    """

    def __init__(self, lookup: Callable[[str, str], str | None]) -> None:
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.lookup = lookup
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def table(self) -> str:
        """The table's name in main.cf, without the map's name at its end."""
        return f"socketmap:inet:127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    lookup: Callable[[str, str], str | None]


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while request := self._read():
                name, _, key = request.partition(" ")
                value = self.server.lookup(name, key)
                self._write(f"OK {value}" if value else "NOTFOUND ")

    def _read(self) -> str:
        size = b""
        while (byte := self.rfile.read(1)) != b":":
            if not byte:
                return ""
            size += byte
        text = self.rfile.read(int(size))
        self.rfile.read(1)
        return text.decode()

    def _write(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%d:%b," % (len(data), data))
