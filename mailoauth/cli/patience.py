"""`--retry-for`: waits out what passes by itself."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from mailoauth.cli import exits, screen
from mailoauth.errors import MailOAuthError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 120.0


def patiently(
    action: Callable[[], T],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Act, and act again while the failure may pass by itself, for so many seconds in all.

    Waits as long as the server asks; else longer each time, by chance a little less,
    so that many jobs that failed together do not come back together.
    """
    end = clock() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return action()
        except MailOAuthError as error:
            wait = _asked_for(error) or pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            if exits.code_of(error) not in exits.PASSING or clock() + wait > end:
                raise
            screen.warn(f"mailoauth: {error.message} Trying again in {wait:.0f} s.")
            sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _asked_for(error: MailOAuthError) -> float | None:
    diagnosis = getattr(error, "diagnosis", None)
    asked: float | None = getattr(error, "retry_after", None)
    return asked or (diagnosis.retry_after if diagnosis is not None else None)
