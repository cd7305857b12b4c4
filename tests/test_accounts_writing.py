from __future__ import annotations

import os
import stat
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import filelock
import pytest

from mailoauth import paths
from mailoauth.accounts import (
    Account,
    forget_account,
    key_file,
    list_accounts,
    load_account,
    save_account,
)
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

ADA = "ada@example.com"
ACCOUNT = '[accounts."ada@example.com"]\nprovider = "outlook"\n'


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MAILOAUTH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "accounts.toml"


COMMENTED = """\
# Who may read this?

# Ada's
[accounts."ada@example.com"]   # the head
provider = "outlook"  # the preset
tenant = "common"     # said though it goes without saying
client_secret_file = "secret"  # beside this file

# the store's comment
[store]
key_file = "key"

# Bob's comment
[accounts.bob]
provider = "gmail"
user = "bob@example.com"
scopes = [
    "one",  # the first
    "two",
]
# the end
"""


def test_comments_order_and_untouched_keys_stay(file: Path) -> None:
    file.write_text(COMMENTED)
    ada = load_account(ADA)
    save_account(replace(ada, client_id="new", mailbox="team@example.com"))
    assert file.read_text() == COMMENTED.replace(
        "# beside this file\n",
        '# beside this file\nclient_id = "new"\nmailbox = "team@example.com"\n',
    )
    save_account(ada)
    assert file.read_text() == COMMENTED


def test_a_changed_key_keeps_its_comment_and_a_new_account_goes_to_the_end(file: Path) -> None:
    file.write_text(COMMENTED)
    save_account(replace(load_account("bob"), scopes=(), client_id="c"))
    save_account(replace(load_account(ADA), tenant="t"))
    save_account(Account.outlook("dora@example.com"))
    text = file.read_text()
    assert 'tenant = "t"     # said though it goes without saying' in text
    assert text.endswith('# the end\n\n[accounts."dora@example.com"]\nprovider = "outlook"\n')
    bob = tomllib.loads(text)["accounts"]["bob"]
    assert bob == {"provider": "gmail", "user": "bob@example.com", "client_id": "c"}


def test_saving_what_is_there_touches_nothing(file: Path) -> None:
    file.write_text(COMMENTED)
    before = file.stat()
    for account in list_accounts():
        save_account(account)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_forgotten_account_takes_nobodys_comments_along(file: Path) -> None:
    file.write_text(COMMENTED)
    assert forget_account(ADA)
    start = COMMENTED.index("[accounts.")
    end = COMMENTED.index("\n# the store's")
    assert file.read_text() == COMMENTED[:start] + COMMENTED[end:]
    assert forget_account("bob")
    assert "# the end" in file.read_text()
    assert list_accounts() == []
    assert key_file() == file.parent / "key"


def test_windows_line_ends_stay(file: Path) -> None:
    file.write_bytes(COMMENTED.replace("\n", "\r\n").encode())
    save_account(Account.outlook("dora@example.com"))
    save_account(replace(load_account(ADA), client_id="c"))
    data = file.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n")
    assert b"\r\r" not in data
    assert len(list_accounts()) == 3


@pytest.mark.parametrize(
    "text",
    [
        'accounts = { bob = { provider = "gmail", user = "bob@example.com" } }\n',
        'accounts.bob.provider = "gmail"\naccounts.bob.user = "bob@example.com"\n',
    ],
)
def test_a_form_that_cannot_be_changed_is_left_as_it_is(file: Path, text: str) -> None:
    file.write_text(text)
    bob = load_account("bob")
    for change in (
        lambda: save_account(replace(bob, client_id="c")),
        lambda: forget_account("bob"),
    ):
        with pytest.raises(ConfigError, match="in a form that mailoauth cannot change"):
            change()
    assert file.read_text() == text


def test_a_header_inside_a_text_is_not_taken_for_a_table(file: Path) -> None:
    text = '[accounts.bob]\nuser = "bob@example.com"\nprovider = "gmail"\nclient_id = """\\\n[accounts.x]\\\n"""\n'
    file.write_text(text)
    with pytest.raises(ConfigError, match="in a form that mailoauth cannot change"):
        save_account(replace(load_account("bob"), mailbox="team@example.com"))
    assert file.read_text() == text


def test_a_file_with_a_mistake_is_not_written(file: Path) -> None:
    file.write_text(ACCOUNT + "wrong = 1\n")
    for change in (lambda: save_account(Account.gmail(ADA)), lambda: forget_account(ADA)):
        with pytest.raises(ConfigError, match="no key 'wrong'"):
            change()
    assert file.read_text() == ACCOUNT + "wrong = 1\n"


def test_the_file_and_its_folder_are_made_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new" / "home"
    monkeypatch.setenv("MAILOAUTH_HOME", str(home))
    save_account(Account.outlook(ADA))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "accounts.toml").stat().st_mode) == 0o600


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    target.write_text(COMMENTED)
    file.symlink_to(target)
    save_account(Account.outlook("dora@example.com"))
    assert file.is_symlink()
    assert "dora@example.com" in target.read_text()


def test_a_read_only_file_is_named_and_left_alone(file: Path) -> None:
    file.write_text(COMMENTED)
    file.chmod(0o400)
    with pytest.raises(ConfigError, match=r"accounts\.toml cannot be written: .*read-only"):
        save_account(Account.outlook("dora@example.com"))
    assert file.read_text() == COMMENTED


def test_a_folder_that_cannot_be_written_is_named_with_the_systems_reason(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ConfigError, match=r"accounts\.toml cannot be written: Read-only file sys"):
        save_account(Account.outlook(ADA))
    monkeypatch.undo()
    assert not list(file.parent.glob("*.toml*"))


def test_a_home_where_no_lock_can_be_made_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = file.parent / "blocked"
    blocked.mkdir()
    (blocked / "locks").write_bytes(b"")
    monkeypatch.setenv("MAILOAUTH_HOME", str(blocked))
    with pytest.raises(ConfigError, match=r"accounts\.toml cannot be written: The folder .*locks"):
        save_account(Account.outlook(ADA))


def test_accounts_saved_at_once_are_all_kept(file: Path) -> None:
    names = [f"user{number}@example.com" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: save_account(Account.outlook(name)), names))
    assert sorted(account.name for account in list_accounts()) == sorted(names)
    assert sorted(path.name for path in file.parent.iterdir()) == ["accounts.toml", "locks"]


def test_a_writer_waits_for_another_one(file: Path) -> None:
    paths.make_private_folder(paths.locks_folder())
    lock = filelock.FileLock(paths.locks_folder() / "accounts.lock")
    lock.acquire()
    writer = threading.Thread(target=save_account, args=(Account.outlook(ADA),))
    writer.start()
    writer.join(0.3)
    assert writer.is_alive()
    assert not file.exists()
    lock.release()
    writer.join(10)
    assert load_account(ADA).name == ADA


def test_reading_takes_no_lock_and_makes_nothing(file: Path) -> None:
    file.write_text(COMMENTED)
    assert len(list_accounts()) == 2
    assert list(file.parent.iterdir()) == [file]
