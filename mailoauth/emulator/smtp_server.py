"""The submission server: listens, and knows its sessions."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from mailoauth.emulator.loop import stop_listening
from mailoauth.emulator.smtp import SmtpSession

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable

    from mailoauth.emulator.faults import Faults
    from mailoauth.emulator.limits import Limits
    from mailoauth.emulator.personality import Personality
    from mailoauth.emulator.post import PostOffice
    from mailoauth.emulator.records import Connection
    from mailoauth.emulator.signin import Directory

_STRICT_LINE = 512  # RFC 5321 section 4.5.3.1.4, with CRLF


class SmtpServer:
    """Accepts submission sessions."""

    def __init__(
        self,
        *,
        personality: Personality,
        directory: Directory,
        post: PostOffice,
        faults: Faults,
        limits: Limits,
        connections: list[Connection],
        strict_auth_line: bool | int,
    ) -> None:
        self.personality = personality
        self.directory = directory
        self.post = post
        self.faults = faults
        self.limits = limits
        self.longest_auth_line = _STRICT_LINE if strict_auth_line is True else int(strict_auth_line)
        self.connections = connections
        self.live: set[SmtpSession] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Iterable[socket.socket], context: ssl.SSLContext) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        for listener in sockets:
            server = await loop.create_server(
                partial(SmtpSession, self, context, loop), sock=listener
            )
            self._servers.append(server)

    def signed_in(self, mailbox: str) -> int:
        """Return how many live sessions are signed in to the mailbox."""
        sessions = tuple(self.live)
        return sum(bool(one.signed_in and one.signed_in.mailbox == mailbox) for one in sessions)

    def disconnect(self) -> None:
        """Cut every live session."""
        for session in tuple(self.live):
            session.cut()

    async def stop(self) -> None:
        """Stop listening and cut every live session."""
        await stop_listening(self._servers)
        self.disconnect()
