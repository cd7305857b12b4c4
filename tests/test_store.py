"""Sealing: what is written can be opened with its key under its name, and in no other way."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import StoreError
from mailoauth.tokens import envelope
from mailoauth.tokens.files import FileStore, MemoryStore
from mailoauth.tokens.store import SealedRecords, Sealer
from tests.store_contract import ONE, TWO, StoreContract

if TYPE_CHECKING:
    from mailoauth.tokens.token import TokenStore

MARKER = b"marker-of-a-refresh-token"


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A home and a key of the test's own, in the environment."""
    text = new_key()
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAILOAUTH_KEY", text)
    monkeypatch.delenv("MAILOAUTH_KEY_FILE", raising=False)
    return text


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def records(store: MemoryStore) -> SealedRecords:
    return SealedRecords(store)


def sealed(store: TokenStore, key: str = ONE) -> bytes:
    data = store.load(key)
    assert data is not None
    return data


class TestSealedRecordsInFiles(StoreContract):
    def make(self, folder: Path) -> TokenStore:
        return SealedRecords(FileStore(folder))


class TestSealedRecordsInMemory(StoreContract):
    def make(self, folder: Path) -> TokenStore:
        del folder
        return SealedRecords(MemoryStore())


def test_the_store_never_sees_what_was_sealed(store: MemoryStore, records: SealedRecords) -> None:
    records.save(ONE, MARKER)
    assert MARKER not in sealed(store)
    assert records.load(ONE) == MARKER


def test_the_same_record_is_never_sealed_to_the_same_bytes_twice(records: SealedRecords) -> None:
    sealer = Sealer()
    assert len({sealer.seal(ONE, MARKER) for _ in range(100)}) == 100


def test_a_record_names_its_key_but_does_not_show_it(store: MemoryStore, key: str) -> None:
    SealedRecords(store).save(ONE, MARKER)
    header = json.loads(sealed(store).split(b"\n")[0])
    assert header["mailoauth"] == 1
    assert header["source"] == "environment variable MAILOAUTH_KEY"
    assert len(header["key"]) == 16
    assert header["key"] not in base64.b64decode(key).hex()


def test_a_record_cannot_be_passed_off_as_another_one(
    store: MemoryStore, records: SealedRecords
) -> None:
    records.save(ONE, MARKER)
    store.save(TWO, sealed(store))
    with pytest.raises(StoreError, match="damaged"):
        records.load(TWO)


def test_damage_at_any_byte_is_a_store_error(store: MemoryStore, records: SealedRecords) -> None:
    records.save(ONE, MARKER)
    whole = sealed(store)
    for position in range(len(whole)):
        for bit in (1, 16, 128):
            changed = bytearray(whole)
            changed[position] ^= bit
            store.save(ONE, bytes(changed))
            with pytest.raises(StoreError):
                records.load(ONE)


def test_a_record_cut_short_anywhere_is_a_store_error(
    store: MemoryStore, records: SealedRecords
) -> None:
    records.save(ONE, MARKER)
    whole = sealed(store)
    for length in range(len(whole)):
        store.save(ONE, whole[:length])
        with pytest.raises(StoreError, match="damaged"):
            records.load(ONE)


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"7",
        b"null",
        b'{"mailoauth": true, "key": "", "source": ""}',
        b'{"mailoauth": "1", "key": "", "source": ""}',
        b'{"mailoauth": 1, "key": 5, "source": ""}',
        b'{"mailoauth": 1}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_anything_else_in_a_records_place_is_damage(
    store: MemoryStore, records: SealedRecords, line: bytes
) -> None:
    store.save(ONE, line + b"\n" + bytes(100))
    with pytest.raises(StoreError, match="damaged"):
        records.load(ONE)


