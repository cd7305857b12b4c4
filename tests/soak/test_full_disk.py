"""The disk is full when a token is to be renewed: before the request, or between it and the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from mailoauth import TokenCache, paths
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import StoreError
from mailoauth.tokens.source import LazyRefresher, identity_of
from tests.soak.scale import ADA, sign_in, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import Grant

pytestmark = pytest.mark.soak


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep mailoauth's home on a disk of half a megabyte."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system, on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this container may not mount a small file system")
    monkeypatch.setenv("MAILOAUTH_HOME", str(folder / "home"))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    # Under strict rotation an answer that is not kept is a sign-in that is lost.
    with OutlookEmulator(rotation="strict") as emulator:
        emulator.add_user(ADA)
        yield emulator


def fill(disk: Path) -> None:
    """Write until nothing more fits, not even a byte in the last block."""
    with (disk / "ballast").open("ab", 0) as ballast:
        for size in (4096, 1):
            with suppress(OSError):
                while ballast.write(bytes(size)) == size:
                    pass


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    fill(disk)
    with pytest.raises(OSError, match="No space left"):
        (disk / "probe").write_bytes(b"x")
    yield
    (disk / "ballast").unlink()
    (disk / "probe").unlink()


class FillingRefresher(LazyRefresher):
    """Somebody else fills the disk while the identity service answers."""

    def __init__(self, account: Account, disk: Path) -> None:
        super().__init__(account, identity_of(account))
        self._disk = disk

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        grant = super().refresh(refresh_token, discovered)
        fill(self._disk)
        return grant


def signed_in(emulator: OutlookEmulator) -> TokenCache:
    source = source_of(emulator.account(ADA))
    sign_in(emulator, source)
    return source


def test_a_disk_that_is_full_before_the_request_costs_no_request_and_no_sign_in(
    disk: Path, emulator: OutlookEmulator
) -> None:
    source = signed_in(emulator)
    token = source.get()
    with filled(disk):
        with pytest.raises(StoreError, match=r"No space left.*Free some space"):
            source.get(rejected=token)
        assert emulator.token_requests == []
        assert source_of(emulator.account(ADA)).get() == token, "the old record is whole"
    renewed = source.get(rejected=token)
    print(f"\nfull before the request: {len(emulator.token_requests)} request, after it had room")
    assert emulator.identity.holder(renewed.value) == ADA
    assert len(emulator.token_requests) == 1


def test_a_disk_that_fills_up_before_the_answer_loses_nothing(
    disk: Path, emulator: OutlookEmulator
) -> None:
    account = emulator.account(ADA)
    token = signed_in(emulator).get()
    filling = source_of(account, refresher=FillingRefresher(account, disk))
    renewed = filling.get(rejected=token)
    another = source_of(account)
    assert another.get() == renewed, "another process reads it from the full disk"
    assert emulator.identity.holder(renewed.value) == ADA
    assert list(paths.records_folder().glob("*.tmp")) == []
    (disk / "ballast").unlink()
    # The refresh token was kept as well: the next refresh is not a re-use.
    assert emulator.identity.holder(another.get(rejected=renewed).value) == ADA
    requests = len(emulator.token_requests)
    print(f"\nfull between request and answer: record kept, {requests} requests, 0 sign-ins lost")
    assert requests == 2
