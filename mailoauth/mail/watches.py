"""Protocols that stand before aiosmtplib's own and watch what it does not tell."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

#: aiosmtplib takes no longer reply than this either.
_LONGEST_REPLY: Final = 32 * 1024


# RFC 5321 section 4.2.1: lines of a reply go on with "-" behind the code, the last one does not.
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?:[ \t][^\n]*)?\r?\n")


class _Watch(asyncio.Protocol):
    """Passes everything on to the protocol behind it."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._protocol.data_received(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class PlaintextWatch(_Watch):
    """Keeps the clear text that comes while STARTTLS is answered.

    Bytes between the answer and TLS show that somebody put them there.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._received = bytearray()

    @property
    def exactly_one_reply(self) -> bool:
        """Whether what came is one whole reply, of one line or several, and not a byte more."""
        return _REPLY.fullmatch(self._received) is not None

    def data_received(self, data: bytes) -> None:
        """Keep the data, as much as tells, and pass it on."""
        if len(self._received) <= _LONGEST_REPLY:
            self._received += data
        super().data_received(data)


class FlowWatch(_Watch):
    """Knows when what was written has gone out, so that a long message is bounded step by step."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._writable = asyncio.Event()
        self._writable.set()

    async def drained(self, seconds: float) -> None:
        """Wait until more may be written, or the connection is lost; ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            await self._writable.wait()

    def pause_writing(self) -> None:
        """Take note that the other side is slower than we are."""
        self._writable.clear()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Take note that it has caught up."""
        self._writable.set()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for what will not happen any more."""
        self._writable.set()
        super().connection_lost(exc)
