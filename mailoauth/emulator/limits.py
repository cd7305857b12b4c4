"""What the submission server allows one user: connections, messages a time, recipients a message."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from mailoauth.emulator.personality import HOST

TOO_MANY_CONNECTIONS = (
    "432 4.3.2 Concurrent connections limit exceeded. Visit "
    f"https://aka.ms/concurrent_sending for more information. [Hostname={HOST}]"
)
TOO_FAST = "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"


@dataclass(slots=True)
class Limits:
    """The limits, None where there is none; ``refused`` has every reply that they caused."""

    refused: list[str] = field(default_factory=list)
    _connections: tuple[int | None, str] = (None, "")
    _messages: tuple[int | None, float, str] = (None, 0.0, "")
    _recipients: tuple[int | None, str] = (None, "")
    _taken: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connections(self, count: int | None, reply: str | None) -> None:
        """Allow each user so many connections that are signed in."""
        self._connections = (count, reply or TOO_MANY_CONNECTIONS)

    def rate(self, messages: int | None, per: float, reply: str | None) -> None:
        """Allow each user so many messages in any stretch of so many seconds."""
        self._messages = (messages, per, reply or TOO_FAST)

    def recipients(self, count: int | None, reply: str | None) -> None:
        """Allow each message so many recipients."""
        self._recipients = (count, reply or TOO_MANY_RECIPIENTS)

    def sign_in(self, live: int) -> str | None:
        """Return the refusal of one more connection of a user who has so many."""
        count, reply = self._connections
        return self._refusal(reply) if count is not None and live >= count else None

    def recipient(self, accepted: int) -> str | None:
        """Return the refusal of one more recipient of a message that has so many."""
        count, reply = self._recipients
        return self._refusal(reply) if count is not None and accepted >= count else None

    def message(self, user: str) -> str | None:
        """Return the refusal of one more message; one that is not refused counts."""
        count, per, reply = self._messages
        if count is None:
            return None
        now = time.monotonic()
        with self._lock:
            taken = self._taken[user]
            while taken and now - taken[0] >= per:
                taken.popleft()
            if len(taken) < count:
                taken.append(now)
                return None
        return self._refusal(reply)

    def _refusal(self, reply: str) -> str:
        self.refused.append(reply)
        return reply
