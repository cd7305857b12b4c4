"""The key in the keyring, and keyrings that are not fit to hold it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.errors import InitError, KeyringLocked, NoKeyringError

from mailoauth.errors import StoreError
from mailoauth.tokens.files import FileStore, MemoryStore
from mailoauth.tokens.keyplace import where
from mailoauth.tokens.keys import create_key_file
from mailoauth.tokens.store import SealedRecords, Sealer
from mailoauth.tokens.vault import KeyringEntry
from tests.keyrings import (
    TEXT,
    VALUE,
    CuttingKeyring,
    DroppingKeyring,
    HangingKeyring,
    LeakingKeyring,
    MyPlaintextKeyring,
    PlaintextKeyring,
    PyWinError,
    RaisingKeyring,
    ReadOnlyKeyring,
    WorkingKeyring,
    begin,
    chained,
    no_keyring,
    null_keyring,
)
from tests.store_contract import ONE, TWO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyring.backend import KeyringBackend


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


def test_the_first_record_makes_a_key_in_the_keyring_and_the_next_ones_use_it(
    home: Path, working: WorkingKeyring, store: MemoryStore
) -> None:
    SealedRecords(store).check()
    ((service, entry),) = working.entries
    assert service == "mailoauth"
    assert (home / "keyring-id").read_text().strip() == entry
    assert len(base64.b64decode(working.entries[service, entry])) == 32
    SealedRecords(store).save(ONE, b"one")
    SealedRecords(store).save(TWO, b"two")
    assert SealedRecords(store).load(ONE) == b"one"
    assert len(working.entries) == 1


def test_the_keyring_is_asked_once_in_the_life_of_a_process(
    working: WorkingKeyring, store: MemoryStore
) -> None:
    SealedRecords(store).save(ONE, b"record")
    asked = working.asked
    for _ in range(20):
        assert SealedRecords(store).load(ONE) == b"record"
        SealedRecords(store).save(ONE, b"record")
    assert working.asked == asked


def test_threads_that_need_a_key_at_the_same_time_make_one(working: WorkingKeyring) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: SealedRecords(MemoryStore()).check(), range(16)))
    assert len(working.entries) == 1


def test_a_key_that_another_process_made_meanwhile_is_used_and_not_replaced() -> None:
    made = [KeyringEntry(keyring.get_keyring).create() for _ in range(2)]
    assert made[0].value == made[1].value


def test_another_home_has_a_key_of_its_own(
    working: WorkingKeyring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: MemoryStore
) -> None:
    SealedRecords(store).save(ONE, b"record")
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "other"))
    SealedRecords(MemoryStore()).check()
    assert len(set(working.entries.values())) == 2
    with pytest.raises(StoreError, match="This process has another"):
        SealedRecords(store).load(ONE)


def test_no_key_is_made_while_there_are_records_that_it_could_not_open(
    working: WorkingKeyring, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", TEXT)
    SealedRecords(store).save(ONE, b"record")
    monkeypatch.delenv("MAILOAUTH_KEY")
    for use in (
        SealedRecords(store).check,
        lambda: SealedRecords(store).save(TWO, b"record"),
        lambda: SealedRecords(store).reserve(TWO, 10),
    ):
        with pytest.raises(StoreError, match=r"has no key.*MAILOAUTH_KEY_FILE"):
            use()
    assert working.entries == {}
    with pytest.raises(StoreError, match="environment variable MAILOAUTH_KEY"):
        SealedRecords(store).load(ONE)


def test_an_error_names_the_keyring_that_the_record_needs_and_the_way_out(
    working: WorkingKeyring, store: MemoryStore, home: Path
) -> None:
    SealedRecords(store).save(ONE, b"record")
    header, rest = (store.load(ONE) or b"").split(b"\n", 1)
    source = b"keyring: tests.keyrings.WorkingKeyring"
    assert source in header
    store.save(ONE, header.replace(source, b"keyring: Secret Service") + b"\n" + rest)
    (home / "keyring-id").unlink()
    with pytest.raises(StoreError) as caught:
        SealedRecords(store).load(ONE)
    said = str(caught.value)
    assert "written with the key in the Secret Service" in said
    assert "mailoauth keys --move-to FILE" in said
    if sys.platform == "linux" and "DBUS_SESSION_BUS_ADDRESS" not in os.environ:
        assert "no D-Bus session" in said


UNFIT = [
    (no_keyring(), "stands for no keyring at all"),
    (null_keyring(), "drops what it is given"),
    (PlaintextKeyring(), "stores plain text"),
    (MyPlaintextKeyring(), "stores plain text"),
    (DroppingKeyring(), "does not give back what it was given"),
    (CuttingKeyring(), "does not give back what it was given"),
    (ReadOnlyKeyring(), "does not give back what it was given"),
]


@pytest.mark.parametrize(("backend", "reason"), UNFIT, ids=lambda value: type(value).__name__)
def test_a_keyring_that_does_not_keep_a_secret_is_refused_by_name(
    backend: KeyringBackend, reason: str
) -> None:
    keyring.set_keyring(backend)
    store = MemoryStore()
    said = refusal(store)
    assert reason in said
    assert type(backend).__name__ in said
    assert "MAILOAUTH_KEY_FILE" in said
    assert "mailoauth keys --create FILE" in said
    assert list(store.list()) == []


RAISED = [
    (KeyringLocked("Failed to unlock the collection!"), "locked"),
    (NoKeyringError("No recommended backend was available."), "no keyring that this process"),
    (InitError("Failed to open keyring: no D-Bus"), "no D-Bus"),
    (RuntimeError("No recommended"), "RuntimeError"),
    (PyWinError(1783, "CredWrite", "The stub received bad data"), "1783"),
    (OSError(5, "Input/output error"), "Input/output error"),
    (SystemExit(3), "SystemExit"),
]


@pytest.mark.parametrize(("error", "reason"), RAISED, ids=lambda value: type(value).__name__)
def test_whatever_a_keyring_raises_is_a_store_error_with_the_ways_out(
    home: Path, error: BaseException, reason: str
) -> None:
    home.mkdir()
    (home / "keyring-id").write_text("0" * 32)
    keyring.set_keyring(RaisingKeyring(error))
    said = refusal()
    assert reason in said
    assert "mailoauth keys --create FILE" in said
    place = where()
    assert (place.source, place.usable) == ("keyring", False)
    assert reason in place.problem


def test_a_keyring_that_hangs_is_given_up() -> None:
    hanging = HangingKeyring()
    keyring.set_keyring(hanging)
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"did not answer within 0\.2 seconds"):
        # The read-back of a new key is the first that asks this keyring anything.
        SealedRecords(MemoryStore(), Sealer(keyring_wait=0.2)).check()
    assert time.monotonic() - started < 5
    hanging.release.set()


def test_an_error_that_quotes_the_key_does_not_carry_it_further(
    working: WorkingKeyring,
) -> None:
    keyring.set_keyring(LeakingKeyring())
    with pytest.raises(StoreError, match="cannot store <the key>") as caught:
        SealedRecords(MemoryStore()).check()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_backend_that_does_not_exist_is_a_store_error_that_names_the_variable() -> None:
    script = """
        from mailoauth.errors import StoreError
        from mailoauth.tokens.store import Sealer
        try:
            Sealer().check(records_exist=False)
        except StoreError as error:
            print(error)
    """
    for backend in ("no.such.Keyring", "keyring.backends.Windows.WinVaultKeyring", "nonsense"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env={**os.environ, "PYTHON_KEYRING_BACKEND": backend},
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert f"PYTHON_KEYRING_BACKEND is {backend!r}" in done.stdout
        assert "mailoauth keys --create FILE" in done.stdout


def test_a_broken_name_of_the_entry_is_an_error_and_not_a_second_key(
    home: Path, working: WorkingKeyring
) -> None:
    home.mkdir()
    (home / "keyring-id").write_text("rubbish")
    assert "keyring-id" in refusal()
    assert working.entries == {}


def test_a_chainer_keeps_the_key_in_its_first_fit_keyring(working: WorkingKeyring) -> None:
    plain, second = PlaintextKeyring(), WorkingKeyring()
    keyring.set_keyring(chained(plain, ReadOnlyKeyring(), second, working))
    SealedRecords(MemoryStore()).check()
    assert (len(plain.entries), len(second.entries), len(working.entries)) == (0, 1, 0)
    place = where()
    assert (place.usable, place.detail) == (True, "tests.keyrings.WorkingKeyring")


@pytest.mark.parametrize("members", [[], [PlaintextKeyring()], [null_keyring(), no_keyring()]])
def test_a_chainer_with_nothing_fit_behind_it_is_refused(members: list[KeyringBackend]) -> None:
    keyring.set_keyring(chained(*members))
    assert "no keyring that may hold the key" in refusal()
