"""`--retry-for`: what is waited out, how long, and what is not."""

from __future__ import annotations

import pytest

from mailoauth import errors
from mailoauth.cli import main
from mailoauth.cli.commands import duration
from mailoauth.cli.patience import patiently


class Waiting:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def fail(failures: list[errors.MailOAuthError]) -> str:
    if failures:
        raise failures.pop(0)
    return "done"


def test_patience_waits_as_long_as_the_server_asks() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.Throttled.after("busy", 40.0)]
    result = patiently(lambda: fail(failures), 60, clock=waiting.clock, sleep=waiting.sleep)
    assert (result, waiting.naps) == ("done", [40.0])


def test_patience_ends_where_the_wait_would_pass_the_end() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.Throttled.after("busy", 61.0)]
    with pytest.raises(errors.Throttled):
        patiently(lambda: fail(failures), 60, clock=waiting.clock, sleep=waiting.sleep)
    assert waiting.naps == []


def test_patience_waits_longer_each_time() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.ConnectionFailed("away") for _ in range(6)]
    assert (
        patiently(lambda: fail(failures), 600, clock=waiting.clock, sleep=waiting.sleep) == "done"
    )
    assert all(2 ** (n + 1) / 2 <= nap <= 2 ** (n + 1) for n, nap in enumerate(waiting.naps))


def test_patience_waits_for_nothing_that_does_not_pass() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.OutcomeUnknown("lost")]
    with pytest.raises(errors.OutcomeUnknown):
        patiently(lambda: fail(failures), 600, clock=waiting.clock, sleep=waiting.sleep)
    assert waiting.naps == []


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("1.5h", 5400), ("7", 7)])
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-1s", "1w", "10 minutes", "nan"])
def test_what_is_no_duration_is_wrong_use(text: str) -> None:
    assert main(["fetch", "ada@example.com", f"--retry-for={text}"]) == 2
