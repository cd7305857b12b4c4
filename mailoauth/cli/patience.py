"""`--retry-for`: waits out what passes by itself."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from mailoauth.cli import exits, screen, stopping
from mailoauth.errors import MailOAuthError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_logger = logging.getLogger("mailoauth.cli")

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
    so that many jobs that failed together do not come back together. The last failure
    says how often it was tried.
    """
    start = clock()
    pause = _FIRST_PAUSE
    tries = 0
    while True:
        try:
            return action()
        except MailOAuthError as error:
            tries += 1
            asked = _asked_for(error)
            wait = asked or pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            if exits.code_of(error) not in exits.PASSING or not seconds:
                raise
            elapsed = clock() - start
            if elapsed + wait > seconds:
                error.message = " ".join(
                    [error.message, *_given_up(tries, elapsed, asked, seconds)]
                )
                raise
            # Without a terminal nothing is wrong yet: only the log of -v has it.
            screen.talk(f"mailoauth: {error.message} Trying again in {wait:.0f} s.")
            _logger.info("%s Trying again in %.0f s.", error.message, wait)
            stopping.check()
            sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _given_up(tries: int, elapsed: float, asked: float | None, seconds: float) -> list[str]:
    said = []
    if asked:
        said.append(
            f"The server asks to wait for {asked:.0f} s, and --retry-for ends after {seconds:.0f} s."
        )
    if tries > 1:
        said.append(f"It was tried {tries} times in {elapsed:.0f} s.")
    return said


def _asked_for(error: MailOAuthError) -> float | None:
    diagnosis = getattr(error, "diagnosis", None)
    asked: float | None = getattr(error, "retry_after", None)
    return asked or (diagnosis.retry_after if diagnosis is not None else None)
