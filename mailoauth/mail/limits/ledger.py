"""What was sent lately, and what that leaves: numbers only, no clock and no file.

All times are whole milliseconds, so that sums of them are exact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final

#: A rolling day, and the buckets in which it is kept: 144 of them, and the one that ends.
DAY: Final = 24 * 3_600_000
BUCKET: Final = 600_000
#: For so long a place is kept beyond its moment: who has it may wake a little late.
LATE: Final = 1_000


class Damaged(ValueError):
    """The text is not a ledger."""


@dataclass(slots=True)
class Ledger:
    """When messages began, when those who wait may begin, and recipients by bucket of the day."""

    begun: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    recipients: dict[int, int] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes) -> Ledger:
        """Read what :meth:`encode` wrote; raises ``Damaged``."""
        try:
            kept = json.loads(data)
            begun, places, recipients = kept["begun"], kept["places"], kept["recipients"]
            numbers = [*begun, *places, *(number for pair in recipients for number in pair)]
            if not all(type(number) is int for number in numbers):
                raise Damaged("not whole numbers")
            if any(count < 0 for _, count in recipients):
                raise Damaged("fewer than no recipients")
            return cls(sorted(begun), sorted(places), dict(recipients))
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise Damaged(str(exc)) from exc

    def encode(self) -> bytes:
        """Return it as a line of JSON."""
        kept = {
            "begun": self.begun,
            "places": self.places,
            "recipients": list(self.recipients.items()),
        }
        return json.dumps(kept, separators=(",", ":")).encode()

    def advance(self, now: int, window: int) -> None:
        """Forget what counts no longer; what lies in the future, after the clock jumped, is now."""
        # What began in this millisecond is written as its end.
        self.begun = [min(moment, now + 1) for moment in self.begun if moment > now - window]
        late = min(LATE, window)
        self.places = [place for place in self.places if now - late < place <= latest(now, window)]
        today: dict[int, int] = {}
        for bucket, count in self.recipients.items():
            if _end(bucket) > now:
                known = min(bucket, now // BUCKET)
                today[known] = today.get(known, 0) + count
        self.recipients = today

    def next_moment(self, now: int, window: int, limit: int) -> int:
        """Return when one more may begin without being in anybody's way who waits already."""
        return _next(sorted(self.begun + self.places), now, window, limit)

    def next_of_right(self, now: int, window: int, limit: int) -> int:
        """Return when one may begin whose place has come: only what has begun counts."""
        return _next(self.begun, now, window, limit)

    def leave(self, place: int) -> None:
        """Give a place up."""
        if place in self.places:
            self.places.remove(place)

    def left(self, limit: int) -> int:
        """Return for how many more recipients the day has room."""
        return max(0, limit - sum(self.recipients.values()))

    def room_after(self, recipients: int, limit: int, now: int) -> int:
        """Return after how many milliseconds the day has room for so many, at most ``limit``."""
        used, room = sum(self.recipients.values()), 0
        for bucket in sorted(self.recipients):
            if used + recipients <= limit:
                break
            used -= self.recipients[bucket]
            room = _end(bucket) - now
        return room

    def begin(self, now: int) -> None:
        """Write down that a message begins."""
        self.begun.append(now + 1)  # the end of this millisecond: rather too late than too early

    def send_to(self, recipients: int, now: int) -> None:
        """Write down that a message goes to so many."""
        bucket = now // BUCKET
        self.recipients[bucket] = self.recipients.get(bucket, 0) + recipients


def latest(now: int, window: int) -> int:
    """Return the last moment for which a place is kept: when what begins now counts no longer."""
    return now + 1 + window


def _next(moments: list[int], now: int, window: int, limit: int) -> int:
    """Return the first moment from now on that makes no more than ``limit`` in any window."""
    moment = now
    # Every run of `limit` moments in order, and this one: together they must not fit in a window.
    for first, last in zip(moments, moments[limit - 1 :], strict=False):
        # What began in this millisecond is not after this one, though written as its end.
        end = moment if last <= now + 1 else max(last, moment)
        if end - min(first, moment) < window:
            moment = first + window
    return moment


def _end(bucket: int) -> int:
    """Return when the last of a bucket is a day old."""
    return (bucket + 1) * BUCKET + DAY
