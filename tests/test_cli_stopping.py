"""How a run ends when it is told to: at once, without a traceback, and whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Silent
from tests.cli_world import ADA, MAIL, ROOT, World, end_of, start_process

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For a process whose parent may ignore what the test is about.
_WITH_DEFAULTS = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_told_to_end_ends_at_once_without_a_traceback(
    world: World, number: signal.Signals, code: int
) -> None:
    world.emulator.on("imap", "SEARCH", Silent(), times=9)
    world.emulator.on("imap", "UID SEARCH", Silent(), times=9)
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", "fetch", ADA],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not any(
            "SEARCH" in verb for each in world.emulator.connections for verb in each.commands
        ):
            assert process.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - began < 5
    assert "Traceback" not in out + err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows hangs nobody up")
def test_a_terminal_that_is_closed_ends_it_as_sigterm_does(world: World) -> None:
    world.emulator.on("imap", "SELECT", Silent(), times=9)
    process = start_process("fetch", ADA, before=_WITH_DEFAULTS)
    while not any("SELECT" in one.commands for one in world.emulator.connections):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    done = end_of(process)
    assert (done.code, done.out, done.err) == (129, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_what_is_ignored_from_the_start_stays_ignored(world: World) -> None:
    """As `nohup` does, and a shell with SIGINT for what it runs in the background."""
    world.emulator.deliver(ADA, MAIL)
    before = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
class Output:
    def write(self, text):
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return sys.__stdout__.write(text)
    def flush(self):
        sys.__stdout__.flush()
    def isatty(self):
        return False
sys.stdout = Output()
"""
    assert end_of(start_process("fetch", ADA, "--json", before=before)).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_not_lost_where_an_exception_is(
    world: World, number: signal.Signals, code: int
) -> None:
    """What a destructor raises is printed and forgotten; locks are freed in destructors."""
    for _ in range(3):
        world.emulator.deliver(ADA, MAIL)
    before = f"""{_WITH_DEFAULTS}
import os, sys
sys.unraisablehook = lambda _lost: None
class Lost:
    def __del__(self):
        os.kill(os.getpid(), {number:d})
        for _ in range(1000):
            pass
class Output:
    def write(self, text):
        Lost()
        return sys.__stdout__.write(text)
    def flush(self):
        sys.__stdout__.flush()
    def isatty(self):
        return False
sys.stdout = Output()
"""
    done = end_of(start_process("fetch", ADA, "--json", before=before))
    assert done.code == code
    assert len(done.objects) == 1


def test_sigterm_is_handled_as_before_once_the_run_is_over(world: World) -> None:
    before = signal.getsignal(signal.SIGTERM)
    world.run("accounts")
    assert signal.getsignal(signal.SIGTERM) is before
