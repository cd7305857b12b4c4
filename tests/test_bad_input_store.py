"""Trouble with home, disk, records and clock: a clear error, and no record is ever lost."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mailoauth import MailSession, load_account, save_account, sign_in, token_source
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import ConfigError, MailOAuthError, StoreError
from tests.bad_input import BOB, ada, moved, records, refused, subjects
from tests.judges import MovedClock, note, signed_in_source
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


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something at a folder for a while; skips where that is not to be had."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount, on Linux")
    command = ["mount", *options, str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this container may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    written = 4096
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", 0) as ballast:
        while written:
            written = ballast.write(bytes(4096))


# Home and disk.


def test_a_file_in_the_place_of_the_home_is_said_to_be_in_the_way(
    emulator: OutlookEmulator, home: Path
) -> None:
    home.write_text("a file")
    asked: list[str] = []
    account = emulator.account(ADA)
    with pytest.raises(MailOAuthError) as caught:
        sign_in(account, open_url=asked.append)
    assert isinstance(caught.value, StoreError)
    assert str(home) in str(caught.value)
    assert "MAILOAUTH_HOME" in caught.value.remedy
    assert asked == []
    with pytest.raises(ConfigError, match="accounts file"):
        save_account(account)
    assert home.read_text() == "a file"


def test_in_a_read_only_home_a_valid_token_is_used(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    before = records(home)
    home = moved(home, monkeypatch)
    with mounted(home, "--bind", "-o", "ro", str(home)):
        assert subjects(account) == ["unread"]
    assert records(home) == before


def test_in_a_read_only_home_nothing_is_refreshed_that_could_not_be_kept(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    before = records(home)
    emulator.expire_tokens()
    requests = len(emulator.token_requests)
    home = moved(home, monkeypatch)
    with mounted(home, "--bind", "-o", "ro", str(home)):
        with pytest.raises(StoreError, match="Read-only file system") as caught:
            subjects(account)
        assert "MAILOAUTH_HOME" in caught.value.remedy
        with pytest.raises(ConfigError, match="Read-only file system"):
            save_account(account)
    assert len(emulator.token_requests) == requests
    assert records(home) == before
    assert subjects(account) == ["unread"]


def test_on_a_full_disk_nothing_is_refreshed_that_could_not_be_kept(
    emulator: OutlookEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    home = disk / "home"
    monkeypatch.setenv("MAILOAUTH_HOME", str(home))
    with mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        account = ada(emulator)
        before = records(home)
        emulator.expire_tokens()
        requests = len(emulator.token_requests)
        home = moved(home, monkeypatch)
        fill(disk)
        with pytest.raises(StoreError, match="No space left") as caught:
            subjects(account)
        assert "Free some space" in caught.value.remedy
        with pytest.raises(ConfigError, match=r"No space left.*Free some space"):
            save_account(account)
        assert not (home / "accounts.toml").exists()
        assert len(emulator.token_requests) == requests
        assert records(home) == before
        (disk / "ballast").unlink()
        assert subjects(account) == ["unread"]


def test_without_a_home_everything_that_needs_one_says_so(
    emulator: OutlookEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAILOAUTH_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.delenv(name, raising=False)
    # Somebody whom the password database does not know, as in many containers.
    pytest.importorskip("pwd")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    account = emulator.account(ADA)
    for call in (
        lambda: load_account(ADA),
        lambda: save_account(account),
        lambda: sign_in(account, open_url=emulator.browser),
        lambda: subjects(account),
        lambda: token_source(account),
    ):
        with pytest.raises(ConfigError, match="no home folder") as caught:
            call()
        assert caught.value.remedy == "Set MAILOAUTH_HOME to a folder that this process may write."


# Records.


def test_a_record_of_a_newer_version_is_left_alone(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    (name,) = records(home)
    path = home / "records" / name
    line, _, rest = path.read_bytes().partition(b"\n")
    header = json.loads(line) | {"mailoauth": 99}
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    before = records(home)
    home = moved(home, monkeypatch)
    error = refused(emulator, account, StoreError, "later mailoauth|format 99")
    assert "mailoauth" in error.remedy
    with pytest.raises(StoreError, match="99"):
        sign_in(account, open_url=emulator.browser)
    assert records(home) == before


def test_a_damaged_record_is_kept_until_a_sign_in_replaces_it(
    emulator: OutlookEmulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ada(emulator)
    (name,) = records(home)
    path = home / "records" / name
    path.write_bytes(path.read_bytes()[:-5] + b"12345")
    before = records(home)
    home = moved(home, monkeypatch)
    error = refused(emulator, account, StoreError, "is damaged")
    assert "mailoauth login" in error.remedy
    assert records(home) == before
    sign_in(account, open_url=emulator.browser)
    assert subjects(account) == ["unread"]


# The clock.


@pytest.mark.parametrize("jump", [-3600.0, -86400.0, 1800.0, 86400.0 * 365])
@pytest.mark.parametrize("ended", [True, False])
def test_a_clock_that_jumps_costs_one_refresh_at_most(
    emulator: OutlookEmulator, jump: float, ended: bool
) -> None:
    clock = MovedClock()
    account = emulator.account(ADA)
    tokens = signed_in_source(emulator, account, clock=clock)
    clock.ahead = jump
    if ended:
        emulator.expire_tokens()
    before = len(emulator.token_requests)
    for _ in range(3):
        with MailSession(account, tokens=tokens) as mail:
            assert [message.subject for message in mail.unseen()] == ["unread"]
            mail.send(to=BOB, subject="s", text="t")
    needed = ended or jump > 3600
    assert len(emulator.token_requests) - before == needed
    clock.ahead = 0.0
    with MailSession(account, tokens=tokens) as mail:
        assert [message.subject for message in mail.unseen()] == ["unread"]
