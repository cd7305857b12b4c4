"""PlaintextCounter: notices bytes that somebody put between the answer to STARTTLS and TLS."""

from __future__ import annotations

import asyncio
from typing import Any


class PlaintextCounter(asyncio.Protocol):
    """Stands before aiosmtplib's protocol while STARTTLS is answered, and counts reply lines."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self.replies = 0

    def data_received(self, data: bytes) -> None:
        """Count the lines and pass the data on."""
        self.replies += data.count(b"\n")
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
