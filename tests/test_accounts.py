from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailoauth.accounts import (
    Account,
    Endpoint,
    Provider,
    forget_account,
    key_file,
    list_accounts,
    load_account,
    preset,
    save_account,
)
from mailoauth.errors import ConfigError

ADA = "ada@example.com"
LAB = Provider(name="lab", oauth="oauth2", issuer="https://login.example.com", scopes=("mail",))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MAILOAUTH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path))
    return tmp_path


def _write(home: Path, text: str) -> None:
    (home / "accounts.toml").write_text(text, encoding="utf-8")


# The client id


def test_the_client_id_is_looked_for_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account.outlook(ADA)
    with pytest.raises(ConfigError, match="samples/README") as caught:
        account.resolved_client_id()
    assert caught.value.account == ADA
    _write(home, '[defaults.outlook]\nclient_id = "of the file"\n')
    assert account.resolved_client_id() == "of the file"
    monkeypatch.setenv("MAILOAUTH_CLIENT_ID", "of-the-environment")
    assert account.resolved_client_id() == "of-the-environment"
    assert Account.outlook(ADA, client_id="own").resolved_client_id() == "own"


def test_outlooks_defaults_are_not_for_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(home, '[defaults.outlook]\nclient_id = "c"\n')
    monkeypatch.setenv("MAILOAUTH_CLIENT_ID", "c")
    for account in (Account.gmail(ADA), Account(provider=LAB, user=ADA)):
        with pytest.raises(ConfigError, match="no client id"):
            account.resolved_client_id()
    with_own = dataclasses.replace(LAB, client_id="own")
    assert Account(provider=with_own, user=ADA).resolved_client_id() == "own"


# Finding accounts

THREE = """
[accounts."ada@example.com"]
provider = "outlook"

[accounts.bob]
provider = "outlook"
user = "bob@example.com"
mailbox = "team@example.com"

[accounts.carl]
provider = "outlook"
user = "carl@example.com"
mailbox = "team@example.com"

[accounts.second]
provider = "gmail"
user = "bob@example.com"
"""


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ada@example.com", ADA),
        ("Ada@Example.COM", ADA),
        ("bob", "bob"),
        ("carl@example.com", "carl"),
        ("CARL@example.com", "carl"),
    ],
)
def test_an_account_is_found_by_name_else_user(home: Path, address: str, name: str) -> None:
    _write(home, THREE)
    assert load_account(address).name == name


def test_an_account_is_found_by_its_mailbox(home: Path) -> None:
    _write(home, '[accounts.app]\nprovider = "gmail"\nsign_in = "app"\nmailbox = "a@example.org"\n')
    assert load_account("A@example.org").name == "app"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("bob@example.com", "user of more than one account: bob, second"),
        ("team@example.com", "mailbox of more than one account: bob, carl"),
    ],
)
def test_more_than_one_match_is_an_error_that_lists_them(
    home: Path, address: str, words: str
) -> None:
    _write(home, THREE)
    with pytest.raises(ConfigError, match=words):
        load_account(address)


def test_the_exact_name_wins_over_one_in_another_case(home: Path) -> None:
    _write(
        home,
        '[accounts."ada@example.com"]\nprovider = "gmail"\n'
        '[accounts."Ada@example.com"]\nprovider = "gmail"\n',
    )
    assert load_account("Ada@example.com").name == "Ada@example.com"


@pytest.mark.parametrize("address", ["dora@example.com", "BOB", ""])
def test_an_unknown_account_names_the_file_and_the_way_in(home: Path, address: str) -> None:
    _write(home, THREE)
    with pytest.raises(ConfigError, match=f"mailoauth login {address}") as caught:
        load_account(address)
    assert str(home / "accounts.toml") in str(caught.value)


# The key file, and keeping accounts


def test_the_key_file_is_the_environments_else_the_files(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert key_file() is None
    _write(home, '[store]\nkey_file = "key"\n')
    assert key_file() == home / "key"
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", str(tmp_path / "other"))
    assert key_file() == tmp_path / "other"
    monkeypatch.setenv("MAILOAUTH_KEY_FILE", "~nobody-has-this-name/key")
    with pytest.raises(ConfigError, match="MAILOAUTH_KEY_FILE"):
        key_file()


EVERYTHING = Provider(
    name="everything",
    oauth="oauth2",
    token_endpoint="https://login.example.com/token",
    authorization_endpoint="https://login.example.com/authorize",
    device_authorization_endpoint="https://login.example.com/device",
    scopes=("one", "two"),
    app_scopes=("three",),
    imap=Endpoint("imap.example.com", 993, "implicit"),
    smtp=Endpoint("smtp.example.com", 587, "starttls"),
    consumer_smtp=Endpoint("::1", 465, "implicit"),
    sasl="oauthbearer",
    ca_file=Path("/etc/ssl/example.pem").absolute(),
    saves_sent=True,
    max_connections=7,
    messages_per_minute=8,
    recipients_per_day=9,
    idle_renewal=10.5,
    proxy="socks5://proxy.example:1080",
    client_id="c",
    consumer_domains=("example.com",),
)


@pytest.mark.parametrize(
    "account",
    [
        Account.outlook(ADA),
        Account.outlook(ADA, name="work", client_id="c", tenant="t", mailbox="team@example.com"),
        Account.outlook(ADA, tenant="t", sign_in="app", certificate_file=Path("/c").absolute()),
        Account.gmail(ADA, client_secret_env="SECRET", scopes=("a", "b")),
        Account(user=ADA, provider=LAB),
        Account(user=ADA, provider=EVERYTHING, name='quotes " \\ and \u00fcmlauts [x]'),
    ],
    ids=lambda account: f"{account.name} {account.provider.name} {account.sign_in}",
)
def test_what_was_saved_is_what_is_loaded(account: Account) -> None:
    save_account(account)
    assert list_accounts() == [account]
    assert load_account(account.name) == account
    save_account(account)
    assert list_accounts() == [account]
    assert forget_account(account.name)
    assert list_accounts() == []
    assert not forget_account(account.name)


def test_an_address_is_saved_and_forgotten_in_any_case(home: Path) -> None:
    save_account(Account.outlook(ADA))
    save_account(Account.outlook("ADA@example.com", tenant="t"))
    assert [(account.name, account.tenant) for account in list_accounts()] == [(ADA, "t")]
    assert forget_account("Ada@Example.com")


def test_a_relative_ca_file_is_saved_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    provider = dataclasses.replace(LAB, ca_file=Path("ca.pem"))
    for name in ("one", "two"):
        save_account(Account(name=name, user=ADA, provider=provider))
    assert load_account("two").provider.ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize("other", [LAB, preset("outlook")], ids=lambda provider: provider.name)
def test_a_different_provider_of_the_same_name_is_not_overwritten(
    other: Provider, home: Path
) -> None:
    save_account(Account(user=ADA, provider=other))
    before = (home / "accounts.toml").read_text()
    changed = dataclasses.replace(other, max_connections=1)
    with pytest.raises(ConfigError, match="Give the provider another name"):
        save_account(Account(user="bob@example.com", provider=changed))
    assert (home / "accounts.toml").read_text() == before


def test_importing_accounts_loads_nothing_heavy() -> None:
    heavy = ("ssl", "asyncio", "cryptography", "tomlkit", "tomllib", "platformdirs", "filelock")
    code = f"import sys, mailoauth.accounts; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert ran.stdout.strip() == "[]"
