"""Exit codes, how errors are shown, and how the program ends when it is told to."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth import errors, paths, token_source
from mailoauth.cli import exits, screen
from mailoauth.diagnosis import diagnose
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, ROOT, Terminal, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES = {
    "MailOAuthError": 1,
    "ConfigError": 2,
    "StoreError": 2,
    "ConcurrentUse": 2,
    "SignInRequired": 3,
    "SignInFailed": 3,
    "ConnectionFailed": 4,
    "ConnectionTimedOut": 4,
    "AuthError": 5,
    "TokenRefused": 5,
    "ServerError": 5,
    "MailboxUnavailable": 5,
    "FolderNotFound": 5,
    "SendingDisabled": 5,
    "RecipientsRefused": 5,
    "Throttled": 7,
    "OutcomeUnknown": 8,
    "DeliveryUnknown": 8,
}
ERRORS = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.MailOAuthError)
}


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_every_error_has_its_exit_code() -> None:
    assert {name: exits.code_of(kind("what")) for name, kind in ERRORS.items()} == CODES


def test_any_refusal_that_passes_by_itself_is_for_later() -> None:
    passing = diagnose("451 4.3.2 Temporary server error. Please try again later", protocol="smtp")
    assert passing.category in {"passing", "throttled"}
    for kind in (errors.ServerError, errors.MailboxUnavailable, errors.TokenRefused):
        assert exits.code_of(kind("what", diagnosis=passing)) == 7


# Each code once, from a real run.


def test_wrong_use_is_2(world: World) -> None:
    assert world.run().code == 2
    assert world.run("fetsh", ADA).code == 2
    assert world.run("fetch", ADA, "--since", "yesterday").code == 2
    assert world.run("fetch", ADA, "--limit", "0").code == 2
    done = world.run("fetch", "eve@example.com")
    assert done.code == 2
    assert "mailoauth login eve@example.com" in done.err


def test_help_and_version_are_0(world: World) -> None:
    done = world.run("--help")
    assert done.code == 0
    assert "exit codes:" in done.out
    assert world.run("--version").out.startswith("mailoauth ")


def test_a_sign_in_that_is_required_is_3(world: World) -> None:
    world.emulator.revoke(ADA)
    done = world.run("fetch", ADA)
    assert done.code == 3
    assert f"mailoauth login {ADA}" in done.err


def test_a_server_that_is_away_is_4(world: World) -> None:
    world.emulator.identity.down = True
    assert world.run("token", ADA, "--refresh").code == 4


def test_a_refusal_for_good_is_5(world: World) -> None:
    world.emulator.refuse(
        "smtp", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for"
        " the Tenant."
    )  # fmt: skip
    done = world.run("send", ADA, "--to", ADA, "--text", "Hi")
    assert done.code == 5
    assert "5.7.139" in done.err


def test_throttling_is_7_and_waited_out_when_told_to(world: World) -> None:
    throttled = "NO [UNAVAILABLE] Server Busy. Suggested Backoff Time: 300 milliseconds"
    world.emulator.throttle("imap", throttled)
    assert world.run("fetch", ADA).code == 7
    world.emulator.throttle("imap", throttled)
    done = world.run("fetch", ADA, "--retry-for", "20s")
    assert (done.code, done.err) == (0, ""), "cron sends what is said, and all went well"


def test_an_accounts_file_that_is_a_folder_is_2(world: World) -> None:
    file = paths.accounts_file()
    file.unlink()
    file.mkdir()
    for command in (["accounts"], ["fetch", ADA], ["logout", ADA]):
        done = world.run(*command)
        assert done.code == 2
        assert str(file) in done.err


def test_a_bug_is_1_and_shows_where_only_when_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_address: str) -> None:
        raise KeyError("marker-secret")

    monkeypatch.setattr("mailoauth.accounts.load_account", broken)
    done = world.run("token", ADA)
    assert done.code == 1
    assert "bug" in done.err
    assert "KeyError" in done.err
    assert "Traceback" not in done.err
    assert "marker-secret" not in done.err
    assert "Traceback" in world.run("-v", "token", ADA).err


def test_output_that_cannot_be_written_is_2(world: World) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110 - no path is meant, but whether Linux is
        return
    with open("/dev/full", "w") as full:  # noqa: PTH123 - the same
        done = subprocess.run(
            [sys.executable, "-m", "mailoauth", "accounts"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert world.emulator.connections == []
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# How errors and logs are shown.


def test_an_error_is_what_happened_and_then_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen.show_error(errors.ConfigError("It broke\n\x1b[2J.", remedy="Mend it."))
    assert capsys.readouterr().err == "mailoauth: It broke \\x1b[2J.\nMend it.\n"


def test_an_error_is_broken_between_words_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "50")
    long_word = "https://login.example.com/" + "x" * 60
    screen.show_error(errors.ConfigError(f"{'word ' * 30}{long_word}"))
    lines = terminal.getvalue().splitlines()
    assert long_word in lines
    assert all(len(line) <= 50 for line in lines if line != long_word)


def test_v_logs_what_happens_and_no_secret(world: World) -> None:
    token = world.run("token", ADA).out.strip()
    world.emulator.expire_tokens()
    done = world.run("-vv", "fetch", ADA)
    assert f"token of {ADA} refreshed" in done.err
    assert token not in done.err
    assert world.run("token", ADA).out.strip() not in done.err
    assert logging.getLogger("mailoauth").handlers == []


def test_no_secret_is_printed_but_by_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = os.environ["MAILOAUTH_KEY"]
    token = token_source(world.emulator.account(ADA)).get().value
    for command in (
        ["accounts"],
        ["accounts", "--json"],
        ["keys"],
        ["fetch", ADA],
        ["-vv", "fetch", ADA],
    ):
        done = world.run(*command)
        assert done.code == 0
        assert token not in done.out + done.err
        assert key not in done.out + done.err


def test_help_is_fast_because_it_loads_no_library() -> None:
    script = (
        "import sys; from mailoauth.cli import main; main(['--help']);"
        "print(sorted({'msal', 'requests', 'imapclient', 'aiosmtplib', 'keyring', 'cryptography',"
        " 'rich', 'asyncio', 'ssl', 'tomlkit'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"


def test_the_module_runs_as_the_command_does() -> None:
    assert run_process("--version").out.startswith("mailoauth ")
