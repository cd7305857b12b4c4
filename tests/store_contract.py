"""What every TokenStore must do; a test class inherits this and makes the store."""

from __future__ import annotations

import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.tokens.token import TokenStore

ONE = "1" * 64
TWO = "2" * 64

NOT_KEYS = [
    "",
    "../../etc/passwd",
    "a" * 63,
    "a" * 65,
    "A" * 64,
    "a" * 64 + "\n",
    "g" * 64,
    "/" * 64,
]


class StoreContract:
    """Inherit it, and return a new and empty store from :meth:`make`."""

    @abstractmethod
    def make(self, folder: Path) -> TokenStore: ...

    @pytest.fixture
    def store(self, tmp_path: Path) -> TokenStore:
        return self.make(tmp_path / "records")

    def test_nothing_is_loaded_before_something_is_saved(self, store: TokenStore) -> None:
        assert store.load(ONE) is None
        assert list(store.list()) == []

    def test_what_was_saved_is_loaded(self, store: TokenStore) -> None:
        data = bytes(range(256)) * 40
        store.save(ONE, data)
        assert store.load(ONE) == data
        assert store.load(TWO) is None

    def test_the_last_one_saved_counts_also_if_it_is_shorter(self, store: TokenStore) -> None:
        store.save(ONE, b"long" * 5000)
        store.save(ONE, b"short")
        assert store.load(ONE) == b"short"

    def test_no_bytes_at_all_are_not_the_same_as_nothing(self, store: TokenStore) -> None:
        store.save(ONE, b"")
        assert store.load(ONE) == b""

    def test_the_keys_that_have_data_are_listed(self, store: TokenStore) -> None:
        store.save(ONE, b"1")
        store.save(TWO, b"2")
        assert sorted(store.list()) == [ONE, TWO]

    def test_what_was_deleted_is_gone_and_may_be_deleted_again(self, store: TokenStore) -> None:
        store.save(ONE, b"1")
        store.delete(ONE)
        store.delete(ONE)
        assert store.load(ONE) is None
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", NOT_KEYS)
    def test_a_key_that_is_not_64_hexadecimal_digits_is_refused(
        self, store: TokenStore, key: str
    ) -> None:
        for use in (store.load, store.delete, lambda name: store.save(name, b"")):
            with pytest.raises(ValueError, match="not the name of a record"):
                use(key)
        with pytest.raises(ValueError, match="not the name of a record"), store.lock(key):
            pass

    def test_threads_that_ask_for_the_same_key_exclude_each_other(self, store: TokenStore) -> None:
        store.save(ONE, b"0")

        def count_up(_: int) -> None:
            with store.lock(ONE):
                number = int(store.load(ONE) or b"0")
                store.save(ONE, b"%d" % (number + 1))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count_up, range(80)))
        assert store.load(ONE) == b"80"

    def test_another_key_can_be_locked_meanwhile(self, store: TokenStore) -> None:
        with store.lock(ONE), store.lock(TWO):
            pass

    def test_a_lock_may_be_freed_by_another_thread(self, store: TokenStore) -> None:
        lock = store.lock(ONE)
        taker = threading.Thread(target=lock.__enter__)
        taker.start()
        taker.join()
        lock.__exit__(None, None, None)
        with store.lock(ONE):
            pass

    def test_a_lock_is_freed_after_an_error(self, store: TokenStore) -> None:
        with pytest.raises(KeyError), store.lock(ONE):
            raise KeyError
        with store.lock(ONE):
            pass

    def test_saving_and_loading_need_no_lock(self, store: TokenStore) -> None:
        with store.lock(ONE):
            store.save(ONE, b"1")
            assert store.load(ONE) == b"1"

    def test_a_reader_sees_the_old_or_the_new_and_never_a_mix(self, store: TokenStore) -> None:
        versions = [bytes([65 + number]) * (1000 + 3000 * number) for number in range(5)]
        store.save(ONE, versions[0])
        done = threading.Event()
        seen: set[bytes | None] = set()

        def read() -> None:
            while not done.is_set():
                seen.add(store.load(ONE))

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            for number in range(60):
                store.save(ONE, versions[number % 5])
            done.set()
            for reader in readers:
                reader.result()
        assert seen <= set(versions)
