"""The sending process killed, and continued from its journal: each message once, or unknown."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.judges import Judge

ADA = "ada@example.com"

# Prints "key outcome" for each receipt; killed by itself before or after a write of the journal.
PROGRAM = """
import asyncio, os, pathlib, pickle, signal, sys
from mailoauth import AsyncMailer, DeliveryUnknown, StaticToken
from mailoauth.mail.mailing.journal_file import JournalFile

place, journal, count, connections, when, number = sys.argv[1:]
account, token = pickle.loads(pathlib.Path(place).read_bytes())
writes = 0

class Killed(JournalFile):
    write_rows = JournalFile.write

    def write(self, rows):
        global writes
        writes += 1
        for moment in ("before", "after"):
            if (moment, str(writes)) == (when, number):
                os.kill(os.getpid(), signal.SIGKILL)
            if moment == "before":
                Killed.write_rows(self, rows)

JournalFile.write = Killed.write

def messages():
    for position in range(1, int(count) + 1):
        yield {"to": "ada@example.com", "subject": f"note {position}", "text": "hello"}

async def main():
    async with AsyncMailer(account, tokens=StaticToken(token)) as mailer:
        many = mailer.send_many(messages(), journal=journal, connections=int(connections))
        async for receipt in many:
            outcome = "unknown" if isinstance(receipt.error, DeliveryUnknown) else receipt.error
            print(receipt.key, outcome or "sent", flush=True)
        print("skipped", many.progress.skipped)

asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")


class Sending:
    """Runs of a program that sends the same messages with the same journal."""

    def __init__(self, judge: Judge, folder: Path, count: int, connections: int) -> None:
        self.judge = judge
        self._folder = folder
        self._count = count
        self._connections = connections
        place = folder / "account"
        account = judge.account(ADA)
        place.write_bytes(pickle.dumps((account, judge.identity.issue(ADA)[0])))

    def start(self, when: str = "never", number: int = 0) -> subprocess.Popen[str]:
        words: list[Any] = [self._folder / "account", self._folder / "journal", self._count]
        words += [self._connections, when, number]
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def killed(self, when: str, number: int) -> list[str]:
        """Run until it kills itself at a write of the journal."""
        with self.start(when, number) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        return output.splitlines()

    def to_the_end(self) -> list[str]:
        with self.start() as process:
            output, trouble = process.communicate(timeout=60)
        assert (process.returncode, trouble) == (0, "")
        return output.splitlines()

    def arrived(self) -> list[int]:
        """The numbers of the messages in the mailbox, sorted; one that came twice is there twice."""
        found = [
            re.search(rb"Subject: note (\d+)", message.raw) for message in self.judge.messages(ADA)
        ]
        return sorted(int(match[1]) for match in found if match)


@pytest.mark.parametrize(
    ("when", "number", "lines", "missing"),
    [
        # With one connection the writes are: 1 sending, 1 sent, 2 sending, 2 sent, ...
        ("before", 3, ["#2 sent", "#3 sent", "skipped 1"], []),
        ("after", 3, ["#2 unknown", "#3 sent", "skipped 1"], [2]),
        ("before", 4, ["#2 unknown", "#3 sent", "skipped 1"], []),
        ("after", 4, ["#3 sent", "skipped 2"], []),
    ],
)
def test_killed_around_each_commit_it_is_sent_once_or_said_to_be_unknown(
    judge: Judge, tmp_path: Path, when: str, number: int, lines: list[str], missing: list[int]
) -> None:
    sending = Sending(judge, tmp_path, 3, 1)
    sending.killed(when, number)
    assert sending.to_the_end() == lines
    expected = [number for number in (1, 2, 3) if number not in missing]
    _wait_for(lambda: sending.arrived() == expected, sending.arrived)
    assert sending.to_the_end() == [line for line in lines if "unknown" in line] + [
        f"skipped {3 - sum('unknown' in line for line in lines)}"
    ]


def _wait_for(condition: Any, what: Any) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends, what()
        time.sleep(0.05)


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        yield emulator


@pytest.mark.timeout(300)
def test_killed_twenty_times_each_message_arrives_once_or_is_unknown(
    emulator: OutlookEmulator, tmp_path: Path
) -> None:
    full = bool(os.environ.get("MAILOAUTH_SOAK"))
    kills, count = (20, 400) if full else (5, 100)
    sending = Sending(emulator, tmp_path, count, 3)
    for number in range(1, kills + 1):
        until = len(sending.arrived()) + count // (kills + 2)
        with sending.start() as process:
            while process.poll() is None and len(sending.arrived()) < until:
                time.sleep(0.003 * (number % 4))
            process.kill()
            process.communicate()
    lines = sending.to_the_end()
    unknown = {int(line[1:].split()[0]) for line in lines if line.endswith("unknown")}
    arrived = sending.arrived()
    assert len(arrived) == len(set(arrived)), "none came twice"
    assert set(arrived) | unknown == set(range(1, count + 1))
    assert len(unknown) <= 3 * kills, "at most one for each connection and kill"
