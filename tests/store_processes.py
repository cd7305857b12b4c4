"""Other processes that use a FileStore, and what they leave behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.store_contract import ONE, TWO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.tokens.files import FileStore


ROOT = Path(__file__).parent.parent


def names(store: FileStore, ending: str) -> list[str]:
    if not store.folder.exists():
        return []
    return [path.name for path in store.folder.iterdir() if path.name.endswith(ending)]


def start(store: FileStore, script: str) -> subprocess.Popen[str]:
    """Run the script in another process; it has the store, and the keys ONE and TWO."""
    prelude = f"""
        import os, random, signal, sys, threading, time
        from pathlib import Path
        from mailoauth.errors import ConnectionTimedOut, StoreError
        from mailoauth.tokens.files import FileStore, MemoryStore
        store, ONE, TWO = FileStore(Path({str(store.folder)!r})), {ONE!r}, {TWO!r}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run(store: FileStore, script: str) -> str:
    with start(store, script) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    return output.strip()


@contextmanager
def holder(store: FileStore, script: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs until it is killed; this enters when it has said "ready"."""
    with start(store, script) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


HOLD = """
    with store.lock(ONE), store.reserve(ONE, 5000):
        print("ready", flush=True)
        sys.stdin.read()
"""
