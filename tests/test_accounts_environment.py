from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mailoauth.accounts import Account, Provider, list_accounts, load_account, preset
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MAILOAUTH_ADDRESS", ADA)
    monkeypatch.setenv("MAILOAUTH_PROVIDER", "outlook")
    return monkeypatch


def test_an_account_comes_wholly_from_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key, value in {
        "CLIENT_ID": "c",
        "TENANT": "t",
        "USER": "ada@contoso.onmicrosoft.com",
        "MAILBOX": "team@example.com",
        "CLIENT_SECRET_FILE": str(tmp_path / "secret"),
    }.items():
        environment.setenv(f"MAILOAUTH_{key}", value)
    assert load_account("ADA@example.com") == Account(
        name=ADA,
        user="ada@contoso.onmicrosoft.com",
        provider=preset("outlook"),
        client_id="c",
        tenant="t",
        mailbox="team@example.com",
        client_secret_file=tmp_path / "secret",
    )


def test_an_app_comes_from_the_environment(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("MAILOAUTH_SIGN_IN", "app")
    environment.setenv("MAILOAUTH_TENANT", "t")
    environment.setenv("MAILOAUTH_CERTIFICATE_FILE", str(tmp_path / "c.pem"))
    account = load_account(ADA)
    assert (account.user, account.address, account.sign_in) == (None, ADA, "app")
    assert account.certificate_file == tmp_path / "c.pem"


def test_the_environments_account_may_use_a_provider_of_the_file(
    home: Path, environment: pytest.MonkeyPatch
) -> None:
    _write(
        home,
        '[providers.lab]\noauth = "oauth2"\nissuer = "https://login.example.com"\nscopes=["mail"]\n',
    )
    environment.setenv("MAILOAUTH_PROVIDER", "lab")
    assert load_account(ADA).provider == LAB


def test_the_file_wins_over_the_environment(home: Path, environment: pytest.MonkeyPatch) -> None:
    _write(home, '[accounts."ada@example.com"]\nprovider = "gmail"\n')
    assert load_account(ADA).provider.name == "gmail"
    assert [account.provider.name for account in list_accounts()] == ["gmail"]


@pytest.mark.usefixtures("environment")
def test_the_environments_account_is_listed_and_is_nobody_else(home: Path) -> None:
    _write(home, '[accounts."bob@example.com"]\nprovider = "gmail"\n')
    assert [account.name for account in list_accounts()] == ["bob@example.com", ADA]
    with pytest.raises(ConfigError, match="no account"):
        load_account("dora@example.com")


def test_a_consumers_address_needs_no_provider_in_the_environment(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("MAILOAUTH_PROVIDER")
    with pytest.raises(ConfigError, match="Set MAILOAUTH_PROVIDER"):
        load_account(ADA)
    environment.setenv("MAILOAUTH_ADDRESS", "a@gmail.com")
    assert load_account("a@gmail.com").provider.name == "gmail"


def test_a_mistake_in_the_environment_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILOAUTH_PROVIDER", "outlok")
    with pytest.raises(ConfigError, match=r"MAILOAUTH_PROVIDER is 'outlok'.*\"outlook\""):
        load_account(ADA)
    environment.setenv("MAILOAUTH_PROVIDER", "outlook")
    environment.setenv("MAILOAUTH_SIGN_IN", "robot")
    with pytest.raises(ConfigError, match=r"MAILOAUTH_ADDRESS: sign_in is 'robot'"):
        load_account(ADA)


def test_the_environments_account_needs_no_home(environment: pytest.MonkeyPatch) -> None:
    for name in ("MAILOAUTH_HOME", "HOME", "XDG_CONFIG_HOME", "USERPROFILE"):
        environment.delenv(name, raising=False)
    environment.setattr(os.path, "expanduser", os.fspath)
    assert load_account(ADA).name == ADA
    with pytest.raises(ConfigError, match="Set MAILOAUTH_HOME"):
        load_account("bob@example.com")
