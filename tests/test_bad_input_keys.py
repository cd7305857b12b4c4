"""Trouble with the key and the keyring: a clear error, and no record is ever lost."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.errors import KeyringLocked

from mailoauth import sign_in
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import StoreError
from tests.bad_input import BOB, ada, moved, records, refused, subjects
from tests.judges import note
from tests.keyrings import RaisingKeyring, begin, no_keyring
from tests.session_colours import ADA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        made.add_user(BOB)
        made.deliver(ADA, note("unread"))
        yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("MAILOAUTH_HOME", str(folder))
    return folder


# The key.


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (base64.b64encode(bytes(16)).decode(), "a key of 16 bytes instead of 32"),
        (base64.b64encode(bytes(33)).decode(), "a key of 33 bytes instead of 32"),
        ("not base64, but secret", "is not base64"),
        ("", "is empty"),
    ],
)
def test_a_key_of_the_wrong_length_is_named_and_never_shown(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    account = ada(emulator)
    good, before = os.environ["MAILOAUTH_KEY"], records(home)
    monkeypatch.setenv("MAILOAUTH_KEY", key)
    home = moved(home, monkeypatch)
    error = refused(emulator, account, StoreError, f"MAILOAUTH_KEY.*{said}|{said}")
    assert "MAILOAUTH_KEY" in str(error)
    assert "Set MAILOAUTH_KEY here to the value that it had then." in error.remedy
    assert not key or key not in str(error)
    assert records(home) == before
    monkeypatch.setenv("MAILOAUTH_KEY", good)
    assert subjects(account) == ["unread"]


def test_a_key_that_is_not_the_records_own_is_told_apart(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    before = records(home)
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(os.urandom(32)).decode())
    home = moved(home, monkeypatch)
    error = refused(emulator, account, StoreError, "This process has another")
    assert "Set MAILOAUTH_KEY here to the value that it had then." in error.remedy
    assert records(home) == before


@pytest.mark.parametrize("missing", ["file", "folder in its place"])
def test_a_key_file_that_is_gone_is_named(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    account = ada(emulator)
    before = records(home)
    monkeypatch.delenv("MAILOAUTH_KEY")
    path = home.parent / "key"
    if missing != "file":
        path.mkdir()
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(path))
    home = moved(home, monkeypatch)
    error = refused(emulator, account, StoreError, "cannot be")
    assert str(path) in str(error)
    assert records(home) == before


# The keyring.


@pytest.fixture
def in_keyring(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose key is in the keyring."""
    begin(home, monkeypatch)
    yield home
    keyring.set_keyring(no_keyring())


def test_a_locked_keyring_says_so_and_works_once_it_is_unlocked(
    emulator: OutlookEmulator, in_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    unlocked, before = keyring.get_keyring(), records(in_keyring)
    keyring.set_keyring(RaisingKeyring(KeyringLocked("Failed to unlock the collection!")))
    in_keyring = moved(in_keyring, monkeypatch)
    error = refused(emulator, account, StoreError, "The keyring is locked")
    assert error.remedy.startswith("Unlock it and try again.")
    assert "mailoauth keys --move-to FILE" in error.remedy
    assert records(in_keyring) == before
    keyring.set_keyring(unlocked)
    assert subjects(account) == ["unread"]


def test_a_keyring_that_cron_does_not_have_says_what_to_do(
    emulator: OutlookEmulator, in_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    unlocked, before = keyring.get_keyring(), records(in_keyring)
    keyring.set_keyring(no_keyring())
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    in_keyring = moved(in_keyring, monkeypatch)
    error = refused(emulator, account, StoreError, "no keyring that may hold the key")
    assert "mailoauth keys --move-to FILE" in error.remedy
    assert "MAILOAUTH_KEY_FILE=FILE" in error.remedy
    assert records(in_keyring) == before
    keyring.set_keyring(unlocked)
    assert subjects(account) == ["unread"]


def test_without_any_keyring_nobody_is_asked_to_sign_in(
    emulator: OutlookEmulator, in_keyring: Path
) -> None:
    keyring.set_keyring(no_keyring())
    asked: list[str] = []
    with pytest.raises(StoreError, match="no keyring") as caught:
        sign_in(emulator.account(ADA), open_url=asked.append)
    assert asked == []
    assert "mailoauth keys --create FILE" in caught.value.remedy
