"""A contender's run: a fresh process, its times and memory."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.common.job import Done

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT: Final = Path(__file__).parents[3]
#: Seconds after which a worker is killed.
_PATIENCE: Final = 600.0
_UNUSUAL: Final = {"PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE", "SSL_CERT_DIR"}


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took: seconds of wall and CPU, seconds of the work alone, peak in KiB."""

    wall: float
    cpu: float
    work: float
    peak: int
    done: Done


class RunFailed(Exception):
    """The worker ended with an error; the text is the last thing it said."""


@cache
def _environment() -> dict[str, str]:
    """Make it a usual machine's: compiled modules are kept, OpenSSL's roots are its own.

    ``SSL_CERT_FILE`` names a bundle that is read whole, 20 ms; only ours would pay for
    that, since the others here trust the lab's root alone.
    """
    kept = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    inherited = {key: os.environ[key] for key in os.environ if key not in _UNUSUAL}
    return inherited | {"PYTHONPYCACHEPREFIX": kept}


def run(command: Sequence[str], told: str, extra: Mapping[str, str] | None = None) -> Run:
    """Let a worker do what it is told on its standard input; raises ``RunFailed``.

    It answers with a line of JSON, or two. Where there are no ``seconds`` in it, the work is
    all from the start of the process up to the first. ``extra`` is added to its environment.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=_ROOT,
            env=_environment() | dict(extra or {}),
        )
        patience = threading.Timer(_PATIENCE, worker.kill)
        patience.start()
        assert worker.stdin
        assert worker.stdout
        with worker.stdin, worker.stdout:
            worker.stdin.write(told.encode())
            worker.stdin.close()
            answer = worker.stdout.readline()
            answered = time.perf_counter() - start
            rest = worker.stdout.read()
        # wait4 alone tells what this one child has used.
        _, status, usage = os.wait4(worker.pid, 0)
        wall = time.perf_counter() - start
        patience.cancel()
        worker.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
    if worker.returncode or not answer:
        raise RunFailed(said.splitlines()[-1] if said else f"ended with {worker.returncode}")
    report = json.loads(answer) | (json.loads(rest) if rest.strip() else {})
    # Octets on macOS, where there is no better number; KiB elsewhere.
    unit = 1024 if sys.platform == "darwin" else 1
    return Run(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        work=report.get("seconds", answered),
        peak=report.get("peak") or usage.ru_maxrss // unit,
        done=Done(**report["done"]),
    )
