"""How a run of many messages waits: as servers tell, else longer each time, all together."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_logger = logging.getLogger("mailoauth.mail")

#: Seconds of the first wait where nobody says how long; each next one is twice as long.
FIRST: Final = 2.0
#: Seconds of the longest wait that nobody asked for.
LONGEST: Final = 120.0
#: So much longer, at most, that many clients do not all come back in the same moment.
_JITTER: Final = 0.2
#: Throttled so often in a row, a message is given up; the network lost so often in a row, too.
THROTTLED_AT_MOST: Final = 10
LOST_AT_MOST: Final = 5


class Pace:
    """One run's waiting: who meets trouble sets the pace for all.

    Several connections meet the same trouble at the same time; it counts once, told apart
    by ``epoch``: what began before the last trouble was noted is part of it.
    ``clock`` counts seconds; it and ``sleep`` are given by tests.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        self.epoch = 0
        self.throttled = 0  # times in a row, with no success in between
        self.lost = 0
        self._chance = chance
        self._until = 0.0

    def delay(self, attempt: int, told: float | None = None) -> float:
        """Return the seconds to wait before a repetition, the first being number 1."""
        seconds = min(LONGEST, FIRST * 2 ** min(attempt - 1, 10)) if told is None else told
        return seconds * (1 + _JITTER * self._chance())

    def went_well(self) -> None:
        """Take note that the server has dealt with a message: troubles are over."""
        self.throttled = self.lost = 0

    def was_throttled(self, epoch: int, told: float | None, who: str, code: str) -> None:
        """Let everybody wait, as long as the server told."""
        if epoch == self.epoch:
            self.throttled += 1
        self._pause(
            epoch, self.delay(max(1, self.throttled), told), f"{who}: told to wait ({code})"
        )

    def was_lost(self, epoch: int, who: str) -> bool:
        """Let everybody wait for the network; say whether it is worth another attempt."""
        if epoch == self.epoch:
            self.lost += 1
            if self.lost < LOST_AT_MOST:
                self._pause(epoch, self.delay(self.lost), f"{who}: no connection")
            self.epoch = epoch + 1
        return self.lost < LOST_AT_MOST

    def _pause(self, epoch: int, seconds: float, why: str) -> None:
        if epoch == self.epoch:
            _logger.info("%s: waiting for %.0f seconds", why, seconds)
        self.epoch = max(self.epoch, epoch + 1)
        # Trouble that belongs to a pause already begun makes it longer, never shorter.
        self._until = max(self._until, self.clock() + seconds)

    async def ready(self) -> None:
        """Wait until the pause, if there is one, is over."""
        while (seconds := self._until - self.clock()) > 0:
            await self.sleep(seconds)
