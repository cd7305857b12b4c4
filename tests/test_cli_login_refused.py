"""`mailoauth login`: everything that must stop it, in time and with nothing half-written."""

from __future__ import annotations

import io
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
import webbrowser
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from mailoauth import forget_account, list_accounts, paths, save_account
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, ROOT, Typing, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """Ada's provider is in the accounts file, she is not."""
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        save_account(emulator.account(ADA))
        forget_account(ADA)
        yield world


def login(world: World, *more: str) -> list[str]:
    return ["login", ADA, "--provider", world.emulator.account(ADA).provider.name, *more]


def records() -> list[str]:
    folder = paths.records_folder()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_somebody_else_who_signs_in_is_refused_and_both_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.emulator.add_user("bob@example.com")
    monkeypatch.setattr(webbrowser, "open", world.emulator.identity.browser_as("bob@example.com"))
    done = world.run(*login(world))
    assert done.code == 3
    assert f"bob@example.com signed in, but the account is for {ADA}." in done.err
    assert "--user bob@example.com" in done.err
    assert (records(), list_accounts()) == ([], [])


def test_a_person_who_declines_ends_it_with_nothing_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", world.emulator.identity.denying_browser)
    assert world.run(*login(world)).code == 3
    assert (records(), list_accounts()) == ([], [])


@pytest.mark.parametrize("address", ["ada", "ada@", "ada@example.com\nX: y", "ada\x07@example.com"])
def test_what_is_no_address_is_refused_before_anything_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(webbrowser, "open", pytest.fail)
    done = world.run("login", address, "--provider", "emulator")
    assert done.code == 2
    assert "\x07" not in done.err
    assert world.emulator.token_requests == []


def test_a_key_that_cannot_be_used_stops_it_before_anybody_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", "c2hvcnQ=")
    monkeypatch.setattr(webbrowser, "open", pytest.fail)
    done = world.run(*login(world))
    assert done.code == 2
    assert "MAILOAUTH_KEY holds a key of 5 bytes instead of 32." in done.err
    assert "c2hvcnQ=" not in done.err


def test_without_a_client_id_it_says_how_to_get_one(world: World) -> None:
    done = world.run("login", "ada@outlook.com")
    assert done.code == 2
    assert "--client-id" in done.err
    assert "samples/README.md" in done.err


def test_a_provider_that_cannot_be_guessed_is_not_guessed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = world.run("login", ADA)
    assert done.code == 2
    assert "--provider outlook" in done.err


def test_at_a_terminal_the_provider_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", world.emulator.browser)
    monkeypatch.setattr("builtins.input", lambda: "emulator")
    monkeypatch.setattr(sys, "stdin", Typing(lambda: "", terminal=True))
    done = world.run("login", ADA)
    assert done.code == 0
    assert f"Who serves {ADA}? [outlook]" in done.err
    assert world.run("--no-input", "login", "bob@example.com").code == 2


def test_an_account_that_cannot_be_written_after_the_sign_in_keeps_the_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_and_spoil(url: str) -> bool:
        file = paths.accounts_file()
        file.rename(file.with_suffix(".away"))
        file.mkdir()
        return world.emulator.browser(url)

    monkeypatch.setattr(webbrowser, "open", open_and_spoil)
    done = world.run(*login(world))
    assert done.code == 2
    assert f"{ADA} is signed in and the token is kept, but the account could not" in done.err
    assert "Then run `mailoauth login` again" in done.err
    assert len(records()) == 1


def test_ctrl_c_while_waiting_for_the_browser_leaves_nothing_half_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(_url: str) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    before = paths.accounts_file().read_text()
    monkeypatch.setattr(webbrowser, "open", press)
    done = world.run(*login(world))
    assert (done.code, done.err) == (130, "mailoauth: interrupted.\n")
    assert records() == []
    assert paths.accounts_file().read_text() == before


def test_ctrl_c_at_a_process_that_waits_for_a_browser_ends_it(world: World, tmp_path: Path) -> None:
    marker = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\ntouch {marker}\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    with subprocess.Popen(
        [sys.executable, "-m", "mailoauth", *login(world)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "BROWSER": str(browser)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not marker.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert records() == []


def test_without_any_home_it_names_the_variable_to_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAILOAUTH_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    # What the password database says of a service's user.
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir="/"))
    done = world.run("login", "ada@outlook.com", "--client-id", "some-id")
    assert done.code == 2
    assert "MAILOAUTH_HOME" in done.err


def test_a_port_that_is_none_is_wrong_use(world: World) -> None:
    for port in ("0", "65536", "http"):
        assert world.run(*login(world, "--port", port)).code == 2
