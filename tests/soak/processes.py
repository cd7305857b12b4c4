"""Worker processes: each is a module of this package, told its account on its standard input."""

from __future__ import annotations

import base64
import os
import pickle
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.accounts import Account

ROOT = Path(__file__).parents[2]


class Worker:
    """A process that is talked to in lines, with a limit to the patience."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pending = b""

    def tell(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, seconds: float = 30.0) -> str:
        """Return the next line; ``TimeoutError`` if there is none in time."""
        assert self._process.stdout
        descriptor = self._process.stdout.fileno()
        until = time.monotonic() + seconds
        while b"\n" not in self._pending:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the worker has said nothing for {seconds} s")
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                raise EOFError("the worker has ended")
            self._pending += piece
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode()


@contextmanager
def worker(module: str, account: Account, *arguments: object) -> Iterator[Worker]:
    """Run a module of this package; it is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.soak.{module}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        try:
            told = Worker(process)
            told.tell(base64.b64encode(pickle.dumps(account)).decode())
            yield told
        finally:
            process.kill()


# In the worker:


def read_account() -> Account:
    """Return the account that this worker was told."""
    account: Account = pickle.loads(base64.b64decode(sys.stdin.readline()))
    return account


def say(*words: object) -> None:
    """Write one line in one piece, so that a kill cannot tear it and a fork not repeat it."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")
