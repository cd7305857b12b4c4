"""The three ways in which a person signs in, against the emulated identity service."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mailoauth.emulator.identity import IdentityService
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    SignInFailed,
)
from mailoauth.tokens.microsoft import (
    DeviceCode,
    MicrosoftRefresher,
    same_user,
    sign_in_browser,
    sign_in_device_code,
    sign_in_pasted,
)
from mailoauth.tokens.microsoft_answers import sign_in_failure
from tests.identity_lab import (
    ADA,
    IdentityLab,
    account_at,
    everything,
    visit,
)

if TYPE_CHECKING:
    from mailoauth.accounts import Account
    from mailoauth.emulator.certificates import Certificates


class TestBrowser(IdentityLab):
    def test_the_whole_way_brings_a_grant(self, service: IdentityService, account: Account) -> None:
        urls: list[str] = []
        grant = sign_in_browser(account, open_url=service.browser, on_url=urls.append, timeout=10)
        assert service.holder(grant.access_token) == ADA
        assert grant.username == ADA
        assert set(grant.discovered) == {"token_endpoint", "tid", "oid"}
        refreshed = MicrosoftRefresher(account).refresh(grant.refresh_token, grant.discovered)
        assert service.holder(refreshed.access_token) == ADA
        asked = parse_qs(urlsplit(urls[0]).query)
        assert asked["response_mode"] == ["query"]
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["login_hint"] == [ADA]
        assert asked["redirect_uri"][0].startswith("http://localhost:")

    def test_the_grant_says_who_really_signed_in(
        self, service: IdentityService, account: Account
    ) -> None:
        service.add_user("eve@outlook.example", upn="Eve@contoso.example")
        eve = service.browser_as("eve@outlook.example")
        grant = sign_in_browser(account, open_url=eve, timeout=10)
        assert grant.username == "Eve@contoso.example"
        assert not same_user(grant.username, ADA)
        assert same_user(grant.username, " eve@CONTOSO.example")

    def test_a_denial_is_a_failed_sign_in(self, service: IdentityService, account: Account) -> None:
        with pytest.raises(SignInFailed) as caught:
            sign_in_browser(account, open_url=service.denying_browser, timeout=10)
        assert caught.value.reason == "denied"
        assert caught.value.account == ADA
        assert service.token_requests == []

    def test_nobody_coming_back_is_expired(self, account: Account) -> None:
        with pytest.raises(SignInFailed) as caught:
            sign_in_browser(account, open_url=lambda _: True, timeout=0.2)
        assert caught.value.reason == "expired"
        assert caught.value.account == ADA

    def test_no_browser_names_the_other_ways(self, account: Account) -> None:
        def broken(_: str) -> bool:
            raise webbrowser.Error

        for open_url in (broken, lambda _: False):
            with pytest.raises(SignInFailed, match="--device-code"):
                sign_in_browser(account, open_url=open_url, timeout=10)

    def test_a_shown_address_needs_no_browser_here(
        self, service: IdentityService, account: Account
    ) -> None:
        grant = sign_in_browser(
            account, open_url=lambda _: False, on_url=service.browser, timeout=10
        )
        assert grant.username == ADA

    def test_a_forged_answer_does_not_end_the_sign_in(
        self, service: IdentityService, account: Account
    ) -> None:
        pages: list[tuple[int, str]] = []

        def attacked(url: str) -> bool:
            target = parse_qs(urlsplit(url).query)["redirect_uri"][0]
            forged = [
                {"code": "forged", "state": "guess"},
                {"error": "access_denied"},
                {"error": "access_denied", "state": ""},
            ]
            pages.extend(visit(target, f"/?{urlencode(query)}") for query in forged)
            return service.browser(url)

        assert sign_in_browser(account, open_url=attacked, timeout=10).username == ADA
        assert [status for status, _ in pages] == [400, 400, 400]

    def test_only_forged_answers_are_a_state_mismatch(self, account: Account) -> None:
        states: list[str] = []

        def forging(url: str) -> bool:
            asked = parse_qs(urlsplit(url).query)
            states.extend(asked["state"])
            visit(asked["redirect_uri"][0], "/?code=forged&state=guess")
            return True

        with pytest.raises(SignInFailed) as caught:
            sign_in_browser(account, open_url=forging, timeout=0.3)
        assert caught.value.reason == "state_mismatch"
        assert states[0] not in everything(caught.value)
        assert "guess" not in everything(caught.value)

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ("AADSTS54005: OAuth2 Authorization code was already redeemed", "code_used"),
            ("AADSTS70008: The provided authorization code has expired", "expired"),
            ("AADSTS65001: The user or administrator has not consented", "consent"),
        ],
    )
    def test_a_refused_code_has_its_reason(
        self, service: IdentityService, account: Account, said: str, reason: str
    ) -> None:
        service.fail_next(error={"error": "invalid_grant", "error_description": said})
        with pytest.raises(SignInFailed) as caught:
            sign_in_browser(account, open_url=service.browser, timeout=10)
        assert caught.value.reason == reason

    def test_an_interrupt_leaves_no_listener(self, account: Account) -> None:
        ports: list[int] = []

        def interrupting(url: str) -> bool:
            target = parse_qs(urlsplit(url).query)["redirect_uri"][0]
            ports.append(urlsplit(target).port or 0)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sign_in_browser(account, open_url=interrupting, timeout=10)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), 1)

    def test_a_port_that_is_taken_is_said_before_the_browser_opens(self, account: Account) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(ConfigError, match="--port"),
        ):
            sign_in_browser(account, open_url=pytest.fail, port=taken.getsockname()[1])

    def test_a_nonce_of_another_sign_in_is_refused_without_being_shown(
        self, service: IdentityService, account: Account
    ) -> None:
        # An id token whose nonce is missing altogether.
        service.fail_next(body='{"access_token": "a", "id_token": "e30.eyJvaWQiOiJ4In0."}')
        urls: list[str] = []
        with pytest.raises(ConnectionFailed) as caught:
            sign_in_browser(account, open_url=service.browser, on_url=urls.append, timeout=10)
        nonce = parse_qs(urlsplit(urls[0]).query)["nonce"][0]
        assert nonce not in everything(caught.value)


class TestPasted(IdentityLab):
    @pytest.mark.parametrize("form", ["{}", "  {} \n", "{query}", "?{query}", "{broken}", "<{}>"])
    def test_an_address_is_taken_as_people_paste_it(
        self, service: IdentityService, account: Account, form: str
    ) -> None:
        ends: list[str] = []

        def ask(_: str) -> str:
            query = urlsplit(ends[0]).query
            broken = f"{ends[0][:70]}\n  {ends[0][70:]}"
            return form.format(ends[0], query=query, broken=broken)

        grant = sign_in_pasted(
            account, show=lambda url: ends.append(service.address_after(url)), ask=ask, port=8400
        )
        assert ends[0].startswith("http://localhost:8400?")
        assert service.holder(grant.access_token) == ADA

    def test_nonsense_is_asked_for_again(self, service: IdentityService, account: Account) -> None:
        ends: list[str] = []
        answers = iter(["what?", "http://localhost/?code=c&state=other"])
        grant = sign_in_pasted(
            account,
            show=lambda url: ends.append(service.address_after(url)),
            ask=lambda _: next(answers, ends[0]),
        )
        assert grant.username == ADA

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("no", "other"), ("http://localhost/?code=c&state=marker", "state_mismatch")],
    )
    def test_three_times_nonsense_is_the_end(
        self, account: Account, text: str, reason: str
    ) -> None:
        asked: list[str] = []

        def ask(question: str) -> str:
            asked.append(question)
            return text

        with pytest.raises(SignInFailed) as caught:
            sign_in_pasted(account, show=lambda _: None, ask=ask)
        assert len(asked) == 3
        assert caught.value.reason == reason
        assert "marker" not in everything(caught.value)

    def test_a_pasted_denial_is_a_denial(self, service: IdentityService, account: Account) -> None:
        states: list[str] = []

        def show(url: str) -> None:
            states.extend(parse_qs(urlsplit(url).query)["state"])

        with pytest.raises(SignInFailed) as caught:
            sign_in_pasted(
                account, show=show, ask=lambda _: f"error=access_denied&state={states[0]}"
            )
        assert caught.value.reason == "denied"


class TestDeviceCode(IdentityLab):
    def test_a_code_entered_elsewhere_signs_in(
        self, service: IdentityService, account: Account
    ) -> None:
        shown: list[DeviceCode] = []

        def show(code: DeviceCode) -> None:
            shown.append(code)
            service.approve_device(code.user_code, ADA)

        grant = sign_in_device_code(account, show=show)
        assert service.holder(grant.access_token) == ADA
        assert shown[0].user_code in str(shown[0])
        assert shown[0].verification_uri == f"{service.base}/devicelogin"
        assert 890 < shown[0].expires_at - time.time() <= 900

    def test_it_waits_until_the_code_is_entered_through_trouble(
        self, service: IdentityService, account: Account
    ) -> None:
        service.fail_next(status=503)
        threads: list[threading.Thread] = []

        def show(code: DeviceCode) -> None:
            def enter_later() -> None:
                while len(service.token_requests) < 2:
                    time.sleep(0.01)
                service.approve_device(code.user_code, ADA)

            threads.append(threading.Thread(target=enter_later))
            threads[0].start()

        assert sign_in_device_code(account, show=show).username == ADA
        threads[0].join()
        assert [asked.status for asked in service.token_requests] == [503, 400, 200]

    def test_a_denial_is_denied(self, service: IdentityService, account: Account) -> None:
        with pytest.raises(SignInFailed) as caught:
            sign_in_device_code(account, show=lambda code: service.deny_device(code.user_code))
        assert caught.value.reason == "denied"

    def test_the_wait_ends_with_the_time_out(self, account: Account) -> None:
        begin = time.monotonic()
        with pytest.raises(SignInFailed) as caught:
            sign_in_device_code(account, show=lambda _: None, timeout=0.3)
        assert caught.value.reason == "expired"
        assert time.monotonic() - begin < 3

    def test_the_wait_ends_with_the_code(self, certificates: Certificates) -> None:
        with (
            IdentityService(certificates, device_life=1, device_interval=1) as service,
            pytest.raises(SignInFailed) as caught,
        ):
            sign_in_device_code(account_at(service), show=lambda _: None)
        assert caught.value.reason == "expired"

    def test_a_refused_beginning_is_translated(
        self, service: IdentityService, account: Account
    ) -> None:
        no_app = {"error": "unauthorized_client", "error_description": "AADSTS700016: not found."}
        service.fail_next(endpoint="devicecode", error=no_app)
        with pytest.raises(ConfigError, match="AADSTS700016"):
            sign_in_device_code(account, show=lambda _: pytest.fail("asked"))
        service.fail_next(endpoint="devicecode", body='{"interval": "soon"}')
        with pytest.raises(ConnectionFailed, match="no code"):
            sign_in_device_code(account, show=lambda _: pytest.fail("asked"))

    @pytest.mark.parametrize("number", [50105, 53003, 530033])
    def test_a_forbidden_device_code_names_the_browser(
        self, service: IdentityService, account: Account, number: int
    ) -> None:
        said = f"AADSTS{number}: blocked by policy."
        service.fail_next(error={"error": "access_denied", "error_description": said})
        with pytest.raises(SignInFailed, match=r"with the browser") as caught:
            sign_in_device_code(account, show=lambda _: None)
        assert f"AADSTS{number}" in str(caught.value)

    def test_an_interval_of_nothing_does_not_hammer(
        self, service: IdentityService, account: Account
    ) -> None:
        service.fail_next(
            endpoint="devicecode",
            body='{"user_code": "U", "device_code": "D", "verification_uri": "https://example.com",'
            ' "interval": 0, "expires_in": 900}',
        )
        service.fail_next(error={"error": "authorization_pending"}, times=100)
        with pytest.raises(SignInFailed):
            sign_in_device_code(account, show=lambda _: None, timeout=1.5)
        assert len(service.token_requests) <= 3


class TestSecrecy(IdentityLab):
    def test_no_secret_is_in_any_log(
        self, service: IdentityService, account: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="urllib3")
        grant = sign_in_browser(account, open_url=service.browser, timeout=10)
        refreshed = MicrosoftRefresher(account).refresh(grant.refresh_token, grant.discovered)
        service.fail_next(body=f"not JSON {refreshed.access_token}")
        with pytest.raises(ConnectionFailed) as caught:
            MicrosoftRefresher(account).refresh(refreshed.refresh_token, {})
        shown = caplog.text + everything(caught.value)
        for secret in (
            grant.access_token,
            grant.refresh_token,
            refreshed.access_token,
            refreshed.refresh_token,
        ):
            assert secret
            assert secret not in shown
        assert "oauth2/v2.0" not in caplog.text

    def test_nothing_is_left_open(self, service: IdentityService, account: Account) -> None:
        grant = sign_in_browser(account, open_url=service.browser, timeout=10)
        MicrosoftRefresher(account).refresh(grant.refresh_token, {})
        del grant
        # An unclosed socket is a warning here, and a warning is an error.
        gc.collect()

    @pytest.mark.parametrize("device", [True, False])
    def test_a_policy_block_is_not_called_a_denial(self, account: Account, device: bool) -> None:
        answer = {"error": "access_denied", "error_description": "AADSTS53003: blocked."}
        error = sign_in_failure(answer, account, device=device)
        assert isinstance(error, SignInFailed)
        assert error.reason == "other"
        assert "AADSTS53003" in str(error)
        assert ("with the browser" in str(error)) is device
