"""The SASL mechanisms, octet by octet; no socket."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.sasl import Mechanism, OAuthBearer, XOAuth2, mechanism

if TYPE_CHECKING:
    from mailoauth.accounts import Endpoint

TOKEN = "marker-token-0123456789"


@pytest.fixture(params=["XOAUTH2", "OAUTHBEARER"])
def exchange(request: pytest.FixtureRequest) -> Mechanism:
    if request.param == "XOAUTH2":
        return XOAuth2("ada@example.com", TOKEN)
    return OAuthBearer("ada@example.com", TOKEN, "imap.example.com", 993)


def test_xoauth2_is_written_as_google_and_microsoft_say() -> None:
    response = XOAuth2("ada@example.com", TOKEN).initial_response()
    assert response == b"user=ada@example.com\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


def test_oauthbearer_is_written_as_rfc_7628_says() -> None:
    response = OAuthBearer("a=b,c@example.com", TOKEN, "imap.example.com", 993).initial_response()
    assert response == (
        b"n,a=a=3Db=2Cc@example.com,\x01host=imap.example.com\x01port=993\x01auth=Bearer "
        + TOKEN.encode()
        + b"\x01\x01"
    )


def test_an_empty_first_challenge_is_answered_with_the_token(exchange: Mechanism) -> None:
    assert TOKEN.encode() in exchange.answer(b"")
    assert exchange.refusal == {}


@pytest.mark.parametrize("challenge", [b"", b'{"status":"400"}', b"no"])
def test_every_later_challenge_ends_the_exchange_without_the_token(
    exchange: Mechanism, challenge: bytes
) -> None:
    farewell = {"XOAUTH2": b"", "OAUTHBEARER": b"\x01"}[exchange.name]
    exchange.answer(b"")
    assert [exchange.answer(challenge), exchange.answer(b"")] == [farewell, farewell]


def test_a_json_refusal_before_the_token_does_not_get_the_token() -> None:
    exchange = XOAuth2("ada@example.com", TOKEN)
    assert exchange.answer(b'{"status":"400"}') == b""
    assert exchange.refusal == {"status": "400"}


def test_the_token_is_given_out_once(exchange: Mechanism) -> None:
    exchange.initial_response()
    with pytest.raises(RuntimeError):
        exchange.initial_response()


@pytest.mark.parametrize(
    ("challenge", "refusal"),
    [
        (
            b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}',
            {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"},
        ),
        (b'{"status":401,"why":null}', {"status": "401", "why": "null"}),
        (b"Nope\r\n", {"text": "Nope"}),
        (b'["status"]', {"text": '["status"]'}),
        (b"\xff", {"text": "\ufffd"}),
        (b"", {}),
        (b'{"text":"\\ud800\\u001b[2J"}', {"text": "? [2J"}),
        (b"x" * 5000, {"text": "x" * 1000}),
        (b"[" * 5000, {"text": "[" * 1000}),
        (json.dumps({"text": "x" * 20_000}).encode(), {"text": '{"text": "' + "x" * 990}),
    ],
)
def test_a_refusal_is_decoded_whatever_it_is(challenge: bytes, refusal: dict[str, str]) -> None:
    exchange = XOAuth2("ada@example.com", TOKEN)
    exchange.initial_response()
    exchange.answer(challenge)
    assert exchange.refusal == refusal


@pytest.mark.parametrize("depth", [100, 400, 700, 990, 3000])
def test_a_refusal_that_is_nested_to_do_harm_is_decoded_too(depth: int) -> None:
    exchange = XOAuth2("ada@example.com", TOKEN)
    exchange.initial_response()
    exchange.answer(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    assert set(exchange.refusal) <= {"a", "text"}


def test_a_server_that_repeats_the_token_does_not_get_it_into_the_refusal(
    exchange: Mechanism,
) -> None:
    payload = base64.b64encode(exchange.initial_response()).decode()
    for text in (f"bad {TOKEN}!", json.dumps({"a": f"bad {payload}"})):
        exchange.answer(text.encode())
        assert "***" in str(exchange.refusal)
        assert TOKEN not in str(exchange.refusal)
        assert payload not in str(exchange.refusal)


@pytest.mark.parametrize("damage", ["\x01", "\n", "\r", "\0", "ö", "\udc80"])
def test_an_unusable_token_is_refused_and_not_shown(damage: str) -> None:
    with pytest.raises(ConfigError) as caught:
        XOAuth2("ada@example.com", f"0123{damage}4567")
    shown = f"{caught.value!r}{caught.value}"
    assert "0123" not in shown
    assert "4567" not in shown


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ConfigError):
        XOAuth2("ada@example.com", "")


@pytest.mark.parametrize("user", ["", "ada\x01", "ada\r\nA1 LOGOUT", "ada\0", "ada\udc80"])
def test_a_user_that_could_break_the_line_is_refused(user: str) -> None:
    for make in (lambda: XOAuth2(user, TOKEN), lambda: OAuthBearer(user, TOKEN, "h", 1)):
        with pytest.raises(ConfigError):
            make()


def test_a_host_that_could_break_the_message_is_refused() -> None:
    for host in ("", "h\x01auth=Bearer x"):
        with pytest.raises(ConfigError):
            OAuthBearer("ada@example.com", TOKEN, host, 1)


def test_a_user_outside_ascii_is_sent_as_utf_8() -> None:
    assert "user=jörg@example.com".encode() in XOAuth2("jörg@example.com", "t").initial_response()


def test_a_line_of_512_octets_goes_in_one_step_and_a_longer_one_in_two() -> None:
    def line(token: str) -> int:
        payload = XOAuth2("ada@example.com", token).initial_response()
        return len(b"AUTH XOAUTH2 " + base64.b64encode(payload) + b"\r\n")

    for length in range(300, 400):
        exchange = XOAuth2("ada@example.com", "t" * length)
        assert exchange.needs_two_steps() is (line("t" * length) > 512)
        assert not exchange.needs_two_steps(line("t" * length))
        assert exchange.needs_two_steps(line("t" * length) - 1)
        exchange.initial_response()  # asking does not use up the token
    assert not XOAuth2("ada@example.com", "t" * 1500).needs_two_steps(12_288)


def test_the_repr_shows_the_user_and_not_the_token(exchange: Mechanism) -> None:
    assert "ada@example.com" in repr(exchange)
    assert TOKEN not in repr(exchange)


def test_the_provider_names_the_mechanism() -> None:
    endpoint = cast("Endpoint", SimpleNamespace(host="imap.example.com", port=993))
    assert mechanism("xoauth2", "ada@example.com", TOKEN, endpoint).name == "XOAUTH2"
    bearer = mechanism("oauthbearer", "ada@example.com", TOKEN, endpoint)
    assert b"host=imap.example.com\x01port=993" in bearer.initial_response()
    with pytest.raises(ConfigError, match="plain"):
        mechanism(cast("Any", "plain"), "ada@example.com", TOKEN, endpoint)
