"""Where the key is, and how it moves: never nowhere, never over another one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import keyring
import pytest

from mailoauth.errors import StoreError
from mailoauth.tokens.files import MemoryStore
from mailoauth.tokens.keyplace import KeyPlace, move_key, where
from mailoauth.tokens.keys import create_key_file
from mailoauth.tokens.store import SealedRecords
from tests.keyrings import TEXT, VALUE, WorkingKeyring, begin, no_keyring
from tests.store_contract import ONE, TWO

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def test_where_makes_no_key(working: WorkingKeyring) -> None:
    assert where() == KeyPlace("keyring", "tests.keyrings.WorkingKeyring")
    assert working.entries == {}


def test_the_key_moves_from_the_keyring_to_a_file(
    working: WorkingKeyring, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SealedRecords(store).save(ONE, b"record")
    store.save(TWO, b"rubbish")
    move = move_key(tmp_path / "key", store)
    assert (move.old.source, move.new.source, move.removed) == ("keyring", "key file", True)
    assert (move.opened, move.unopened) == (1, 1)
    assert any(f"MAILOAUTH_KEY_FILE={tmp_path / 'key'}" in step for step in move.next_steps)
    assert working.entries == {}
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(tmp_path / "key"))
    assert SealedRecords(store).load(ONE) == b"record"


def test_after_a_move_the_old_place_leads_to_the_new_one(
    working: WorkingKeyring, store: MemoryStore, tmp_path: Path
) -> None:
    SealedRecords(store).save(ONE, b"record")
    move_key(tmp_path / "key", store)
    with pytest.raises(StoreError, match="MAILOAUTH_KEY_FILE"):
        SealedRecords(store).save(TWO, b"record")
    assert working.entries == {}


def test_the_key_can_stay_in_the_old_place(
    working: WorkingKeyring, store: MemoryStore, tmp_path: Path
) -> None:
    SealedRecords(store).save(ONE, b"record")
    move = move_key(tmp_path / "key", store, remove=False)
    assert not move.removed
    assert len(working.entries) == 1
    assert any("still in the tests.keyrings.WorkingKeyring" in step for step in move.next_steps)


def test_the_key_moves_from_a_file_to_the_keyring(
    working: WorkingKeyring, store: MemoryStore, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    SealedRecords(store).save(ONE, b"record")
    move = move_key("keyring", store)
    assert (move.removed, key_file.exists()) == (True, False)
    assert list(working.entries.values()) == [TEXT]
    assert any("Take away MAILOAUTH_KEY_FILE" in step for step in move.next_steps)
    monkeypatch.delenv("MAILOAUTH_KEY_FILE")
    assert SealedRecords(store).load(ONE) == b"record"


def test_a_key_in_the_environment_is_copied_and_the_person_told_to_take_it_out(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", TEXT)
    move = move_key(tmp_path / "key", store)
    assert not move.removed
    assert any("Take MAILOAUTH_KEY out" in step for step in move.next_steps)
    assert (tmp_path / "key").read_text().strip() == TEXT


@posix_only
def test_moving_a_key_to_where_it_is_keeps_it(
    store: MemoryStore, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    (tmp_path / "link").symlink_to(key_file)
    (tmp_path / "hard").hardlink_to(key_file)
    for path in (key_file, tmp_path / "link", tmp_path / "hard"):
        assert not move_key(path, store).removed
    assert key_file.read_text().strip() == TEXT


def test_moving_a_key_within_the_keyring_keeps_it(
    working: WorkingKeyring, store: MemoryStore
) -> None:
    SealedRecords(store).check()
    assert not move_key("keyring", store).removed
    assert len(working.entries) == 1


def test_a_file_with_something_else_in_it_is_never_the_new_place(
    working: WorkingKeyring, store: MemoryStore, key_file: Path, tmp_path: Path
) -> None:
    SealedRecords(store).check()
    (tmp_path / "notes").write_text("notes")
    for path in (key_file, tmp_path / "notes"):
        before = path.read_text()
        with pytest.raises(StoreError, match=path.name):
            move_key(path, store)
        assert path.read_text() == before
    assert len(working.entries) == 1


def test_another_key_in_the_keyring_is_never_replaced(
    working: WorkingKeyring, store: MemoryStore, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SealedRecords(store).check()
    before = dict(working.entries)
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(key_file))
    with pytest.raises(StoreError, match="holds another key"):
        move_key("keyring", store)
    assert working.entries == before
    assert key_file.exists()


def test_there_is_nothing_to_move_before_there_is_a_key(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no key yet"):
        move_key(tmp_path / "key", store)
    assert not (tmp_path / "key").exists()


@posix_only
def test_a_move_killed_at_any_call_of_the_system_loses_no_key_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    script = """
        import os, signal, sys
        from pathlib import Path
        from mailoauth.tokens.files import FileStore
        from mailoauth.tokens.keyplace import move_key

        left = int(sys.argv[2])
        def watch(event, arguments):
            global left
            changes = event in ("os.remove", "os.rename", "os.link") or (
                event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            )
            if changes and (left := left - 1) < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        move_key(Path(sys.argv[1]), FileStore())
    """
    old, new = tmp_path / "old", tmp_path / "new"
    ends = []
    for calls in range(400):
        old.unlink(missing_ok=True)
        new.unlink(missing_ok=True)
        create_key_file(old, VALUE)
        command = [sys.executable, "-c", textwrap.dedent(script), str(new)]
        environment = {**os.environ, "MAILOAUTH_KEY_FILE": str(old)}
        ends.append(
            subprocess.run(
                [*command, str(calls)],
                env=environment,
                check=False,
                cwd=Path(__file__).parent.parent,
            ).returncode
        )
        kept = [path for path in (old, new) if path.exists() and path.read_text().strip() == TEXT]
        assert kept
        if ends[-1] == 0:
            break
    assert ends[-1] == 0
    assert len(ends) > 3
    assert ends.count(-9) == len(ends) - 1
