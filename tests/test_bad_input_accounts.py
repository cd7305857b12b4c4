"""Bad accounts: a clear error that names the file or the variable, and the file is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailoauth import (
    Account,
    AsyncMailSession,
    Mailer,
    MailSession,
    forget_account,
    list_accounts,
    load_account,
    save_account,
)
from mailoauth.errors import ConfigError

ADA = "ada@example.com"


def accounts_file() -> Path:
    return Path(os.environ["MAILOAUTH_HOME"]) / "accounts.toml"


def readable(error: ConfigError) -> str:
    text = str(error)
    assert text.isprintable(), text
    return text


@pytest.mark.parametrize(
    "address",
    [
        "ada",
        "ada@",
        "@example.com",
        "ada@b@example.com",
        "",
        "ada@example.com\r\nA1 LOGOUT",
        "ada@example.com\0",
        "ada@example.com\u2028",
        "Ada <ada@example.com>",
        " ada@example.com",
    ],
)
def test_what_is_not_an_address_is_no_account(address: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a.* e-mail address") as caught:
        Account.outlook(address, client_id="app")
    readable(caught.value)
    for open_session in (MailSession, Mailer, load_account):
        with pytest.raises(ConfigError, match="There is no account") as caught:
            open_session(address)
        readable(caught.value)
        assert "mailoauth login " in caught.value.remedy


def test_a_name_that_no_account_has_lists_those_there_are() -> None:
    save_account(Account.outlook(ADA, client_id="app"))
    with pytest.raises(ConfigError, match="There is no account 'adda'") as caught:
        MailSession("adda")
    assert caught.value.remedy.startswith("Name one of these: ada@example.com. ")
    with pytest.raises(ConfigError) as caught:
        MailSession("eve@example.com")
    assert caught.value.remedy == "Sign it in: mailoauth login eve@example.com"


def test_an_accounts_file_that_is_a_folder_is_named() -> None:
    accounts_file().mkdir()
    (accounts_file() / "precious").write_text("kept")

    async def open_async() -> None:
        AsyncMailSession(ADA)

    account = Account.outlook(ADA, client_id="app")
    for call in (
        lambda: MailSession(ADA),
        lambda: Mailer(ADA),
        lambda: open_async().send(None),
        list_accounts,
        lambda: save_account(account),
        lambda: forget_account(ADA),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        text = str(caught.value)
        assert text.isprintable()
        assert str(accounts_file()) in text
        assert "folder" in text
        assert caught.value.remedy.endswith(".")
    assert (accounts_file() / "precious").read_text() == "kept"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[accounts\n", "line 1"),
        (b'\n[accounts."ada@example.com"]\nprovider = outlook\n', "line 3"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'[accounts."ada"]\nprovider = "outlook"\n', "ada"),
        (b'[accounts."ada@example.com\\nX: y"]\nprovider = "outlook"\n', "ada@example.com"),
        (b'[accounts."ada@example.com"]\nprovider = "outlok"\n', "outlook"),
        (b'[accounts."ada@example.com"]\nprovider = 5\n', "provider"),
        (b'[accounts."ada@example.com"]\nprovidr = "outlook"\n', "provider"),
        (b'[accounts."ada@example.com"]\nprovider = "outlook"\nmailbox = "team"\n', "team"),
        (b"accounts = 5\n", "accounts"),
    ],
)
def test_a_bad_accounts_file_is_named_with_what_is_wrong_and_never_overwritten(
    content: bytes, said: str
) -> None:
    accounts_file().write_bytes(content)
    for call in (lambda: MailSession(ADA), list_accounts):
        with pytest.raises(ConfigError) as caught:
            call()
        text = str(caught.value)
        assert text.isprintable(), text
        assert str(accounts_file()) in text, text
        assert said in text, text
    if said.startswith(("line", "UTF")):
        with pytest.raises(ConfigError):
            save_account(Account.outlook(ADA, client_id="app"))
        assert accounts_file().read_bytes() == content


@pytest.mark.parametrize("address", ["ada", "ada@example.com\nX"])
def test_a_bad_address_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MAILOAUTH_ADDRESS", address)
    monkeypatch.setenv("MAILOAUTH_PROVIDER", "outlook")
    monkeypatch.setenv("MAILOAUTH_CLIENT_ID", "app")
    with pytest.raises(ConfigError, match="MAILOAUTH_ADDRESS") as caught:
        MailSession(address)
    assert str(caught.value).isprintable()
