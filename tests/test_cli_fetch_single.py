"""`mailoauth fetch --single`: one run of a job at a time, whatever became of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator, Silent
from tests.cli_world import ADA, World, end_of, start_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        world.emulator.deliver(ADA, b"Subject: one\r\n\r\nHi\r\n")
        yield world


def stuck_run(world: World, *command: str) -> subprocess.Popen[str]:
    """Start a run that is under way and gets no answer from the server."""
    world.emulator.on("imap", "SELECT", Silent())
    process = start_process(*command)
    while not any("SELECT" in one.commands for one in world.emulator.connections):
        assert process.poll() is None, end_of(process)
    return process


@pytest.mark.parametrize("format_", ["json", "maildir"])
def test_a_second_run_of_the_same_job_is_refused_until_the_first_is_gone(
    world: World, tmp_path: Path, format_: str
) -> None:
    output = ("--output", str(tmp_path / "out")) if format_ == "maildir" else ()
    command = ("fetch", ADA, "--single", "--format", format_, *output)
    first = stuck_run(world, *command)
    try:
        second = world.run(*command, "--folder", "inbox", "--mailbox", ADA.upper())
    finally:
        first.kill()
        end_of(first)
    assert (second.code, second.out) == (7, "")
    assert "Another run" in second.err
    assert "--retry-for" in second.err
    assert world.run(*command).code == 0, "the operating system frees the lock of a killed process"


def test_another_job_is_not_the_same_job(world: World, tmp_path: Path) -> None:
    first = stuck_run(world, "fetch", ADA, "--single", "--json")
    try:
        for options in (
            ("--json",),
            ("--single",),
            ("--single", "--json", "--sender", "ann@example.org"),
            ("--single", "--json", "--attachments", str(tmp_path / "files")),
            ("--single", "--format", "eml", "--output", str(tmp_path / "mail")),
        ):
            assert world.run("fetch", ADA, *options).code == 0, options
    finally:
        first.kill()
        end_of(first)


def test_a_run_that_writes_the_same_files_counts_whatever_it_looks_for(
    world: World, tmp_path: Path
) -> None:
    to = ("--format", "mbox", "--output", str(tmp_path / "out"))
    first = stuck_run(world, "fetch", ADA, "--all", *to)
    try:
        second = world.run("fetch", ADA, "--single", *to)
    finally:
        first.kill()
        end_of(first)
    assert second.code == 7
    assert str(tmp_path / "out") in second.err


def test_retry_for_waits_for_the_other_run_to_end(world: World) -> None:
    command = ("fetch", ADA, "--single", "--json")
    first = stuck_run(world, *command)
    second = start_process(*command, "--retry-for", "50s", "-v")
    assert second.stderr is not None
    assert any("Another run" in line for line in second.stderr)
    first.kill()
    end_of(first)
    done = end_of(second)
    assert (done.code, len(done.objects)) == (0, 1)
