from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from mailoauth import paths
from mailoauth.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOMES = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "USERPROFILE", "MAILOAUTH_HOME")
ALL = (
    paths.accounts_file,
    paths.data_folder,
    paths.records_folder,
    paths.locks_folder,
    paths.states_folder,
)


@pytest.fixture(autouse=True)
def _no_homes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    umask = os.umask(0o022)
    yield
    os.umask(umask)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_lies_under_mailoauth_home_and_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MAILOAUTH_HOME", str(home))
    found = [find() for find in ALL]
    assert found == [
        home / "accounts.toml",
        home,
        home / "records",
        home / "locks",
        home / "states",
    ]
    assert not home.exists()


def test_a_tilde_and_a_relative_mailoauth_home_are_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.setenv("MAILOAUTH_HOME", "~/mail")
    assert paths.home() == tmp_path / "ada" / "mail"
    monkeypatch.setenv("MAILOAUTH_HOME", "mail")
    assert paths.home() == tmp_path / "mail"


def test_an_empty_mailoauth_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILOAUTH_HOME", "")
    assert paths.home() is None


def test_a_mailoauth_home_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILOAUTH_HOME", "~nobody-has-this-name/mail")
    with pytest.raises(ConfigError, match=r"MAILOAUTH_HOME is '~nobody-has-this-name/mail'"):
        paths.accounts_file()


def test_without_mailoauth_home_the_platforms_folders_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for find in ALL:
        assert find().is_relative_to(tmp_path)
        assert "mailoauth" in find().parts
    assert paths.records_folder().parent == paths.locks_folder().parent == paths.data_folder()


@pytest.mark.parametrize("entry", ["/", "/nonexistent/of/a/service", "~"])
def test_no_home_at_all_says_to_set_mailoauth_home(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the password database says of services, of containers, and of unknown user ids.
    monkeypatch.setattr(os.path, "expanduser", lambda path: _expand(os.fspath(path), entry))
    for find in ALL:
        with pytest.raises(ConfigError, match="Set MAILOAUTH_HOME"):
            find()


def _expand(path: str, entry: str) -> str:
    return path.replace("~", entry.rstrip("/"), 1) or "/" if path.startswith("~") else path


def test_xdg_folders_need_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: _expand(os.fspath(path), "/"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert paths.accounts_file() == tmp_path / "config" / "mailoauth" / "accounts.toml"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_new_folders_and_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    os.umask(umask)
    folder = tmp_path / "one" / "two"
    paths.make_private_folder(folder)
    paths.write_durably(folder / "file", b"data")
    assert (_mode(tmp_path / "one"), _mode(folder)) == (0o700, 0o700)
    assert _mode(folder / "file") == 0o600


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    paths.make_private_folder(tmp_path)
    assert _mode(tmp_path) == 0o755


def test_a_folder_that_cannot_be_made_is_a_store_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="MAILOAUTH_HOME") as caught:
            paths.make_private_folder(path)
        assert str(path) in str(caught.value)


def test_a_write_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"long old text", b"new"):
        paths.write_durably(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_whole_and_nothing_else(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    paths.write_durably(path, b"old")

    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        paths.write_durably(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def watched_replace(old: str, new: Path) -> None:
        steps.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    paths.write_durably(tmp_path / "file", b"data")
    assert steps == ["file", "rename", "folder"]
