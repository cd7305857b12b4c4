from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailoauth.accounts import (
    Account,
    Endpoint,
    forget_account,
    key_file,
    list_accounts,
    load_account,
    preset,
)
from mailoauth.errors import ConfigError

ADA = "ada@example.com"

# The example of the design, with what it shows in comments switched on.
DESIGN = """
[accounts."ada@example.com"]
provider = "outlook"            # a preset, or a table below
client_id = "1234"
tenant = "common"
sign_in = "user"                # or "app"
user = "ada@contoso.onmicrosoft.com"
client_secret_file = "secret"
mailbox = "team@example.com"

[accounts.lab]
user = "bob@example.com"
provider = "lab"

[store]
key_file = "/etc/mailoauth/key"

[providers.lab]                 # a provider of one's own
oauth = "microsoft"
authority = "https://localhost:9443/common"
scopes = ["https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send"]
imap = { host = "localhost", port = 1993, tls = "implicit" }
smtp = { host = "localhost", port = 1587, tls = "starttls" }
sasl = "xoauth2"
ca_file = "ca.pem"
saves_sent = true
idle_renewal = 540

[defaults.outlook]
client_id = "5678"
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MAILOAUTH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "accounts.toml"


def test_the_designs_example_is_read(file: Path) -> None:
    file.write_text(DESIGN)
    ada, lab = list_accounts()
    assert ada == Account(
        name=ADA,
        user="ada@contoso.onmicrosoft.com",
        provider=preset("outlook"),
        client_id="1234",
        client_secret_file=file.parent / "secret",
        mailbox="team@example.com",
    )
    assert lab.imap == Endpoint("localhost", 1993, "implicit")
    assert lab.smtp == Endpoint("localhost", 1587, "starttls")
    assert lab.authority == "https://localhost:9443/common"
    assert lab.provider.ca_file == file.parent / "ca.pem"
    assert (lab.provider.saves_sent, lab.provider.idle_renewal) == (True, 540)
    assert (lab.provider.max_connections, lab.provider.messages_per_minute) == (3, None)
    assert key_file() == Path("/etc/mailoauth/key")
    assert Account.outlook("x@example.com").resolved_client_id() == "5678"


def test_no_file_and_an_empty_file_have_no_accounts(file: Path) -> None:
    assert list_accounts() == []
    file.write_bytes(b"")
    assert list_accounts() == []
    assert key_file() is None


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_text(DESIGN, encoding="utf-8-sig")
    assert len(list_accounts()) == 2
    forget_account("lab")
    assert len(list_accounts()) == 1


def test_a_consumers_address_needs_no_provider(file: Path) -> None:
    file.write_text('[accounts."a@gmail.com"]\n')
    assert load_account("a@gmail.com").provider.name == "gmail"


LAB = '[providers.lab]\noauth = "oauth2"\nissuer = "https://x.example"\nscopes = ["a"]\n'
ACCOUNT = '[accounts."ada@example.com"]\nprovider = "outlook"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[accounts."ada@example.com"]\nprovider "outlook"', ["not a TOML file", "line 2"]),
        ("[accounts.ada@example.com]", ["line 1", '[accounts."ada@example.com"]']),
        ("acounts = {}", ["top level", "'acounts'", 'Did you mean "accounts"?']),
        ("accounts = 3", ["accounts is 3", "[accounts.NAME]"]),
        ("[accounts]\nbob = 1", ["[accounts]", "bob is 1", "a table"]),
        ("store = 3", ["[store]", "is 3", "a table"]),
        (ACCOUNT + 'cleint_id = "x"', ["[accounts.", "'cleint_id'", 'mean "client_id"?']),
        (ACCOUNT + "client_id = 3", ["client_id is 3", "a text in quotes"]),
        (ACCOUNT + "client_id = true", ["client_id is true", "a text in quotes"]),
        (ACCOUNT + 'scopes = "one"', ["scopes is 'one'", "a list of texts"]),
        (ACCOUNT + "scopes = [1]", ["scopes is [1]", "a list of texts"]),
        (ACCOUNT + 'sign_in = "robot"', ["[accounts.", "sign_in is 'robot'"]),
        (ACCOUNT + 'user = "ada"', ["[accounts.", "user 'ada' is not an e-mail address"]),
        (ACCOUNT + 'certificate_file = ""', ["certificate_file", "not a path"]),
        (ACCOUNT + "[accounts.x.y]", ["[accounts.x]", "no key 'y'"]),
        ("[accounts.bob]\n", ["[accounts.bob]", "provider is missing", "outlook"]),
        ('[accounts.bob]\nprovider = "outlok"', ["provider is 'outlok'", 'mean "outlook"?']),
        ('[accounts.b]\nprovider = "zzz"\n' + LAB, ["Known are: outlook,", "gmail", "lab"]),
        ('[accounts.bob]\nprovider = "outlook"', ["[accounts.bob]", "names no user"]),
        ('[providers.outlook]\noauth = "oauth2"', ["[providers.outlook]", "another name"]),
        ("[providers.lab]", ["[providers.lab]", "oauth is missing", '"microsoft" or "oauth2"']),
        ('[providers.lab]\noauth = "oauth2"', ["scopes is missing"]),
        (LAB + 'issuers = "x"', ["[providers.lab]", 'Did you mean "issuer"?']),
        (LAB + 'token_endpiont = "x"', ['Did you mean "token_endpoint"?']),
        (LAB + 'token_endpoint = "https://y.example"', ["also has token_endpoint"]),
        (LAB.replace("https", "http"), ["issuer is 'http://x.example'", "https"]),
        (LAB + "max_connections = true", ["max_connections is true", "a whole number"]),
        (LAB + "max_connections = 1.5", ["max_connections is 1.5", "a whole number"]),
        (LAB + "max_connections = 0", ["max_connections", "1 or more"]),
        (LAB + 'idle_renewal = "9"', ["idle_renewal is '9'", "a number"]),
        (LAB + 'saves_sent = "yes"', ["saves_sent is 'yes'", "true or false"]),
        (LAB + 'sasl = "plain"', ["sasl", "'plain'", "oauthbearer"]),
        (LAB + 'imap = "x.example"', ["imap is 'x.example'", "host = "]),
        (LAB + 'imap = { host = "x" }', ["[providers.lab] imap", "port is missing"]),
        (
            LAB + 'imap = { host = "x", port = "993", tls = "implicit" }',
            ["[providers.lab] imap", "port is '993'", "a whole number"],
        ),
        (LAB + 'imap = { host = "x", port = 0, tls = "implicit" }', ["imap", "0 is not a port"]),
        (LAB + 'imap = { host = "x", port = 9, tls = "ssl" }', ["'ssl'", "starttls"]),
        (LAB + 'imap = { host = "x", prt = 9, tls = "implicit" }', ['Did you mean "port"?']),
        (LAB + 'imap = { host = "https://x", port = 9, tls = "implicit" }', ["not a host name"]),
        ("[store]\nkeyfile = 'x'", ["[store]", 'Did you mean "key_file"?']),
        ("[store]\nkey_file = '~nobody-has-this-name/k'", ["[store]", "no such home folder"]),
        ("[defaults.gmail]\nclient_id = 'x'", ["[defaults]", "'gmail'", "outlook"]),
        ("[defaults.outlook]\nclient = 'x'", ["[defaults.outlook]", 'mean "client_id"?']),
    ],
)
def test_a_mistake_is_located_and_what_was_expected_is_said(
    file: Path, text: str, words: list[str]
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        list_accounts()
    message = str(caught.value)
    assert str(file) in message
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    "key",
    ["client_secret", "password", "Password", "token", "refresh_token", "app-password", "api_key"],
)
@pytest.mark.parametrize("table", [ACCOUNT, LAB, "[store]\n", "[defaults.outlook]\n"])
def test_a_secret_is_refused_with_where_it_belongs_and_not_shown(
    file: Path, table: str, key: str
) -> None:
    file.write_text(f'{table}{key} = "marker-secret"\n')
    with pytest.raises(ConfigError, match="client_secret_file") as caught:
        list_accounts()
    assert key in str(caught.value)
    assert "marker-secret" not in str(caught.value)


def test_a_secret_under_a_misspelt_key_is_not_shown(file: Path) -> None:
    file.write_text(f'{ACCOUNT}client_secrte = "marker-secret"\n')
    with pytest.raises(ConfigError) as caught:
        list_accounts()
    assert "marker-secret" not in str(caught.value)


def test_a_proxys_password_is_a_secret(file: Path) -> None:
    file.write_text(f'{LAB}proxy = "socks5://user:marker-secret@proxy.example:1080"\n')
    with pytest.raises(ConfigError, match="proxy holds a password") as caught:
        list_accounts()
    assert "marker-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('[store]\nkey_file = "x"'.encode("utf-16"), "is not UTF-8 but UTF-16"),
        ("[store]\n# caf\u00e9".encode("latin-1"), "is not UTF-8 but another encoding .line 2."),
    ],
)
def test_a_file_that_is_not_utf_8_is_named(file: Path, data: bytes, words: str) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        list_accounts()
    assert str(file) in str(caught.value)


def test_a_folder_in_the_files_place_is_named(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ConfigError, match=r"accounts\.toml cannot be read: it is a folder"):
        list_accounts()


def test_a_path_through_a_file_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b"")
    monkeypatch.setenv("MAILOAUTH_HOME", str(file))
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        list_accounts()