def test_a_record_of_another_key_says_which_key_it_needs(
    store: MemoryStore, records: SealedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.save(ONE, MARKER)
    monkeypatch.setenv("MAILOAUTH_KEY", new_key())
    with pytest.raises(StoreError) as caught:
        records.load(ONE)
    said = str(caught.value)
    assert "written with the key in the environment variable MAILOAUTH_KEY" in said
    assert json.loads(sealed(store).split(b"\n")[0])["key"] in said
    assert "mailoauth login" in said


def test_what_a_header_says_reaches_messages_without_control_characters(
    store: MemoryStore, records: SealedRecords
) -> None:
    line = envelope.header_line("0" * 16, "keyring: \x1b[2J\n" + "x" * 5000)
    store.save(ONE, line + bytes(100))
    with pytest.raises(StoreError) as caught:
        records.load(ONE)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def later_format(data: bytes) -> bytes:
    return data.replace(b'"mailoauth": 1', b'"mailoauth": 2', 1)


def test_a_record_of_a_later_mailoauth_is_neither_opened_nor_replaced(
    store: MemoryStore, records: SealedRecords
) -> None:
    records.save(ONE, MARKER)
    newer = later_format(sealed(store))
    store.save(ONE, newer)
    for use in (records.load, records.load_for_replacement, lambda key: records.save(key, b"")):
        with pytest.raises(StoreError, match=r"later version.*Update mailoauth"):
            use(ONE)
    assert store.load(ONE) == newer
    records.delete(ONE)
    assert store.load(ONE) is None


def test_a_sign_in_may_replace_what_cannot_be_opened(
    store: MemoryStore, records: SealedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records.load_for_replacement(ONE) is None
    records.save(ONE, MARKER)
    assert records.load_for_replacement(ONE) == MARKER
    store.save(TWO, b"rubbish")
    assert records.load_for_replacement(TWO) is None
    monkeypatch.setenv("MAILOAUTH_KEY", new_key())
    assert records.load_for_replacement(ONE) is None
    records.save(ONE, b"new")
    assert records.load(ONE) == b"new"


def test_records_are_listed_and_deleted_without_a_key(
    store: MemoryStore, records: SealedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.save(ONE, MARKER)
    monkeypatch.setenv("MAILOAUTH_KEY", "not a key")
    assert list(records.list()) == [ONE]
    records.delete(ONE)
    assert list(records.list()) == []


def test_no_room_is_reserved_where_no_key_is_to_be_had(
    records: SealedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", "not a key")
    with pytest.raises(StoreError, match="MAILOAUTH_KEY"):
        records.reserve(ONE, 100)
    with pytest.raises(StoreError, match="MAILOAUTH_KEY"):
        records.check()


def test_the_room_reserved_is_enough_for_the_record_with_its_seal(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "records")
    records = SealedRecords(store)
    with records.reserve(ONE, len(MARKER)):
        (temporary,) = store.folder.glob("*.tmp")
        room = temporary.stat().st_size
        records.save(ONE, MARKER)
    assert len(sealed(store)) <= room


def test_a_store_of_somebody_elses_needs_the_five_verbs_only(records: SealedRecords) -> None:
    class Plain:
        def __init__(self) -> None:
            self.inner = MemoryStore()
            self.load, self.save = self.inner.load, self.inner.save
            self.delete, self.list = self.inner.delete, self.inner.list

        def lock(self, key: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as users write it
            return self.inner.lock(key)

    records = SealedRecords(Plain())
    with records.lock(ONE, timeout=1), records.reserve(ONE, 100):
        records.save(ONE, MARKER)
    assert records.load(ONE) == MARKER


def test_a_session_with_a_key_in_the_environment_never_imports_keyring() -> None:
    script = f"""
import sys
from mailoauth.tokens.store import SealedRecords
from mailoauth.tokens.files import FileStore
assert "cryptography" not in sys.modules, "sealing nothing needs no cipher"
records = SealedRecords(FileStore())
with records.lock({ONE!r}), records.reserve({ONE!r}, 10):
    records.save({ONE!r}, b"record")
assert records.load({ONE!r}) == b"record"
print([name for name in sys.modules if name.split(".")[0] == "keyring"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.strip() == "[]"
