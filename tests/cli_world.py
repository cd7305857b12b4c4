"""What the tests of the command line share: an emulator with ada's account in a home of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth import save_account, sign_in
from mailoauth.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from mailoauth.emulator import OutlookEmulator

ADA = "ada@example.com"
ROOT = Path(__file__).parent.parent

MAIL = b"""\
From: Ann Lee <ann@example.org>\r
To: ada@example.com\r
Subject: Hello\r
Date: Fri, 02 Jan 2026 03:04:05 +0100\r
Message-ID: <one@example.org>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
Hello, Ada.\r
--b\r
Content-Type: application/pdf; name=plan.pdf\r
Content-Disposition: attachment; filename=plan.pdf\r
\r
a plan\r
--b--\r
"""


class Terminal(io.StringIO):
    """A terminal that keeps what is shown; ``act`` is what somebody does who reads it."""

    def __init__(
        self, act: Callable[[str], object] = lambda _text: None, *, attached: bool = True
    ) -> None:
        super().__init__()
        self._act = act
        self._attached = attached

    def isatty(self) -> bool:
        return self._attached

    def write(self, text: str) -> int:
        count = super().write(text)
        self._act(self.getvalue())
        return count


class Typing(io.StringIO):
    """A stdin on which a person answers when asked; ``terminal`` says where."""

    def __init__(self, answer: Callable[[], str], *, terminal: bool = False) -> None:
        super().__init__()
        self._answer = answer
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def readline(self, _size: int | None = -1) -> str:  # type: ignore[override]  # enough of it
        return self._answer() + "\n"


class World:
    """One emulator, ada's signed-in account, and the command line in front of both."""

    def __init__(self, emulator: OutlookEmulator, capsys: pytest.CaptureFixture[str]) -> None:
        self.emulator = emulator
        self._capsys = capsys
        emulator.add_user(ADA)

    def sign_in(self) -> None:
        """Do what `mailoauth login` would."""
        account = self.emulator.account(ADA)
        sign_in(account, open_url=self.emulator.browser)
        save_account(account)

    def run(self, *argv: str) -> Outcome:
        """Run the command line in this process."""
        self._capsys.readouterr()
        code = main(argv)
        printed = self._capsys.readouterr()
        return Outcome(code, printed.out, printed.err)


class Outcome:
    """What a run came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"Outcome({self.code}, {self.out!r}, {self.err!r})"

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment_of(settings: dict[str, str | None] | None = None) -> dict[str, str]:
    """Return what a process of our own is started with; a setting of None is taken away."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name, value in (settings or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return environment


def start_process(*argv: str, before: str = "") -> subprocess.Popen[str]:
    """Start the command line in a process of its own, after some statements of Python."""
    code = f"{before}\nimport sys\nfrom mailoauth.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        env=environment_of(),
        text=True,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end_of(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a process to end and return what it came to."""
    out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out, err)


def run_process(
    *argv: str, settings: dict[str, str | None] | None = None, **options: Any
) -> Outcome:
    """Run the command line in a process of its own and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-m", "mailoauth", *argv],
        env=environment_of(settings),
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
    return Outcome(done.returncode, done.stdout or "", done.stderr or "")
