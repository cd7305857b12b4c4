"""PlaintextWatch: notices bytes that somebody put between the answer to STARTTLS and TLS."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

#: aiosmtplib takes no longer reply than this either.
_LONGEST_REPLY: Final = 32 * 1024


# RFC 5321 section 4.2.1: lines of a reply go on with "-" behind the code, the last one does not.
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?:[ \t][^\n]*)?\r?\n")


class PlaintextWatch(asyncio.Protocol):
    """Stands before aiosmtplib's protocol while STARTTLS is answered, and keeps the clear text."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self._received = bytearray()

    @property
    def exactly_one_reply(self) -> bool:
        """Whether what came is one whole reply, of one line or several, and not a byte more."""
        return _REPLY.fullmatch(self._received) is not None

    def data_received(self, data: bytes) -> None:
        """Keep the data, as much as tells, and pass it on."""
        if len(self._received) <= _LONGEST_REPLY:
            self._received += data
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
