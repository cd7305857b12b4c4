"""The daily limit of a run: refused at the start where it cannot end, and where it stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError, Throttled
from mailoauth.mail.mailing.attempts import CLOSED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailoauth.mail.mailing.attempts import Item
    from mailoauth.mail.mailing.desk import Submitter
    from mailoauth.mail.mailing.intake import Intake
    from mailoauth.mail.mailing.journal import Journal

#: Messages that are counted before the loop gets its turn.
_AT_ONCE: Final = 200
#: What is not sent in this run, because it was, or may have been.
_NOT_SENT_AGAIN: Final = CLOSED | {"sending", "unknown"}


async def check_day(mailer: Submitter, intake: Intake, journal: Journal | None) -> None:
    """Raise ``ConfigError`` for an input of known size that cannot be sent today."""
    left = mailer.left_today()
    if left is None or not intake.total:
        return
    needed = await _needed(intake, journal)
    if needed > left:
        raise ConfigError(
            f"There are {needed:,} recipients, and {left:,} are left for today of what "
            f"{mailer.address} may send in a day. Nothing was sent.",
            remedy=f"Send to {left:,} of them now and to the rest when the day is over; or give a "
            "generator and a journal: that stops at the limit and can be continued.",
            account=mailer.account.name,
        )


async def _needed(intake: Intake, journal: Journal | None) -> int:
    """Return how many recipients are still to be sent to; at least one a message."""
    if not intake.countable:
        return intake.total or 0
    needed = 0
    counts: list[tuple[str, int]] = []
    for each in intake.counted():
        counts.append(each)
        if len(counts) == _AT_ONCE:
            needed += await _open_among(counts, journal)
            counts = []
    return needed + await _open_among(counts, journal)


async def _open_among(counts: list[tuple[str, int]], journal: Journal | None) -> int:
    await asyncio.sleep(0)
    states = {} if journal is None else await journal.states([key for key, _ in counts])
    return sum(number for key, number in counts if states.get(key) not in _NOT_SENT_AGAIN)


def stopped(error: BaseException, sent: int, unsent: Iterable[Item]) -> BaseException:
    """Return the error that ends a run at the limit, with the place where it ended."""
    if not isinstance(error, Throttled):
        return error
    first, *others = sorted(unsent, key=lambda item: item.position)
    where = f"message {first.position} ({first.key})"
    if others:
        listed = ", ".join(f"{item.position} ({item.key})" for item in others)
        where += f"; of those after it, these were not sent either: {listed}"
    result = Throttled.after(
        f"{error.message} This run sent {sent:,} messages and stopped at {where}.",
        error.retry_after,
        code=error.code,
        text=error.text,
        diagnosis=error.diagnosis,
        remedy=error.remedy,
        account=error.account,
    )
    result.__cause__ = error
    return result
