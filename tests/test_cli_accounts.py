"""`mailoauth accounts`, `logout`, `keys` and `token`."""

from __future__ import annotations

import base64
import dataclasses
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth import FileStore, list_accounts, paths, save_account, sign_in, token_source
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, Terminal, World, run_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_accounts_lists_the_documented_object(world: World) -> None:
    (row,) = world.run("accounts", "--json").objects
    expires_at = row.pop("expires_at")
    assert expires_at[10] == "T"
    assert expires_at.endswith("Z")
    assert row == {
        "name": ADA,
        "provider": "emulator",
        "user": ADA,
        "mailbox": ADA,
        "sign_in": "user",
        "state": "ready",
    }


def test_accounts_tells_the_states_apart(world: World) -> None:
    world.emulator.add_user("bob@example.com")
    save_account(world.emulator.account("bob@example.com"))
    world.emulator.revoke(ADA)
    assert world.run("token", ADA, "--refresh").code == 3
    states = {row["name"]: row["state"] for row in world.run("accounts", "--json").objects}
    assert states == {ADA: "sign_in_required", "bob@example.com": "none"}


def test_accounts_prints_a_line_each_without_a_terminal(world: World) -> None:
    cells = world.run("accounts").out.rstrip("\n").split("\t")
    assert cells[:6] == [ADA, "emulator", ADA, ADA, "user", "ready"]


def test_accounts_draws_a_table_on_a_terminal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    assert world.run("accounts").code == 0
    heading, row = terminal.getvalue().splitlines()
    assert "ACCOUNT" in heading
    assert "MAILBOX" not in heading
    assert "ready" in row


def test_accounts_lists_all_of_them_also_without_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(bytes(32)).decode())
    done = world.run("accounts", "--json")
    assert [row["state"] for row in done.objects] == [None]
    assert done.code == 2
    assert "MAILOAUTH_KEY" in done.err


def test_no_accounts_is_nothing_to_print(world: World) -> None:
    world.run("logout", ADA)
    done = world.run("accounts")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_logout_forgets_the_account_and_its_record(world: World) -> None:
    done = world.run("logout", ADA)
    assert (done.code, done.err) == (0, "")
    assert f"Forgotten: {ADA}." in done.out
    assert "https://myapps.microsoft.com" in done.out
    assert (list_accounts(), FileStore().list()) == ([], [])


def test_logout_names_the_other_page_for_a_personal_account(world: World) -> None:
    account = dataclasses.replace(world.emulator.account(ADA), name="home", user="ada@outlook.com")
    save_account(account)
    assert "https://account.live.com/consent/Manage" in world.run("logout", "home").out


def test_logout_works_without_the_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", "not a key")
    assert world.run("logout", ADA).code == 0
    assert FileStore().list() == []


def test_logout_keeps_a_record_that_another_account_uses(world: World) -> None:
    save_account(dataclasses.replace(world.emulator.account(ADA), name="team", mailbox=None))
    done = world.run("logout", "team")
    assert "Its token stays: another account uses it." in done.out
    assert [account.name for account in list_accounts()] == [ADA]
    assert len(FileStore().list()) == 1


def test_logout_of_nobody_is_wrong_use(world: World) -> None:
    assert world.run("logout", "eve@example.com").code == 2


def test_an_address_that_fits_two_accounts_lists_them(world: World) -> None:
    for name in ("one", "two"):
        save_account(
            dataclasses.replace(world.emulator.account(ADA), name=name, mailbox="x@example.com")
        )
    done = world.run("token", "x@example.com")
    assert done.code == 2
    assert "one, two" in done.err


# keys


def test_keys_says_where_the_key_is_and_what_it_seals(world: World) -> None:
    done = world.run("keys")
    assert "environment variable MAILOAUTH_KEY" in done.out
    assert "1 token record(s)" in done.out
    (row,) = world.run("keys", "--json").objects
    assert row["source"] == "environment"
    assert row["usable"] is True


def test_keys_creates_a_file_that_works_and_never_replaces_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys" / "mailoauth.key"
    done = world.run("keys", "--create", str(file))
    assert done.code == 0
    assert f"MAILOAUTH_KEY_FILE={file}" in done.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_text()
    assert content.strip() not in done.out
    assert world.run("keys", "--create", str(file)).code == 2
    assert file.read_text() == content
    monkeypatch.delenv("MAILOAUTH_KEY")
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(file))
    assert str(file) in world.run("keys").out


def test_keys_moves_the_key_to_a_file_that_opens_the_records(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    done = world.run("keys", "--move-to", str(file))
    assert done.code == 0
    assert "It opens 1 token record(s)." in done.out
    assert "Take MAILOAUTH_KEY out of the environment" in done.out
    monkeypatch.delenv("MAILOAUTH_KEY")
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(file))
    assert [row["state"] for row in world.run("accounts", "--json").objects] == ["ready"]


@pytest.mark.parametrize("value", ["", "short", "c2hvcnQ="])
def test_keys_says_what_is_wrong_with_a_key(
    world: World, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", value)
    for done in (world.run("keys"), run_process("token", ADA)):
        assert (done.code, done.out) == (2, "")
        assert "MAILOAUTH_KEY" in done.err


# token


def test_token_prints_the_token_alone(world: World) -> None:
    done = world.run("token", ADA)
    assert (done.code, done.err) == (0, "")
    assert done.out == token_source(world.emulator.account(ADA)).get().value + "\n"
    assert world.emulator.identity.holder(done.out.strip()) == ADA


def test_token_refresh_gets_another(world: World) -> None:
    before = world.run("token", ADA).out
    after = world.run("token", ADA, "--refresh").out
    assert after not in {before, ""}
    assert world.run("token", ADA).out == after


def test_token_has_the_documented_json(world: World) -> None:
    (row,) = world.run("token", ADA, "--json").objects
    assert list(row) == ["access_token", "expires_at", "scopes", "account"]
    assert row["account"] == ADA
    assert row["expires_at"].endswith("Z")
    assert any("IMAP" in scope for scope in row["scopes"])


@pytest.mark.parametrize(
    ("protocol", "mailbox", "user"),
    [
        ("imap", None, "ada.lovelace@example.com"),
        ("imap", "team@example.com", "team@example.com"),
        ("smtp", "team@example.com", "ada.lovelace@example.com"),
    ],
)
def test_token_sasl_is_what_the_server_is_sent(
    capsys: pytest.CaptureFixture[str], protocol: str, mailbox: str | None, user: str
) -> None:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        emulator.add_user("lace@example.com", upn="ada.lovelace@example.com")
        account = dataclasses.replace(emulator.account("lace@example.com"), mailbox=None)
        sign_in(account, open_url=emulator.browser)
        save_account(account)
        more = ("--mailbox", mailbox) if mailbox else ()
        sent = base64.b64decode(world.run("token", account.name, "--sasl", protocol, *more).out)
        token = world.run("token", account.name).out.strip()
    assert sent == f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def test_a_home_that_cannot_be_written_is_a_clear_error(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A file where the folder should be refuses root too, whom a mode would not stop.
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("MAILOAUTH_CLIENT_ID", "some-id")
    done = world.run("login", "ada@outlook.com")
    assert done.code == 2
    assert str(tmp_path / "file") in done.err
    assert "Traceback" not in done.err


def test_the_records_folder_is_the_one_that_is_named(world: World) -> None:
    assert str(paths.records_folder()).startswith(os.environ["MAILOAUTH_HOME"])
    assert str(paths.records_folder()) in world.run("keys").out
