"""Quota: how many messages a minute and recipients a day, counted over all processes."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from mailoauth.errors import ConfigError, ConnectionTimedOut, Throttled
from mailoauth.mail.limits.ledger import Ledger, latest
from mailoauth.mail.limits.meter import Meter
from mailoauth.mail.limits.slots import check_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailoauth.network import Deadline

_MINUTE: Final = 60_000


class Limits(NamedTuple):
    """Messages in any window (milliseconds) and recipients in any day; None is no limit."""

    messages: int | None
    recipients: int | None
    window: int = _MINUTE


class Quota:
    """One account's messages a minute and recipients a day, among all processes of this machine.

    In any 60 seconds no more messages begin than the limit says. That is a sliding window
    and not a token bucket: a full bucket that is filled up all the time lets twice as many go
    in its first minute, which the provider refuses. A day is the last 24 hours, in steps
    of ten minutes.

    Both are counted in a file. If it is lost (removed, or not on the disk when the machine
    lost its power), so is the count: at most one window of messages and one day of recipients
    too many can go. If it is damaged, the window counts as full, the day as empty, and that
    is logged. Where it cannot be written, this process counts for itself, which is said once
    at INFO. When the clock jumps, nobody waits for more than a window longer; after
    a jump ahead what came before may count too short. Without limits no file is touched.
    """

    def __init__(
        self,
        name: str,
        *,
        messages_per_minute: int | None,
        recipients_per_day: int | None,
        folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_name(name)
        self._gate = Gate(
            folder.absolute() / f"{name}.quota",
            Limits(messages_per_minute, recipients_per_day),
            clock,
        )

    async def take(self, recipients: int, deadline: Deadline) -> None:
        """Wait until a message to so many may begin, and count it.

        Raises ``ConnectionTimedOut`` at once where that would be after the deadline,
        ``Throttled`` where the day has no room for so many, with the seconds until it has,
        and ``ConfigError`` where no day ever has. Nothing is counted then, nor on cancelling.
        """
        await self._gate.take(recipients, deadline)

    def left_today(self) -> int | None:
        """Return how many more recipients the day has room for, None without a limit."""
        return self._gate.left_today()


class Gate:
    """Lets messages go as the limits allow, by the ledger in the file."""

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float]) -> None:
        for limit in (limits.messages, limits.recipients):
            if limit is not None and limit < 1:
                raise ConfigError(f"A limit is {limit!r}.", remedy="It is at least 1, or None.")
        self._limits = limits
        self._clock = clock
        self._meter = Meter(path, self._in_doubt)

    async def take(self, recipients: int, deadline: Deadline) -> None:
        """See :meth:`Quota.take`."""
        if self._limits.messages is None and self._limits.recipients is None:
            return
        self._check(recipients)
        attempt = _Attempt(self._limits, recipients, deadline, self._now)
        try:
            pause = await self._meter.change(attempt, deadline)
            while pause > 0:  # others change the file: there is no event to wait for
                await asyncio.sleep(pause)
                pause = await self._meter.change(attempt, deadline)
        except BaseException:
            place = attempt.place
            if place is not None:
                self._meter.change_at_once(lambda ledger: ledger.leave(place))
            raise

    def left_today(self) -> int | None:
        """See :meth:`Quota.left_today`."""
        limit = self._limits.recipients
        if limit is None:
            return None
        ledger = self._meter.read()
        ledger.advance(int(self._now()), self._limits.window)
        return ledger.left(limit)

    def _now(self) -> float:
        return self._clock() * 1000

    def _check(self, recipients: int) -> None:
        limit = self._limits.recipients
        if limit is not None and recipients > limit:
            raise ConfigError(
                f"The message has {recipients} recipients, and the account may send to {limit} a "
                "day: nothing was sent.",
                remedy="Send it to fewer at a time.",
            )

    def _in_doubt(self) -> Ledger:
        return Ledger(begun=[int(self._now())] * (self._limits.messages or 0))


class _Attempt:
    """One message's tries to go; ``place`` is the moment that is kept for it while it waits."""

    def __init__(
        self, limits: Limits, recipients: int, deadline: Deadline, now: Callable[[], float]
    ) -> None:
        self.place: int | None = None
        self._limits = limits
        self._recipients = recipients
        self._deadline = deadline
        self._now = now

    def __call__(self, ledger: Ledger) -> float:
        """Let it begin and return 0, or return for how many seconds to sleep before the next."""
        time_now = self._now()
        now = int(time_now)
        ledger.advance(now, self._limits.window)
        place, self.place = self.place, None
        if place is not None:
            ledger.leave(place)
        self._check_day(ledger, now)
        moment = self._moment(ledger, now, place)
        if moment <= now:
            self._begin(ledger, now)
            return 0.0
        self._check_deadline((moment - time_now) / 1000)
        ahead = moment - latest(now, self._limits.window)
        if ahead > 0:
            # So many wait already that the place is not to be had yet.
            return (ahead + random.uniform(1, 50)) / 1000  # noqa: S311 - no secret
        ledger.places.append(moment)
        self.place = moment
        return (moment - time_now) / 1000

    def _moment(self, ledger: Ledger, now: int, place: int | None) -> int:
        limit, window = self._limits.messages, self._limits.window
        if limit is None:
            return now
        if place is None:
            return ledger.next_moment(now, window, limit)
        if now < place <= latest(now, window):
            return place  # woken early
        return ledger.next_of_right(now, window, limit)

    def _begin(self, ledger: Ledger, now: int) -> None:
        if self._limits.messages is not None:
            ledger.begin(now)
        if self._limits.recipients is not None:
            ledger.send_to(self._recipients, now)

    def _check_day(self, ledger: Ledger, now: int) -> None:
        limit = self._limits.recipients
        if limit is None or self._recipients <= ledger.left(limit):
            return
        wait = ledger.room_after(self._recipients, limit, now) / 1000
        raise Throttled.after(
            f"The account may send to {limit} recipients a day and has sent to "
            f"{limit - ledger.left(limit)}; the message has {self._recipients}: nothing was sent.",
            wait,
            remedy=f"There is room for it in {_in_words(wait)}.",
        )

    def _check_deadline(self, wait: float) -> None:
        remaining = self._deadline.remaining()
        if remaining is not None and wait > remaining:
            raise ConnectionTimedOut(
                f"The account may send {self._limits.messages} messages a minute, and this one's "
                f"turn comes in {wait:.0f} seconds, after the deadline: nothing was sent.",
                remedy="Try again later, or allow more time.",
            )


def _in_words(seconds: float) -> str:
    minutes = int(seconds // 60) + 1
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60 + 1} hours"  # noqa: PLR2004 - two hours
