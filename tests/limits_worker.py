"""Other processes that share an account's limits: ``python -m tests.limits_worker ROLE FOLDER ...``.

They say on stdout what has happened, and do the next thing when a line comes on stdin.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailoauth.mail.limits.quota import Gate, Limits
from mailoauth.mail.limits.slots import Slots
from mailoauth.network import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
NAME = "account"
PATIENCE = Deadline(60)


class Worker:
    """One of them, seen from the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, word: str = "go") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def rest(self) -> list[str]:
        output, _ = self.process.communicate(timeout=100)
        assert self.process.returncode == 0
        return output.splitlines()


@contextmanager
def worker(role: str, folder: Path, *arguments: object) -> Iterator[Worker]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.limits_worker", role, str(folder), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def say(word: object) -> None:
    print(word, flush=True)


async def told() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def enter(folder: Path, count: int) -> Path:
    """Take one of so many places that each is one file; there must be one."""
    for number in range(count):
        place = folder / f"inside-{number}"
        try:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return place
    raise AssertionError("too many at the same time")


async def hold(folder: Path, count: int) -> None:
    slots = Slots(NAME, count, folder)
    say("begun")
    slot = await slots.take(PATIENCE)
    say("held")
    await told()
    say(f"wanted {slots.wanted()}")
    slot.release()
    say("released")
    await told()


async def takers(folder: Path, count: int, tasks: int, rounds: int) -> None:
    slots = Slots(NAME, count, folder)

    async def one() -> None:
        for _ in range(rounds):
            slot = await slots.take(PATIENCE)
            place = enter(folder, count)
            await asyncio.sleep(0.002)
            place.unlink()
            slot.release()

    say("ready")
    await told()
    await asyncio.gather(*(one() for _ in range(tasks)))
    say("all had their turn")


async def give_back_when_wanted(folder: Path, count: int, turn: float) -> None:
    """Send for ever, as a mailer with enough to do: give a slot back only when it is wanted."""
    slots = Slots(NAME, count, folder)

    async def one() -> None:
        while True:
            slot = await slots.take(PATIENCE)
            wanted = False
            while not wanted:
                await asyncio.sleep(turn)  # a message
                wanted = slots.wanted()
            slot.release()

    lines = [asyncio.ensure_future(one()) for _ in range(count)]
    await asyncio.sleep(turn)
    say("busy")
    await told()
    for line in lines:
        line.cancel()


async def visit(folder: Path, count: int, turn: float, rounds: int) -> None:
    """Need a slot now and then; say how long that took each time."""
    slots = Slots(NAME, count, folder)
    say("ready")
    await told()
    for _ in range(rounds):
        asked = time.monotonic()
        slot = await slots.take(PATIENCE)
        say(time.monotonic() - asked)
        await asyncio.sleep(turn)
        slot.release()


class Clock:
    """The real one; ``last`` is what it said last."""

    last = 0.0

    def __call__(self) -> float:
        self.last = time.time()
        return self.last


def gate(folder: Path, messages: int, window: int, clock: Callable[[], float] = time.time) -> Gate:
    return Gate(folder / "account.quota", Limits(messages, 10**6, window), clock)


async def begin(folder: Path, messages: int, window: int, tasks: int, rounds: int) -> None:
    clock = Clock()
    shared = gate(folder, messages, window, clock)
    say("ready")
    await told()

    async def one() -> None:
        for _ in range(rounds):
            await shared.take(1, PATIENCE)
            say(f"{clock.last!r}")  # what it was let go by: nothing has run since

    await asyncio.gather(*(one() for _ in range(tasks)))


if __name__ == "__main__":
    role, folder, *numbers = sys.argv[1:]
    values = [float(number) if "." in number else int(number) for number in numbers]
    asyncio.run(globals()[role](Path(folder), *values))
