"""Where the key comes from: the environment, a file, the keyring, in this order."""

from __future__ import annotations

import base64
import logging
import os
import traceback
from typing import TYPE_CHECKING

import keyring
import pytest

from mailoauth.errors import StoreError
from mailoauth.tokens.files import FileStore, MemoryStore
from mailoauth.tokens.keyplace import KeyPlace, where
from mailoauth.tokens.keys import child_environment, create_key_file
from mailoauth.tokens.store import SealedRecords, Sealer
from tests.keyrings import TEXT, VALUE, WorkingKeyring, begin, no_keyring
from tests.store_contract import ONE, TWO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has neither modes nor signals")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def working(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkingKeyring]:
    yield begin(home, monkeypatch)
    keyring.set_keyring(no_keyring())


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    create_key_file(path, VALUE)
    return path


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def refusal(store: MemoryStore | FileStore | None = None) -> str:
    with pytest.raises(StoreError) as caught:
        SealedRecords(store or MemoryStore()).save(ONE, b"record")
    return str(caught.value)


def test_the_environment_goes_before_the_file_and_the_keyring(
    monkeypatch: pytest.MonkeyPatch, key_file: Path, working: WorkingKeyring
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(bytes(32)).decode())
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    key = Sealer().find()
    assert key
    assert (key.source, key.detail, key.value) == ("environment", "MAILOAUTH_KEY", bytes(32))
    assert working.asked == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("marker-of-a-key", "not base64"),
        (TEXT[:-1], "not base64"),
        ("märker", "not base64"),
        (TEXT + "\n" + TEXT, "not base64"),
        (base64.b64encode(b"marker-of-a-key.").decode(), "16 bytes instead of 32"),
        (base64.b64encode(bytes(64)).decode(), "64 bytes instead of 32"),
    ],
)
def test_a_key_in_the_environment_that_is_none_is_an_error_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, text: str, problem: str, working: WorkingKeyring
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", text)
    with pytest.raises(StoreError, match=problem) as caught:
        Sealer().find()
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value))
    assert "MAILOAUTH_KEY" in str(caught.value)
    assert not text.strip() or text.strip()[:10] not in shown
    assert working.asked == 0


def test_a_key_that_changes_in_the_environment_counts_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", TEXT)
    sealer = Sealer()
    before = sealer.find()
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(bytes(32)).decode())
    after = sealer.find()
    assert before
    assert after
    assert before.fingerprint != after.fingerprint


def test_a_key_is_not_shown_by_its_repr_nor_by_its_fingerprint() -> None:
    from mailoauth.tokens.keys import Key

    key = Key(VALUE, "environment", "MAILOAUTH_KEY")
    assert TEXT not in repr(key)
    assert repr(VALUE) not in repr(key)
    assert key.fingerprint not in VALUE.hex()


def test_child_processes_get_no_key() -> None:
    base = {"PATH": "/bin", "MAILOAUTH_KEY": "k", "MAILOAUTH_KEY_FILE": "f", "APP_SECRET": "s"}
    assert child_environment(base, drop=["APP_SECRET"]) == {"PATH": "/bin"}
    assert base["MAILOAUTH_KEY"] == "k"
    assert child_environment()["PATH"] == os.environ["PATH"]


# The key file


def test_the_file_goes_before_the_keyring(
    monkeypatch: pytest.MonkeyPatch, key_file: Path, working: WorkingKeyring
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    records = SealedRecords(MemoryStore())
    records.save(ONE, b"record")
    assert records.load(ONE) == b"record"
    assert where() == KeyPlace("key file", str(key_file), where().fingerprint)
    assert working.asked == 0


def test_the_file_can_be_named_in_the_accounts_file(home: Path, key_file: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "accounts.toml").write_text(f"[store]\nkey_file = '{key_file}'\n")
    for _ in range(2):
        key = Sealer().find()
        assert key
        assert (key.source, key.value) == ("key file", VALUE)
    (home / "accounts.toml").write_text("[store]\n")
    assert Sealer().find() is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        ("a folder", "cannot be read: Is a directory"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        (TEXT[:20], "15 bytes instead of 32"),
        (f"{TEXT}\n{TEXT}\n", "not base64"),
        ("key = " + TEXT, "not base64"),
    ],
)
@posix_only
def test_a_file_that_is_named_and_unusable_is_an_error_and_never_the_keyring(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    working: WorkingKeyring,
    content: str | None,
    problem: str,
) -> None:
    path = tmp_path / "named"
    if content == "a folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
        path.chmod(0o600)
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(path))
    said = refusal()
    assert problem in said
    assert str(path) in said
    assert TEXT[:12] not in said
    assert working.asked == 0
    assert where().problem


@posix_only
def test_a_file_that_others_can_read_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    with caplog.at_level(logging.WARNING, "mailoauth.tokens"):
        Sealer().find(again=True)
        assert caplog.text == ""
        key_file.chmod(0o644)
        assert Sealer().find(again=True)
    assert f"chmod 600 '{key_file}'" in caplog.text
    assert TEXT not in caplog.text


def test_a_file_is_read_once_and_again_when_a_record_needs_another_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: MemoryStore
) -> None:
    path = tmp_path / "key"
    create_key_file(path)
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(path))
    records = SealedRecords(store)
    records.save(ONE, b"with the old key")
    path.unlink()
    assert records.load(ONE) == b"with the old key"
    create_key_file(path, VALUE)
    monkeypatch.setenv("MAILOAUTH_KEY", TEXT)
    records.save(TWO, b"with the new key")
    monkeypatch.delenv("MAILOAUTH_KEY")
    assert records.load(TWO) == b"with the new key"


@posix_only
def test_a_new_key_file_is_private_whole_and_never_the_same(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "new" / "one")
        create_key_file(tmp_path / "new" / "two")
    finally:
        os.umask(before)
    one, two = (tmp_path / "new" / "one"), (tmp_path / "new" / "two")
    assert one.stat().st_mode & 0o777 == 0o600
    assert one.parent.stat().st_mode & 0o777 == 0o700
    assert len(base64.b64decode(one.read_text())) == 32
    assert one.read_text() != two.read_text()


def test_what_is_there_already_is_never_overwritten_by_a_new_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("something")
    with pytest.raises(StoreError, match="exists already"):
        create_key_file(path)
    assert path.read_text() == "something"
