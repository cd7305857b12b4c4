from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import pytest

from mailoauth.accounts import Account, Endpoint, Provider, guess_provider, preset
from mailoauth.errors import ConfigError

ADA = "ada@example.com"
LAB = Provider(name="lab", oauth="oauth2", issuer="https://login.example.com", scopes=("mail",))


# What an account is


def test_an_account_is_named_after_who_signs_in() -> None:
    app = {"provider": LAB, "sign_in": "app"}
    assert Account(provider=LAB, user=ADA).name == ADA
    assert Account(**app, mailbox=ADA).name == ADA  # type: ignore[arg-type] # a table of keywords
    assert Account(**app, client_id="c").name == "c"  # type: ignore[arg-type] # the same
    assert Account(provider=LAB, user=ADA, name="work").name == "work"


def test_an_account_at_outlook_has_outlooks_servers_and_scopes() -> None:
    account = Account.outlook(ADA, client_id="c", tenant="contoso.onmicrosoft.com")
    assert (str(account.imap), account.imap.tls) == ("outlook.office365.com:993", "implicit")
    assert (str(account.smtp), account.smtp.tls) == ("smtp.office365.com:587", "starttls")
    assert account.authority == "https://login.microsoftonline.com/contoso.onmicrosoft.com"
    assert account.effective_scopes == (
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/SMTP.Send",
    )
    assert account.address == ADA


@pytest.mark.parametrize("address", ["a@outlook.com", "a@Hotmail.co.uk", "a@live.nl", "a@msn.com"])
def test_a_personal_account_sends_through_the_consumers_host(address: str) -> None:
    assert str(Account.outlook(address).smtp) == "smtp-mail.outlook.com:587"


def test_an_apps_own_sign_in_has_a_mailbox_and_the_apps_scope() -> None:
    account = Account.outlook(ADA, tenant="contoso.example", sign_in="app")
    assert (account.user, account.address) == (None, ADA)
    assert account.effective_scopes == ("https://outlook.office365.com/.default",)


def test_an_apps_address_is_its_mailbox_else_its_name() -> None:
    named = Account(provider=LAB, sign_in="app", name=ADA)
    assert named.address == ADA
    nobody = Account(provider=LAB, sign_in="app", client_id="c")
    with pytest.raises(ConfigError, match="names no mailbox"):
        _ = nobody.address


def test_the_mailbox_is_opened_unless_another_is_named() -> None:
    assert Account.outlook(ADA, mailbox="team@example.com").address == "team@example.com"


def test_own_scopes_replace_the_providers() -> None:
    assert Account.gmail(ADA, scopes=("one",)).effective_scopes == ("one",)


def test_gmail_and_yahoo_are_known() -> None:
    assert str(Account.gmail("a@gmail.com").imap) == "imap.gmail.com:993"
    assert Account.gmail("a@gmail.com").effective_scopes == ("https://mail.google.com/",)
    assert str(Account.yahoo("a@yahoo.com").smtp) == "smtp.mail.yahoo.com:465"


def test_a_provider_without_a_server_says_so() -> None:
    account = Account(provider=LAB, user=ADA)
    for key in ("imap", "smtp"):
        with pytest.raises(ConfigError, match=f"The provider lab has no {key} server"):
            getattr(account, key)


@pytest.mark.parametrize("key", ["user", "mailbox"])
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ada", "not an e-mail address"),
        ("@example.com", "not an e-mail address"),
        ("ada@", "not an e-mail address"),
        ("ada@one@example.com", "not an e-mail address"),
        ("", "not an e-mail address"),
        ("Ada <ada@example.com>", "without a name, brackets"),
        ("ada @example.com", "without a name, brackets"),
        ("ada@example.com\r\nRCPT TO:<b@example.com>", "not a plain e-mail address"),
        ("ada@example.com\x01auth=x", "not a plain e-mail address"),
        ("ada@bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_what_is_not_an_address_is_refused(key: str, address: str, words: str) -> None:
    others = {"user": ADA, "mailbox": ADA, key: address}
    with pytest.raises(ConfigError, match=words):
        Account(provider=LAB, **others)  # type: ignore[arg-type] # a table of keywords


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": None}, "needs a user"),
        ({"user": None, "name": "x"}, "names no user"),
        ({"sign_in": "app"}, "signs in as an app and names the user"),
        ({"sign_in": "robot"}, "sign_in is 'robot'"),
        ({"name": "two\nlines"}, "name is"),
        ({"client_id": ""}, "client_id is ''"),
        ({"client_id": "a\tb"}, "client_id is"),
        ({"tenant": "a b"}, "tenant is 'a b'"),
        ({"scopes": ("a b",)}, "'a b' in scopes"),
        ({"client_secret_file": "s", "client_secret_env": "E"}, "Name one of them"),
        ({"client_secret_file": ""}, "not a path"),
        ({"certificate_file": "~nobody-has-this-name/c"}, "no such home folder"),
    ],
)
def test_what_cannot_be_an_account_is_refused(change: dict[str, object], words: str) -> None:
    keywords: dict[str, object] = {"provider": LAB, "user": ADA, **change}
    with pytest.raises(ConfigError, match=words):
        Account(**keywords)  # type: ignore[arg-type] # what a caller without types may write


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_an_apps_own_sign_in_needs_a_tenant(tenant: str) -> None:
    with pytest.raises(ConfigError, match=r"directory \(tenant\) id"):
        Account.outlook(ADA, tenant=tenant, sign_in="app")


