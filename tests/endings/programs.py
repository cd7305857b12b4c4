"""Running the programs of this folder: what they say, how they end, what the servers saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailoauth.emulator.faults import Silent

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

    from mailoauth.emulator import OutlookEmulator
    from tests.judges import Judge, Wire

ADA = "ada@example.com"
ROOT = Path(__file__).parent.parent.parent

#: Seconds: generous, for a loaded machine, but far below any time-out of the programs.
PROMPT = 12.0


class Program:
    """One of the programs, running; what it says is kept line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.errors = ""
        self._heard = threading.Condition()
        self._readers = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._listen_to_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, line: str, times: int = 1) -> None:
        """Wait until it has said so."""
        with self._heard:
            heard = self._heard.wait_for(lambda: self.said.count(line) >= times, PROMPT)
        assert heard, f"it never said {line!r}: {self.said} {self.errors}"

    def go(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def interrupt(self, number: signal.Signals) -> None:
        """Send it a signal once its main thread waits.

        Python misses one that comes between its own last look and the system call that
        waits, until that call ends by itself; this is not what is tested here.
        """
        until(lambda: self._rests_for(0.1), "it never rests")
        self.process.send_signal(number)

    def _rests_for(self, seconds: float) -> bool:
        before = self._switches()
        time.sleep(seconds)
        return self._switches() == before

    def _switches(self) -> list[str]:
        """Return how often the main thread has waited so far; nothing where nobody says so."""
        pid = self.process.pid
        status = Path(f"/proc/{pid}/task/{pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return [line for line in lines if "ctxt_switches" in line]

    def end(self) -> int:
        """Wait for its end, which must come at once; return the exit code."""
        code = self.process.wait(PROMPT)
        for reader in self._readers:
            reader.join(PROMPT)
        return code

    def telling(self, word: str) -> list[list[str]]:
        """Return the rest of every line that begins with the word."""
        return [line.split()[1:] for line in self.said if line.split()[:1] == [word]]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.said.append(line.rstrip("\n"))
                self._heard.notify_all()

    def _listen_to_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line


@contextmanager
def running(
    judge: Judge, name: str, *words: str, python: tuple[str, ...] = ()
) -> Iterator[Program]:
    """Run a program as Ada at the judge; it is killed if it does not end."""
    account = judge.account(ADA)
    world = {
        "authority": account.provider.authority,
        "scopes": account.provider.scopes,
        "client_id": account.provider.client_id,
        "imap": [judge.imap.host, judge.imap.port, judge.imap.tls],
        "smtp": [judge.smtp.host, judge.smtp.port, judge.smtp.tls],
        "ca_file": str(judge.ca_file),
    }
    environment = os.environ | {
        "ENDINGS_WORLD": json.dumps(world),
        "ENDINGS_TOKEN": judge.identity.issue(ADA)[0],
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, *python, "-m", f"tests.endings.{name}", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PROMPT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def commands(emulator: OutlookEmulator, wire: Wire) -> list[str]:
    return [
        command
        for connection in emulator.connections
        if connection.protocol == wire
        for command in connection.commands
    ]


def fall_silent(emulator: OutlookEmulator, wire: Wire) -> Callable[[], None]:
    """Let the server hang where it matters; return how to wait until a client hangs there."""
    if wire == "smtp":
        emulator.on("smtp", ".", Silent(carried_out=True))
        before = commands(emulator, "smtp").count(".")
        return lambda: until(
            lambda: commands(emulator, "smtp").count(".") > before, "no message came"
        )
    emulator.on("imap", "FETCH", Silent())
    before = commands(emulator, "imap").count("UID FETCH")
    return lambda: until(
        lambda: commands(emulator, "imap").count("UID FETCH") > before, "no FETCH came"
    )


def subjects(judge: Judge) -> list[str]:
    lines = [line for one in judge.messages(ADA) for line in one.raw.splitlines()]
    return [line[9:].decode() for line in lines if line.startswith(b"Subject: ")]
