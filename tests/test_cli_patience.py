"""`--retry-for`: what is waited out, how long, and what is not."""

from __future__ import annotations

import sys

import pytest

from mailoauth import errors
from mailoauth.cli import main
from mailoauth.cli.commands import duration
from mailoauth.cli.patience import patiently
from tests.cli_world import Terminal


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


def test_a_wait_that_is_longer_than_patience_is_said_with_both() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.Throttled.after("Busy.", 92.0)]
    with pytest.raises(
        errors.Throttled, match=r"Busy\. .*wait for 92 s.*ends after 20 s"
    ) as caught:
        patiently(lambda: fail(failures), 20, clock=waiting.clock, sleep=waiting.sleep)
    assert "tried" not in str(caught.value)


def test_the_last_failure_says_how_often_and_how_long_it_was_tried() -> None:
    waiting = Waiting()
    failures: list[errors.MailOAuthError] = [errors.ConnectionFailed("Away.") for _ in range(99)]
    with pytest.raises(errors.ConnectionFailed) as caught:
        patiently(lambda: fail(failures), 60, clock=waiting.clock, sleep=waiting.sleep)
    tries = 99 - len(failures)
    assert tries > 2
    assert str(caught.value) == f"Away. It was tried {tries} times in {waiting.now:.0f} s."


def test_without_patience_nothing_is_said_of_it() -> None:
    failures: list[errors.MailOAuthError] = [errors.Throttled.after("Busy.", 92.0)]
    with pytest.raises(errors.Throttled) as caught:
        patiently(lambda: fail(failures), 0)
    assert str(caught.value) == "Busy."


def test_only_a_terminal_is_told_that_it_is_tried_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, terminal = Waiting(), Terminal()
    failures: list[errors.MailOAuthError] = [errors.ConnectionFailed("Away.")]
    for _ in range(2):
        patiently(lambda: fail(failures), 60, clock=waiting.clock, sleep=waiting.sleep)
        monkeypatch.setattr(sys, "stderr", terminal)
        failures.append(errors.ConnectionFailed("Away."))
    assert capsys.readouterr().err == ""
    assert terminal.getvalue().count("Trying again in") == 1


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
