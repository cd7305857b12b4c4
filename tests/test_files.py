"""FileStore and MemoryStore: the contract, locks, reserved room, and other people's eyes."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import ConfigError, ConnectionTimedOut, StoreError
from mailoauth.tokens.files import FileStore, MemoryStore
from tests.store_contract import ONE, TWO, StoreContract
from tests.store_processes import HOLD, holder, names, start

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.tokens.token import TokenStore


posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has neither modes nor fork")


class TestFileStore(StoreContract):
    def make(self, folder: Path) -> TokenStore:
        return FileStore(folder)


class TestMemoryStore(StoreContract):
    def make(self, folder: Path) -> TokenStore:
        del folder
        return MemoryStore()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "records")


# Where the files lie


def test_two_stores_on_one_folder_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path))
    with (
        FileStore().lock(ONE),
        pytest.raises(ConnectionTimedOut),
        FileStore(tmp_path / "records").lock(ONE, timeout=0.05),
    ):
        pass


def test_records_and_locks_lie_under_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path))
    store = FileStore()
    with store.lock(ONE):
        store.save(ONE, b"1")
    assert (tmp_path / "records" / f"{ONE}.record").read_bytes() == b"1"
    assert (tmp_path / "locks" / f"{ONE}.lock").exists()


def test_two_stores_of_the_same_folder_exclude_each_other(store: FileStore) -> None:
    other = FileStore(store.folder)
    with store.lock(ONE), pytest.raises(ConnectionTimedOut), other.lock(ONE, timeout=0.05):
        pass


def test_files_of_other_kinds_are_not_records(store: FileStore) -> None:
    store.save(ONE, b"1")
    (store.folder / "notes.record").write_text("mine")
    (store.folder / f"{TWO}.record.old").write_text("mine")
    assert store.list() == [ONE]


# Who may read


@posix_only
def test_files_are_for_their_owner_only_whatever_the_umask(store: FileStore) -> None:
    before = os.umask(0)
    try:
        with store.lock(ONE), store.reserve(ONE, 100):
            (temporary,) = store.folder.glob("*.tmp")
            assert temporary.stat().st_mode & 0o777 == 0o600
            store.save(ONE, b"1")
        store.save(TWO, b"2")
    finally:
        os.umask(before)
    for path in (*store.folder.glob("*.record"), *store.folder.glob("locks/*")):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert (store.folder / "locks").stat().st_mode & 0o777 == 0o700


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_record_that_others_can_read_is_an_error_that_names_the_cure(
    store: FileStore, mode: int
) -> None:
    store.save(ONE, b"1")
    path = store.folder / f"{ONE}.record"
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"chmod 600 '{path}'"):
        store.load(ONE)


def test_a_wrong_key_is_an_error_of_the_configuration_that_quotes_no_more_than_needed(
    store: FileStore,
) -> None:
    with pytest.raises(ConfigError) as caught, store.reserve("x" * 5000, 10):
        pass
    assert len(str(caught.value)) < 300


# Locks


def test_two_processes_exclude_each_other(store: FileStore) -> None:
    count_up = """
        for _ in range(40):
            with store.lock(ONE):
                number = int(store.load(ONE) or b"0")
                store.save(ONE, b"%d" % (number + 1))
    """
    processes = [start(store, count_up) for _ in range(3)]
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert store.load(ONE) == b"120"


def test_a_lock_that_is_not_had_in_time_says_who_has_it(store: FileStore) -> None:
    with holder(store, HOLD):
        with pytest.raises(ConnectionTimedOut, match="Another process is refreshing this token"):
            store.lock(ONE, timeout=0.1).__enter__()
        with store.lock(TWO, timeout=0):
            pass


def test_a_thread_of_this_process_that_has_the_lock_is_named_as_such(store: FileStore) -> None:
    with (
        store.lock(ONE),
        pytest.raises(ConnectionTimedOut, match="Another thread"),
        store.lock(ONE, timeout=0.05),
    ):
        pass


def test_a_killed_process_frees_its_lock_and_its_temporary_file(store: FileStore) -> None:
    with holder(store, HOLD) as process:
        assert len(names(store, ".tmp")) == 1
        process.kill()
        process.wait()
        with store.lock(ONE, timeout=10):
            assert names(store, ".tmp") == []


def test_what_a_living_process_has_reserved_is_not_cleaned_away(store: FileStore) -> None:
    reserve_only = HOLD.replace("store.lock(ONE), ", "")
    with holder(store, reserve_only), store.lock(ONE):
        assert len(names(store, ".tmp")) == 1


def test_cleaning_up_never_disturbs_a_save_at_work(store: FileStore) -> None:
    done = threading.Event()

    def clean() -> None:
        while not done.is_set():
            with store.lock(ONE):
                pass

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(300):
            store.save(ONE, b"%d" % number)
    finally:
        done.set()
        cleaner.join()
    assert store.load(ONE) == b"299"
    assert names(store, ".tmp") == []


def test_a_lock_that_the_file_system_refuses_is_a_store_error(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "records")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "locks").write_text("a file in the folder's place")
    with pytest.raises(StoreError, match="locks"), store.lock(ONE):
        pass


# Reserving


def test_a_save_uses_the_room_that_was_reserved(store: FileStore) -> None:
    with store.reserve(ONE, 8000):
        (temporary,) = store.folder.glob("*.tmp")
        room = temporary.stat()
        assert room.st_size == 8000
        store.save(ONE, b"short")
        assert names(store, ".tmp") == []
    assert store.load(ONE) == b"short"
    assert (store.folder / f"{ONE}.record").stat().st_ino == room.st_ino


def test_room_that_was_not_used_is_given_back(store: FileStore) -> None:
    store.save(ONE, b"old")
    with pytest.raises(KeyError), store.reserve(ONE, 8000):
        raise KeyError
    assert names(store, ".tmp") == []
    assert store.load(ONE) == b"old"
    store.save(ONE, b"new")
    assert store.load(ONE) == b"new"


def test_more_than_was_reserved_can_be_saved_and_more_than_once(store: FileStore) -> None:
    with store.reserve(ONE, 10):
        store.save(ONE, b"x" * 5000)
        store.save(ONE, b"y" * 6000)
        store.save(TWO, b"z")
    assert store.load(ONE) == b"y" * 6000
    assert names(store, ".tmp") == []
