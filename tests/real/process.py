"""A server program as a child that cannot outlive the tests, and free ports for it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

START_UP_SECONDS = 20.0

# A guard stands between the tests and the server: its standard input ends when
# the tests close it or are killed in any way (time-out, crash of a worker).
# It kills the server's process group: nothing is kept, so nothing needs a slow
# shutdown. As a "subreaper" (prctl 36, Linux) it inherits and reaps the
# orphans, which a container's first process may not do.
_GUARD = """
import ctypes, os, select, signal, subprocess, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
while server.poll() is None and not select.select([0], [], [], 0.5)[0]:
    pass
try:
    os.killpg(server.pid, signal.SIGKILL)
except ProcessLookupError:
    pass
server.wait()
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""


class ServerDied(Exception):
    """The server program ended, or never listened; the text holds the end of its log."""


def free_port() -> int:
    """Return a loopback port that nobody listens on just now.

    From below the ports that systems hand out by themselves: nobody gets it by
    chance before the server, which has to be told its port, has bound it.
    """
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class ServerProcess:
    """One running server program; leaving the ``with`` block ends it and its children."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        ports: Sequence[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._ports = list(ports)
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        output = self._log.with_suffix(".out").open("ab")
        with output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD, *self._command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
        try:
            for port in self._ports:
                self._wait_for(port)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and wait until it has ended."""
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
        try:
            guard.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()

    def _wait_for(self, port: int) -> None:
        limit = time.monotonic() + START_UP_SECONDS
        while True:
            if self._guard is None or self._guard.poll() is not None:
                raise ServerDied(f"{self._command[0]} ended at once: {self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if time.monotonic() > limit:
                    raise ServerDied(f"nobody listens on {port}: {self.log_tail()}") from None
                time.sleep(0.02)
            else:
                return

    def log_tail(self) -> str:
        """Return the last lines that the server wrote."""
        texts = [
            path.read_text(errors="replace")
            for path in (self._log, self._log.with_suffix(".out"))
            if path.exists()
        ]
        return "\n".join(texts)[-4000:]
