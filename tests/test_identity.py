"""The emulated identity service, asked over HTTPS without MSAL and without mailoauth.tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import stat
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA = "ada@outlook.example"
BOB = "bob@outlook.example"
SCOPE = " ".join(OUTLOOK_SCOPES)
FULL_SCOPE = f"{SCOPE} openid profile offline_access"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
REDIRECT = "http://localhost:4711"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


@pytest.fixture
def service(certificates: Certificates) -> Iterator[IdentityService]:
    with IdentityService(certificates) as running:
        running.add_user(ADA)
        running.add_user(BOB, upn="bob@contoso.example")
        yield running


def call(
    service: IdentityService, path: str, form: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], Any]:
    """Return status, JSON object and headers."""
    context = ssl.create_default_context(cafile=str(service.ca_file))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    data = None if form is None else urlencode(form).encode()
    try:
        with opener.open(f"{service.base}{path}", data=data, timeout=10) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as answer:
        with answer:
            text = answer.read()
            found = json.loads(text) if text.startswith(b"{") else {"text": text.decode()}
            return answer.code, found, answer.headers


def token(
    service: IdentityService, tenant: str = "common", **form: str
) -> tuple[int, dict[str, Any], Any]:
    return call(service, f"/{tenant}/oauth2/v2.0/token", {"client_id": "app", **form})


def refresh(service: IdentityService, value: str, **form: str) -> tuple[int, dict[str, Any], Any]:
    fields = {"grant_type": "refresh_token", "refresh_token": value, "scope": FULL_SCOPE}
    return token(service, **{**fields, **form})


def authorize_url(service: IdentityService, **changes: str) -> str:
    asked = {
        "client_id": "app",
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": FULL_SCOPE,
        "state": "our state",
        "nonce": "our nonce",
        "login_hint": ADA,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{service.authority}/oauth2/v2.0/authorize?{urlencode(asked)}"


def answer_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def redeem(service: IdentityService, code: str, **form: str) -> tuple[int, dict[str, Any], Any]:
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_info": "1",
    }
    return token(service, **{**fields, **form})


def number_of(body: dict[str, Any]) -> int:
    return int(body["error_codes"][0])


def test_the_certificate_files_are_private_and_go_away() -> None:
    with Certificates() as certificates:
        folder = certificates.folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for file in (certificates.ca_file, certificates.chain_file, certificates.key_file):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not folder.exists()


def test_discovery_names_the_endpoints_of_the_tenant_asked_for(service: IdentityService) -> None:
    status, found, _ = call(service, "/contoso.example/v2.0/.well-known/openid-configuration")
    assert status == 200
    here = f"{service.base}/contoso.example"
    assert found["token_endpoint"] == f"{here}/oauth2/v2.0/token"
    assert found["authorization_endpoint"] == f"{here}/oauth2/v2.0/authorize"
    assert found["device_authorization_endpoint"] == f"{here}/oauth2/v2.0/devicecode"
    assert found["issuer"] == f"{here}/v2.0"


def test_a_person_who_signs_in_gets_a_code_that_buys_tokens(service: IdentityService) -> None:
    answer = answer_of(service.address_after(authorize_url(service)))
    assert answer["state"] == "our state"
    status, body, headers = redeem(service, answer["code"])
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == body["ext_expires_in"] == 3600
    assert body["scope"] == SCOPE
    assert body["access_token"].startswith("EwB")
    assert len(body["access_token"]) == 1800
    assert body["refresh_token"].startswith("M.C5")
    claims = json.loads(base64.urlsafe_b64decode(body["id_token"].split(".")[1] + "=="))
    assert claims["preferred_username"] == ADA
    assert claims["nonce"] == "our nonce"
    assert claims["aud"] == "app"
    known = json.loads(base64.urlsafe_b64decode(body["client_info"] + "=="))
    assert known == {"uid": claims["oid"], "utid": claims["tid"]}
    assert service.holder(body["access_token"]) == ADA


def test_a_code_is_good_once(service: IdentityService) -> None:
    code = answer_of(service.address_after(authorize_url(service)))["code"]
    assert redeem(service, code)[0] == 200
    status, body, _ = redeem(service, code)
    assert (status, body["error"], number_of(body)) == (400, "invalid_grant", 54005)


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"code_verifier": "w" * 43}, 501481),
        ({"code_verifier": ""}, 501481),
        ({"redirect_uri": "http://localhost:4712"}, 500112),
        ({"client_id": "another"}, 70000),
        ({"code": "invented"}, 70000),
    ],
)
def test_a_code_in_the_wrong_hands_buys_nothing(
    service: IdentityService, change: dict[str, str], number: int
) -> None:
    code = answer_of(service.address_after(authorize_url(service)))["code"]
    status, body, _ = redeem(service, **{"code": code, **change})
    assert (status, number_of(body)) == (400, number)
    assert redeem(service, code)[0] == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://mail.example.com/",
        "http://127.0.0.1:4711",
        "http://localhost.example.com:4711",
        "http://localhost:4711/?more=1",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_localhost(
    service: IdentityService, address: str
) -> None:
    url = authorize_url(service, redirect_uri=address).removeprefix(service.base)
    status, page, headers = call(service, url)
    assert status == 400
    assert "AADSTS50011" in page["text"]
    assert "Location" not in headers


def test_the_sign_in_page_suggests_the_login_hint_and_escapes_it(service: IdentityService) -> None:
    context = ssl.create_default_context(cafile=str(service.ca_file))
    url = authorize_url(service, login_hint='"><script>alert(1)</script>')
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        page = answer.read().decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_cancelling_is_access_denied_and_keeps_the_state(service: IdentityService) -> None:
    page = LoopbackPage()
    assert service.denying_browser(authorize_url(service, redirect_uri=page.address))
    answer = page.wait()
    assert answer["error"] == "access_denied"
    assert answer["error_subcode"] == "cancel"
    assert answer["state"] == "our state"


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_the_scripted_person_goes_all_the_way_in_both_response_modes(
    service: IdentityService, mode: str
) -> None:
    page = LoopbackPage()
    url = authorize_url(service, redirect_uri=page.address, response_mode=mode)
    assert service.browser_as(BOB)(url) is True
    answer = page.wait()
    assert redeem(service, answer["code"], redirect_uri=page.address)[0] == 200
    assert service.token_requests[-1].user == "bob@contoso.example"
    assert service.browser_failures == []


def test_somebody_unknown_gets_the_page_again_and_no_code(service: IdentityService) -> None:
    url = authorize_url(service, login_hint="nobody@outlook.example")
    assert service.address_after(url) == ""


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("https://outlook.office.com/IMAP.AccessAsUser.All", "outlook"),
        ("https://outlook.office365.com/SMTP.Send", "outlook"),
        ("IMAP.AccessAsUser.All", "graph"),
        ("https://graph.microsoft.com/Mail.Read", "graph"),
        ("openid profile", "graph"),
    ],
)
def test_a_token_is_for_the_resource_of_its_scopes(
    service: IdentityService, scope: str, audience: str
) -> None:
    _, value = service.issue(ADA)
    _, body, _ = refresh(service, value, scope=scope)
    assert service.holder(body["access_token"], audience) == ADA
    other = "graph" if audience == "outlook" else "outlook"
    assert service.holder(body["access_token"], other) is None


@pytest.mark.parametrize(
    ("scope", "number"),
    [
        (f"{SCOPE} https://graph.microsoft.com/Mail.Read", 700022),
        (f"{SCOPE} IMAP.AccessAsUser.All", 700022),
        (f"{SCOPE} https://outlook.office.com/.default", 70011),
    ],
)
def test_scopes_of_two_resources_are_refused(
    service: IdentityService, scope: str, number: int
) -> None:
    _, value = service.issue(ADA)
    status, body, _ = refresh(service, value, scope=scope)
    assert (status, body["error"], number_of(body)) == (400, "invalid_scope", number)


def test_a_token_without_the_send_scope_is_not_one_for_sending(service: IdentityService) -> None:
    value, _ = service.issue(ADA, ["https://outlook.office.com/IMAP.AccessAsUser.All"])
    assert service.holder(value, scope="IMAP.AccessAsUser.All") == ADA
    assert service.holder(value, scope="SMTP.Send") is None


def test_microsoft_rotation_leaves_the_old_refresh_token_good(service: IdentityService) -> None:
    _, first = service.issue(ADA)
    _, body, _ = refresh(service, first)
    assert body["refresh_token"] != first
    assert refresh(service, first)[0] == 200
    assert refresh(service, body["refresh_token"])[0] == 200


def test_strict_rotation_ends_the_sign_in_when_a_used_token_comes_back(
    certificates: Certificates,
) -> None:
    with IdentityService(certificates, rotation="strict") as service:
        service.add_user(ADA)
        _, other = service.issue(ADA)
        _, first = service.issue(ADA)
        _, body, _ = refresh(service, first)
        assert service.holder(body["access_token"]) == ADA
        status, refused, _ = refresh(service, first)
        assert (status, refused["error"]) == (400, "invalid_grant")
        assert service.holder(body["access_token"]) is None
        assert refresh(service, body["refresh_token"])[1]["error"] == "invalid_grant"
        assert refresh(service, other)[0] == 200


def test_strict_rotation_lets_one_of_many_at_once_through(certificates: Certificates) -> None:
    with IdentityService(certificates, rotation="strict") as service:
        service.add_user(ADA)
        _, first = service.issue(ADA)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: refresh(service, first)[0], range(8)))
        assert sorted(results) == [200, *[400] * 7]


def test_no_rotation_means_no_new_refresh_token(certificates: Certificates) -> None:
    with IdentityService(certificates, rotation="none") as service:
        service.add_user(ADA)
        _, first = service.issue(ADA)
        _, body, _ = refresh(service, first)
        assert "refresh_token" not in body
        assert refresh(service, first)[0] == 200


def test_revocation_ends_refresh_and_access_tokens_with_50173(service: IdentityService) -> None:
    access, value = service.issue(ADA)
    bobs, _ = service.issue(BOB)
    service.revoke(ADA)
    status, body, _ = refresh(service, value)
    assert (status, body["error"], number_of(body)) == (400, "invalid_grant", 50173)
    assert body["suberror"] == "bad_token"
    assert body["error_description"].startswith("AADSTS50173: ")
    assert f"Trace ID: {body['trace_id']}\r\n" in body["error_description"]
    assert body["correlation_id"] in body["error_description"]
    assert service.holder(access) is None
    assert service.holder(bobs) == "bob@contoso.example"
    assert refresh(service, service.issue(ADA)[1])[0] == 200


def test_access_tokens_can_end_alone(service: IdentityService) -> None:
    access, value = service.issue(ADA)
    bobs, _ = service.issue(BOB)
    service.revoke_access_tokens(ADA)
    assert service.holder(access) is None
    assert service.token_lives_until(access) is None
    assert service.holder(bobs) is not None
    service.expire_tokens()
    assert service.holder(bobs) is None
    assert service.holder(refresh(service, value)[1]["access_token"]) == ADA


def test_a_token_ends_by_the_clock(certificates: Certificates) -> None:
    with IdentityService(certificates, token_life=1) as service:
        service.add_user(ADA)
        access, _ = service.issue(ADA)
        until = service.token_lives_until(access)
        assert until is not None
        assert service.holder(access) == ADA
        while time.time() < until:
            threading.Event().wait(0.02)
        assert service.holder(access) is None
        assert service.token_lives_until(access) is None


def test_a_refresh_token_is_bound_to_its_client(service: IdentityService) -> None:
    _, value = service.issue(ADA, client_id="app")
    assert refresh(service, value, client_id="thief")[1]["suberror"] == "client_mismatch"
    assert refresh(service, value)[0] == 200


def test_an_app_proves_itself_with_its_secret(service: IdentityService) -> None:
    service.add_client("robot", "hush")
    form = {
        "client_id": "robot",
        "grant_type": "client_credentials",
        "scope": "https://outlook.office365.com/.default",
    }
    _, body, _ = token(service, "contoso.example", **form, client_secret="hush")
    assert service.holder(body["access_token"]) == "app:robot"
    assert service.holder(body["access_token"], scope="SMTP.Send") == "app:robot"
    assert "refresh_token" not in body
    status, body, _ = token(service, "contoso.example", **form, client_secret="guess")
    assert (status, body["error"], number_of(body)) == (401, "invalid_client", 7000215)
    assert number_of(token(service, "contoso.example", **form)[1]) == 7000218
    assert number_of(token(service, "common", **form, client_secret="hush")[1]) == 9001023
    _, value = service.issue(ADA)
    assert number_of(refresh(service, value, client_secret="hush")[1]) == 700025


def test_a_device_is_let_in_once_its_code_is_approved(service: IdentityService) -> None:
    asked = {"client_id": "app", "scope": FULL_SCOPE}
    _, device, _ = call(service, "/common/oauth2/v2.0/devicecode", asked)
    assert device["expires_in"] == 900
    assert device["interval"] == 5
    assert device["user_code"] in device["message"]
    poll = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": device["device_code"],
    }
    status, body, _ = token(service, **poll)
    assert (status, body["error"], number_of(body)) == (400, "authorization_pending", 70016)
    service.approve_device(device["user_code"], ADA)
    status, body, _ = token(service, **poll)
    assert status == 200
    assert service.holder(body["access_token"]) == ADA
    assert token(service, **poll)[1]["error"] == "bad_verification_code"


def test_a_device_can_be_denied_or_come_too_late(certificates: Certificates) -> None:
    asked = {"client_id": "app", "scope": FULL_SCOPE}
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
    with IdentityService(certificates, device_life=0) as service:
        _, device, _ = call(service, "/common/oauth2/v2.0/devicecode", asked)
        late = token(service, **grant, device_code=device["device_code"])[1]
        assert late["error"] == "expired_token"
    with IdentityService(certificates) as service:
        _, device, _ = call(service, "/common/oauth2/v2.0/devicecode", asked)
        service.deny_device(device["user_code"])
        denied = token(service, **grant, device_code=device["device_code"])[1]
        assert denied["error"] == "authorization_declined"


def test_what_is_missing_is_named(service: IdentityService) -> None:
    status, body, _ = token(service, grant_type="refresh_token")
    assert (status, number_of(body)) == (400, 900144)
    assert "'refresh_token'" in body["error_description"]
    assert token(service, grant_type="password")[1]["error"] == "unsupported_grant_type"


def test_ordered_failures_come_once_each_and_in_order(service: IdentityService) -> None:
    _, value = service.issue(ADA)
    service.fail_next(status=503, times=2)
    service.fail_next(retry_after=7)
    service.fail_next(error={"error": "invalid_grant", "error_description": "AADSTS700082: old"})
    service.fail_next(body="<html>welcome</html>")
    assert refresh(service, value)[0] == 503
    assert refresh(service, value)[0] == 503
    status, _, headers = refresh(service, value)
    assert (status, headers["Retry-After"]) == (429, "7")
    status, body, _ = refresh(service, value)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert "trace_id" in body
    with pytest.raises(json.JSONDecodeError):
        refresh(service, value)
    assert refresh(service, value)[0] == 200
    assert [request.status for request in service.token_requests] == [503, 503, 429, 400, 200, 200]


def test_a_cut_connection_brings_no_answer(service: IdentityService) -> None:
    _, value = service.issue(ADA)
    service.fail_next(cut=True)
    with pytest.raises(ConnectionError):
        refresh(service, value)
    assert service.token_requests[-1].status == 0
    assert refresh(service, value)[0] == 200


def test_a_late_answer_is_still_the_true_one(service: IdentityService) -> None:
    _, value = service.issue(ADA)
    service.fail_next(hang=0.3)
    begin = time.monotonic()
    assert refresh(service, value)[0] == 200
    assert time.monotonic() - begin >= 0.3


def test_a_service_that_is_down_answers_nothing_until_it_is_up(service: IdentityService) -> None:
    _, value = service.issue(ADA)
    service.down = True
    with pytest.raises(OSError, match=r".+"):
        refresh(service, value)
    service.down = False
    assert refresh(service, value)[0] == 200


def test_stopping_does_not_wait_for_a_late_answer(
    certificates: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    with IdentityService(certificates) as service, ThreadPoolExecutor(1) as pool:
        service.add_user(ADA)
        service.fail_next(hang=60)
        late = pool.submit(refresh, service, service.issue(ADA)[1])
        while service._troubles.faults:
            time.sleep(0.01)
        begin = time.monotonic()
        service.__exit__()
        assert time.monotonic() - begin < 5
        ended = late.exception(10)  # cut off, or answered in the last moment
        assert ended is None or isinstance(ended, OSError)
    assert capfd.readouterr().err == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), 1)


def test_another_root_is_not_trusted(service: IdentityService) -> None:
    with Certificates() as others, pytest.raises(urllib.error.URLError, match="CERTIFICATE"):
        urllib.request.urlopen(
            f"{service.authority}/v2.0/.well-known/openid-configuration",
            context=others.client_context(),
            timeout=10,
        )


class LoopbackPage:
    """A client's own page: takes one GET or POST and keeps its parameters."""

    def __init__(self) -> None:
        answers: list[dict[str, str]] = []

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.take(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self.take(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def take(self, text: str) -> None:
                answers.append({name: values[0] for name, values in parse_qs(text).items()})
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        self._answers = answers
        self._server = HTTPServer(("localhost", 0), Page)
        self._server.timeout = 10
        self.address = f"http://localhost:{self._server.server_address[1]}"

    def wait(self) -> dict[str, str]:
        with self._server:
            self._server.handle_request()
        return self._answers[0]