def test_an_account_is_frozen_pickles_and_shows_no_secret() -> None:
    account = Account(
        user=ADA,
        provider=dataclasses.replace(LAB, proxy="socks5://u:marker-secret@proxy.example:1080"),
    )
    assert pickle.loads(pickle.dumps(account)) == account
    assert "marker-secret" not in repr(account)
    with pytest.raises(dataclasses.FrozenInstanceError):
        account.user = "b@example.com"  # type: ignore[misc] # that is the point


def test_a_tilde_in_a_path_is_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    account = Account(provider=LAB, user=ADA, client_secret_file=Path("~/secret"))
    assert account.client_secret_file == tmp_path / "secret"


# Endpoints and providers


@pytest.mark.parametrize(
    ("host", "port", "tls", "words"),
    [
        ("imap://x.example", 1, "implicit", "not a host name"),
        ("", 1, "implicit", "not a host name"),
        ("a b", 1, "implicit", "not a host name"),
        ("x.example", 0, "implicit", "not a port"),
        ("x.example", 65536, "implicit", "not a port"),
        ("x.example", True, "implicit", "not a port"),
        ("x.example", 1, "none", "not a way to begin TLS"),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused(host: str, port: int, tls: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Endpoint(host, port, tls)  # type: ignore[arg-type] # what a caller without types may write


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": "http://login.example.com"}, "must begin with https"),
        ({"issuer": "login.example.com"}, "not a URL"),
        ({"issuer": "https://user@login.example.com"}, "not a URL"),
        ({"issuer": ""}, "no address to get tokens from"),
        ({"token_endpoint": "https://x.example/t"}, "also has token_endpoint"),
        ({"authority": "https://x.example"}, "also has authority"),
        ({"oauth": "microsoft"}, "also has issuer"),
        ({"oauth": "saml"}, "It is one of: microsoft, oauth2"),
        ({"sasl": "plain"}, "It is one of: xoauth2, oauthbearer"),
        ({"scopes": ()}, "no scopes"),
        ({"scopes": "mail"}, "It is a list"),
        ({"max_connections": 0}, "It is 1 or more"),
        ({"name": ""}, "not a name"),
    ],
)
def test_what_cannot_be_a_provider_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(LAB, **change)  # type: ignore[arg-type] # the same


def test_the_presets_are_those_of_the_design() -> None:
    names = ("outlook", "outlook-us-gov", "outlook-us-dod", "outlook-china", "gmail", "yahoo")
    for name in names:
        provider = preset(name)
        assert provider.name == name
        assert provider.imap
        assert provider.smtp
    outlook = preset("outlook")
    assert (outlook.saves_sent, outlook.max_connections, outlook.idle_renewal) == (True, 3, 540)
    assert (outlook.messages_per_minute, outlook.recipients_per_day) == (30, 10_000)
    assert preset("outlook-china").authority.startswith("https://login.partner.microsoftonline.cn/")
    with pytest.raises(ConfigError, match=r"outlok.*Known are: gmail, outlook"):
        preset("outlok")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("a@outlook.com", "outlook"),
        ("a@HOTMAIL.FR", "outlook"),
        ("a@gmail.com", "gmail"),
        ("a@googlemail.com", "gmail"),
        ("a@yahoo.co.uk", "yahoo"),
        ("a@ymail.com", "yahoo"),
        ("a@example.com", None),
        ("a@outlook.example", None),
        ("a@yahoo.co.jp", None),
        ("a@notgmail.com", None),
        ("gmail.com@example.com", None),
        ("", None),
    ],
)
def test_only_a_consumers_domain_tells_the_provider(address: str, name: str | None) -> None:
    guess = guess_provider(address)
    assert (guess.name if guess else None) == name
