"""`mailoauth login`, each way in."""

from __future__ import annotations

import io
import os
import re
import socket
import sys
import webbrowser
from typing import TYPE_CHECKING

import pytest

from mailoauth import forget_account, list_accounts, load_account, paths, save_account
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, Terminal, Typing, World

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def test_login_in_the_browser_keeps_the_account_and_names_the_next_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", world.emulator.browser)
    done = world.run(*login(world))
    assert (done.code, done.err) == (0, "")
    assert f"Signed in: {ADA} (emulator)." in done.out
    assert str(paths.records_folder()) in done.out
    assert "environment variable MAILOAUTH_KEY" in done.out
    assert f"Next: mailoauth fetch {ADA}" in done.out
    assert load_account(ADA).provider.name == "emulator"
    assert len(records()) == 1


def test_a_second_login_uses_the_account_that_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", world.emulator.browser)
    world.run(*login(world))
    written = paths.accounts_file().read_text()
    assert world.run("login", ADA).code == 0
    assert paths.accounts_file().read_text() == written
    assert world.run("login", ADA, "--mailbox", "team@example.com").code == 0
    assert load_account(ADA).mailbox == "team@example.com"


def test_the_browser_is_started_without_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def opened(url: str) -> bool:
        seen.append(dict(os.environ))
        return world.emulator.browser(url)

    monkeypatch.setattr(webbrowser, "open", opened)
    assert world.run(*login(world)).code == 0
    assert "MAILOAUTH_KEY" not in seen[0]
    assert "MAILOAUTH_KEY" in os.environ


def test_a_device_code_is_shown_in_plain_lines_with_its_end_and_a_way_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def approve(text: str) -> None:
        if found := re.search(r"Enter this code: (\S+)\n", text):
            world.emulator.identity.approve_device(found[1], ADA)

    stderr = Terminal(approve, attached=False)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert world.run(*login(world, "--device-code")).code == 0
    shown = stderr.getvalue()
    assert re.search(r"Open this address: https://\S+", shown)
    assert "The code expires in 15 minutes, at " in shown
    assert "If your organisation does not allow this way" in shown
    assert "\x1b" not in shown


def test_a_device_code_is_drawn_large_on_a_terminal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved: list[str] = []

    def approve(shown: str) -> None:
        # Between the frame's sides, alone on its line, in a style of its own.
        found = re.search(r"\x1b\[[\d;]+m +([A-Z0-9]{6,}) +\x1b\[0m", shown)
        if found and not approved:
            approved.append(found[1])
            world.emulator.identity.approve_device(found[1], ADA)

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal(approve)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert world.run(*login(world, "--device-code")).code == 0
    assert "╭" in terminal.getvalue()


def test_no_browser_takes_the_address_that_the_browser_ended_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []

    def look(shown: str) -> None:
        urls[:] = re.findall(r"https://\S+", shown)

    monkeypatch.setattr(sys, "stderr", Terminal(look, attached=False))
    monkeypatch.setattr(
        sys, "stdin", Typing(lambda: world.emulator.identity.address_after(urls[0]))
    )
    done = world.run(*login(world, "--no-browser"))
    assert done.code == 0
    assert "response_mode=query" in urls[0]
    assert len(records()) == 1


def test_no_browser_with_nothing_on_stdin_fails_as_a_sign_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = world.run(*login(world, "--no-browser"))
    assert done.code == 3
    assert "The input ended before the question was answered." in done.err
    assert records() == []


def test_no_input_forbids_a_way_that_asks(world: World) -> None:
    done = world.run("--no-input", *login(world, "--no-browser"))
    assert done.code == 2
    assert "--device-code" in done.err


def test_a_browser_that_cannot_be_opened_names_the_other_ways(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _url: False)
    done = world.run(*login(world))
    assert done.code == 3
    assert "--no-browser" in done.err
    assert "--device-code" in done.err
    assert list_accounts() == []


def test_at_a_terminal_a_browser_that_cannot_be_opened_leaves_its_address_to_the_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_by_hand(shown: str) -> None:
        urls = re.findall(r"https://localhost\S+\n", shown)
        if urls and not opened:
            opened.append(urls[0])
            world.emulator.browser(urls[0].strip())

    stderr = Terminal(open_by_hand)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(webbrowser, "open", lambda _url: False)
    assert world.run(*login(world)).code == 0
    assert "--device-code" in stderr.getvalue()


def test_an_account_of_the_environment_is_signed_in_and_not_written_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", world.emulator.browser)
    monkeypatch.setenv("MAILOAUTH_ADDRESS", ADA)
    monkeypatch.setenv("MAILOAUTH_PROVIDER", "emulator")
    before = paths.accounts_file().read_text()
    assert world.run("login", ADA).code == 0
    assert paths.accounts_file().read_text() == before
    assert [row["state"] for row in world.run("accounts", "--json").objects] == ["ready"]
    assert "unset MAILOAUTH_ADDRESS" in world.run("logout", ADA).out


def test_the_redirect_comes_to_the_port_that_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    urls: list[str] = []

    def open_url(url: str) -> bool:
        urls.append(url)
        return world.emulator.browser(url)

    monkeypatch.setattr(webbrowser, "open", open_url)
    assert world.run(*login(world, "--port", str(port))).code == 0
    assert f"localhost%3A{port}" in urls[0]
