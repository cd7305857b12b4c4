"""`mailoauth demo` and `mailoauth explain`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from mailoauth.cli import story
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, ROOT, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with OutlookEmulator() as emulator:
        yield World(emulator, capsys)


def test_the_demo_tells_the_story_and_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    before = dict(os.environ)
    there = set(tmp_path.rglob("*"))
    done = world.run("demo")
    assert (done.code, done.err) == (0, "")
    steps = re.findall(r"\n\n(\w[\w ]*): ", done.out)
    assert steps == ["Sign in", "Store", "Send", "Read", "Expire", "Refresh and retry"]
    assert "In all: 2 token requests, 4 connections." in done.out
    assert dict(os.environ) == before
    assert set(tmp_path.rglob("*")) == there


def test_a_demo_that_goes_otherwise_says_so_and_is_1(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutlookEmulator, "expire_tokens", lambda _self: None)
    done = world.run("demo")
    assert done.code == 1
    assert "one connection is refused and the next one signed in" in done.err


def test_a_record_in_clear_would_end_the_demo(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailoauth.tokens.store import SealedRecords

    def save_in_clear(self: SealedRecords, key: str, plain: bytes) -> None:
        self._store.save(key, plain)

    monkeypatch.setattr(SealedRecords, "save", save_in_clear)
    monkeypatch.setattr(SealedRecords, "load", lambda self, key: self._store.load(key))
    done = world.run("demo")
    assert done.code == 1
    assert "the record does not contain the tokens in clear" in done.err


def test_the_demo_needs_nothing_of_the_users_own() -> None:
    settings: dict[str, str | None] = {
        "MAILOAUTH_HOME": "/nowhere/at/all",
        "MAILOAUTH_KEY": "not a key",
        "MAILOAUTH_ADDRESS": "eve@example.com",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    done = run_process("demo", settings=settings)
    assert (done.code, done.err) == (0, "")


def test_a_missing_extra_names_the_pip_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> object:
        raise ImportError("...", name="pymap")

    front_door = ModuleType("mailoauth.emulator")
    monkeypatch.setattr(front_door, "__getattr__", missing, raising=False)
    monkeypatch.setitem(sys.modules, "mailoauth.emulator", front_door)
    done = world.run("demo")
    assert done.code == 2
    assert 'pip install "mailoauth[emulator]"' in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_serve_prints_settings_that_work_until_it_is_told_to_end(
    number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", "demo", "--serve"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C ends it" in line:
                break
        printed = "".join(lines)
        home = re.search(r"MAILOAUTH_HOME=(\S+)", printed)
        assert home, printed
        settings = {"MAILOAUTH_HOME": home[1], "MAILOAUTH_KEY": None}
        fetched = run_process("fetch", ADA, "--json", settings=settings)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, "")
    assert [message["subject"] for message in fetched.objects] == ["Quarterly report"]
    for name in ("IMAP", "SMTP", "authority", "client id", "CA file"):
        assert re.search(rf"^  {name} +\S", printed, re.MULTILINE)
    assert not Path(home[1]).exists()


def test_the_story_is_fast(world: World) -> None:
    began = time.monotonic()
    world.emulator.add_user("bob@example.com")
    story.tell(world.emulator)
    assert time.monotonic() - began < 10


# explain

TENANT = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
)
EXPIRED = "AADSTS700082: The refresh token has expired due to inactivity."


def test_explain_has_the_documented_json(world: World) -> None:
    (finding,) = world.run("explain", "--json", TENANT).objects
    assert list(finding) == ["text", "code", "category", "fixer", "meaning", "steps", "source"]
    assert finding["text"] == TENANT
    assert (finding["category"], finding["fixer"]) == ("configuration", "administrator")


def test_explain_reads_a_log_and_finds_each_in_its_order() -> None:
    log = f"Nov 21 job starts\n{EXPIRED}\n\n{TENANT}\n{TENANT}\nNov 21 job ends\n"
    done = run_process("explain", "--json", input=log)
    assert done.code == 0
    assert [finding["text"] for finding in done.objects] == [EXPIRED, TENANT]


def test_explain_says_it_in_words(world: World) -> None:
    done = world.run("explain", TENANT)
    assert done.code == 0
    assert "who can fix it: an administrator" in done.out
    assert "Set-CASMailbox" in done.out


def test_explain_says_that_it_does_not_know(world: World) -> None:
    (finding,) = world.run("explain", "--json", "nothing", "of", "the", "kind").objects
    assert finding["category"] == "unknown"
    assert finding["text"] == "nothing of the kind"


def test_explain_takes_any_bytes(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailoauth", "explain"],
        input=b"\xff\xfe\x00\x1b[31m 535 5.7.139\n",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert world.emulator.connections == []
