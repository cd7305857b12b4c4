"""What tools see of the public verbs: signatures, help, and the type checkers' verdict."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

from mailoauth import AsyncMailbox, AsyncMailSession, Mailbox, Mailer, MailSession

USAGE = Path(__file__).parent / "typing" / "usage.py"


@pytest.mark.parametrize("verb", ["unseen", "search", "mark_seen", "mark_unseen", "flag", "unflag"])
def test_every_colour_shows_the_real_signature(verb: str) -> None:
    real = inspect.signature(getattr(Mailbox, verb))
    for kind in (MailSession, AsyncMailSession, AsyncMailbox):
        assert inspect.signature(getattr(kind, verb)) == real
        assert getattr(kind, verb).__doc__ == getattr(Mailbox, verb).__doc__


def test_send_shows_its_keywords_in_every_colour() -> None:
    for kind in (MailSession, AsyncMailSession, Mailer):
        assert {"to", "subject", "attachments"} <= set(inspect.signature(kind.send).parameters)
        assert "DeliveryUnknown" in pydoc.render_doc(kind.send)


def test_verbs_that_await_are_coroutine_functions() -> None:
    assert inspect.iscoroutinefunction(AsyncMailbox.mark_seen)


def test_mypy_accepts_good_code_and_reports_the_mistakes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(USAGE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=USAGE.parents[2],
    )
    assert done.returncode == 0, done.stdout


def test_pyright_accepts_good_code_and_reports_the_mistakes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyright", str(USAGE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=USAGE.parents[2],
    )
    assert done.returncode == 0, done.stdout
