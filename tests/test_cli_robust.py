"""Bad input, closed streams and poor terminals: never a bug, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, ROOT, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_help_that_nobody_reads_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run_process("--help", settings={"PYTHONUNBUFFERED": None}, stdout=writing)
    finally:
        os.close(writing)
    assert (done.code, done.err) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_bug(closed: str) -> None:
    for arguments, code in (("accounts", 0), ("keys", 0), ("fetch nobody@example.com", 2)):
        done = subprocess.run(
            ["/bin/sh", "-c", f"'{sys.executable}' -m mailoauth {arguments} {closed}"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert "mailoauth:" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", ADA, "--folder", "a\r\nb"),
        ("fetch", ADA, "--folder", ""),
        ("fetch", ADA, "--sender", "\udcff"),
        ("fetch", ADA, "--subject", "a\nb"),
        ("fetch", ADA, "--mailbox", "a\r\nb@example.com"),
        ("fetch", "\udcff@example.com"),
        ("send", ADA, "--to", ADA, "--text", "\udcff", "--subject", "\udcff"),
        ("send", ADA, "--to", ADA, "--mailbox", "a\nb@example.com", "--text", "Hi"),
        ("send", ADA, "--to", "\udcff@example.com", "--text", "Hi"),
        ("send", ADA, "--to", ADA, "--attach", "/"),
        ("send", ADA, "--to", ADA, "--attach", "a\x00b"),
        ("token", ADA, "--sasl", "imap", "--mailbox", "a\nb"),
        ("login", "\udcff@example.com", "--provider", "emulator"),
        ("login", ADA, "--provider", "no such"),
        ("login", ADA, "--client-id", "a\nb"),
        ("keys", "--create", "/dev/null/key"),
        ("keys", "--move-to", "/dev/null/key"),
        ("logout", "\x1b[31m"),
    ],
)
def test_bad_input_is_never_a_bug(world: World, arguments: tuple[str, ...]) -> None:
    done = world.run(*arguments)
    assert done.code in {2, 5}, done
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err


def test_a_poor_locale_loses_no_error() -> None:
    settings: dict[str, str | None] = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    done = run_process("fetch", "größe@example.com", settings=settings)
    assert done.code == 2
    assert "ADDRESS holds bytes that are no text" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("text", ["", " ", "\udcff"])
@pytest.mark.parametrize(
    "option", ["--folder", "--sender", "--to", "--subject", "--text", "--mailbox", "--name"]
)
def test_what_is_empty_or_no_text_is_named_as_it_was_given(
    world: World, option: str, text: str
) -> None:
    done = world.run("fetch", ADA, "--attachments", "x", option, text)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"mailoauth: {option} ")
    if option == "--mailbox":
        assert world.run("folders", ADA, option, text).err == done.err
