"""The IMAP server: accepts sessions over TLS."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pymap.context import connection_exit, subsystem

from mailoauth.emulator.imap_session import ImapSession
from mailoauth.emulator.imap_state import Config, State
from mailoauth.emulator.loop import stop_listening
from mailoauth.emulator.records import Connection

if TYPE_CHECKING:
    import socket
    import ssl
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable, Iterable

    from mailoauth.emulator.faults import Faults
    from mailoauth.emulator.mailstore import Mailstore
    from mailoauth.emulator.personality import Personality
    from mailoauth.emulator.signin import Directory

log = logging.getLogger("mailoauth.emulator")

_LINE_LIMIT = 1 << 20


class ImapServer:
    """Accepts IMAP sessions."""

    def __init__(
        self,
        *,
        personality: Personality,
        directory: Directory,
        store: Mailstore,
        faults: Faults,
        connections: list[Connection],
        expire_tokens: Callable[[], None],
    ) -> None:
        self.personality = personality
        self.directory = directory
        self.store = store
        self.faults = faults
        self.expire_tokens = expire_tokens
        self.config = Config()
        self.commands = self.config.commands
        self._connections = connections
        self._servers: list[asyncio.Server] = []
        self._live: set[StreamWriter] = set()

    async def start(self, sockets: Iterable[socket.socket], context: ssl.SSLContext) -> None:
        """Listen."""
        for listener in sockets:
            server = await asyncio.start_server(
                self._serve,
                sock=listener,
                ssl=context,
                limit=_LINE_LIMIT,
                ssl_shutdown_timeout=1.0,
            )
            self._servers.append(server)

    def disconnect(self) -> None:
        """Cut every live session."""
        for writer in tuple(self._live):
            writer.transport.abort()

    async def stop(self) -> None:
        """Stop listening and cut every live session."""
        await stop_listening(self._servers)
        self.disconnect()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        record = Connection("imap", datetime.now(UTC))
        self._connections.append(record)
        self._live.add(writer)
        try:
            async with AsyncExitStack() as stack:
                subsystem.set(self.config.subsystem)
                connection_exit.set(stack)
                session = ImapSession(self, reader, writer, record)
                await session.run(State(self.config, self.personality, self.store))
        except (ConnectionError, EOFError, asyncio.CancelledError):
            pass
        except Exception:
            log.exception("The emulator's IMAP server failed.")
        finally:
            record.open = False
            self._live.discard(writer)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
