"""Protocols that stand before aiosmtplib's own and watch what it does not tell."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from mailoauth.mail.submission.dialogue import Reply, ReplyReader

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class ReplyWatch(_Watch):
    """Reads the replies itself, so that commands can be pipelined; knows what nobody asked for.

    aiosmtplib reads one reply a command, and drops what comes between. It is lent the line
    for commands of its own. Errors are the plain ones: ``TimeoutError``, ``EOFError`` for a
    line that has ended, ``ValueError`` for one on which something other than the replies
    that were due was said.
    """

    def __init__(self, protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
        super().__init__(protocol)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._due = 0
        self._is_lent = False
        self._ended = False
        self._garbled = False
        self._paused = False
        self._waiter: asyncio.Future[bool] | None = None

    @property
    def usable(self) -> bool:
        """Whether the line is up, and nothing was said on it that nobody asked for."""
        return not (self._ended or self._garbled or self._transport.is_closing())

    @property
    def replied(self) -> bool:
        """Whether a reply can be read without waiting."""
        return bool(self._replies)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let aiosmtplib read what comes."""
        self._is_lent = True
        try:
            yield
        finally:
            self._is_lent = False

    def write(self, data: bytes, *, replies: int) -> None:
        """Write what so many replies will answer; nothing is written where this raises."""
        self._check()
        self._due += replies
        self._transport.write(data)

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply."""
        while not self._replies:
            self._check()
            await self._wait(seconds)
        return self._replies.popleft()

    async def drained(self, seconds: float) -> None:
        """Wait until more may be written, a reply is there, or the line has ended."""
        await asyncio.sleep(0)  # a fast line would never let the replies in
        while self._paused and not self._replies:
            self._check()
            await self._wait(seconds)

    def data_received(self, data: bytes) -> None:
        """Read the replies that are due; whoever says more is not listened to any longer."""
        if self._is_lent:
            super().data_received(data)
            return
        if self._garbled:
            return
        replies = self._reader.feed(data)
        taken = replies[: self._due]
        self._replies += taken
        self._due -= len(taken)
        more = len(replies) > len(taken) or (not self._due and self._reader.within)
        if more or self._reader.garbled:
            self._garbled = True
            self._transport.abort()
        if self._replies or self._garbled:
            self._wake()

    def eof_received(self) -> bool | None:
        """Take note that no reply will come any more."""
        self._ended = True
        self._wake()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for what will not happen any more."""
        self._ended = True
        self._wake()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Take note that the other side is slower than we are."""
        self._paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Take note that it has caught up."""
        self._paused = False
        self._wake()
        super().resume_writing()

    def _check(self) -> None:
        if self._garbled:
            raise ValueError("something other than a reply that was due")
        if not self.usable:
            raise EOFError("the line has ended")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    async def _wait(self, seconds: float) -> None:
        # A timer and a future: asyncio.timeout() and wait_for() cost as much as all the rest.
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _expire, waiter)
        try:
            if not await waiter:
                raise TimeoutError
        finally:
            timer.cancel()
            self._waiter = None


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
