"""Refresh when the network, TLS, a proxy or the service itself is in trouble."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Self

import pytest

from mailoauth.accounts import Account, Endpoint, Provider
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    MailOAuthError,
    Throttled,
)
from mailoauth.network import tls_context
from mailoauth.tokens.microsoft import (
    MicrosoftRefresher,
    sign_in_device_code,
)
from mailoauth.tokens.microsoft_wire import retry_after
from tests.identity_lab import ADA, IdentityLab, account_at, everything


class TestTroubleOnTheWay(IdentityLab):
    def test_a_cut_connection_is_a_failed_one(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        service.fail_next(cut=True)
        _, value = service.issue(ADA)
        with pytest.raises(ConnectionFailed, match="closed the connection") as caught:
            refresher.refresh(value, {})
        assert isinstance(caught.value.__cause__, OSError)
        assert value not in everything(caught.value)
        # Not repeated by itself: with a strict service that would end the sign-in.
        assert len(service.token_requests) == 1

    def test_a_service_that_is_down_is_a_failed_connection(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        _, value = service.issue(ADA)
        service.down = True
        with pytest.raises(ConnectionFailed):
            refresher.refresh(value, {})
        service.down = False
        assert refresher.refresh(value, {}).access_token

    def test_nothing_listening_is_said_so(self, service: IdentityService) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        refresher = MicrosoftRefresher(
            account_at(service, authority=f"https://localhost:{port}/common")
        )
        with pytest.raises(ConnectionFailed, match=f"localhost:{port} refused the connection"):
            refresher.refresh("value", {})

    def test_a_name_that_nobody_knows_is_said_so(self, service: IdentityService) -> None:
        refresher = MicrosoftRefresher(
            account_at(service, authority="https://nobody.invalid/common"), timeout=20
        )
        with pytest.raises(ConnectionFailed, match=r"nobody\.invalid.*cannot be resolved"):
            refresher.refresh("value", {})

    def test_a_late_service_is_timed_out(self, service: IdentityService, account: Account) -> None:
        service.fail_next(hang=20)
        _, value = service.issue(ADA)
        begin = time.monotonic()
        with pytest.raises(ConnectionTimedOut, match=r"0\.5 seconds") as caught:
            MicrosoftRefresher(account, timeout=0.5).refresh(value, {})
        assert time.monotonic() - begin < 3
        assert value not in everything(caught.value)

    def test_the_time_out_bounds_an_answer_that_drips(self, certificates: Certificates) -> None:
        with Dripping(certificates) as port:
            refresher = MicrosoftRefresher(
                Account(
                    user=ADA,
                    client_id="app",
                    provider=Provider(
                        name="lab",
                        oauth="microsoft",
                        authority=f"https://localhost:{port}/common",
                        scopes=OUTLOOK_SCOPES,
                        imap=Endpoint("localhost", 993, "implicit"),
                        ca_file=certificates.ca_file,
                    ),
                ),
                timeout=1,
            )
            begin = time.monotonic()
            with pytest.raises(ConnectionTimedOut):
                refresher.refresh("value", {})
            assert time.monotonic() - begin < 4

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_server_in_trouble_is_a_failed_connection(
        self, service: IdentityService, refresher: MicrosoftRefresher, status: int
    ) -> None:
        service.fail_next(status=status)
        with pytest.raises(ConnectionFailed, match=str(status)):
            refresher.refresh(service.issue(ADA)[1], {})

    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_is_kept(
        self, service: IdentityService, refresher: MicrosoftRefresher, status: int
    ) -> None:
        service.fail_next(status=status, retry_after=17)
        with pytest.raises(Throttled) as caught:
            refresher.refresh(service.issue(ADA)[1], {})
        assert caught.value.retry_after == 17
        assert "17 seconds" in str(caught.value)

    def test_retry_after_may_be_a_date_or_nonsense(self) -> None:
        then = datetime.now(UTC) + timedelta(seconds=100)
        wait = retry_after(format_datetime(then, usegmt=True))
        assert wait is not None
        assert 95 < wait <= 100
        assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
        assert [retry_after(value) for value in (None, "soon", "nan", "inf")] == [None] * 4

    def test_a_redirect_is_not_followed(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        service.fail_next(location=f"{service.authority}/oauth2/v2.0/token")
        with pytest.raises(ConnectionFailed, match="redirect"):
            refresher.refresh(service.issue(ADA)[1], {})
        assert len(service.token_requests) == 1

    def test_the_time_out_is_for_discovery_and_request_together(
        self, service: IdentityService, account: Account
    ) -> None:
        service.fail_next(endpoint="discovery", hang=0.7)
        service.fail_next(hang=0.7)
        with pytest.raises(ConnectionTimedOut):
            MicrosoftRefresher(account, timeout=1).refresh(service.issue(ADA)[1], {})

    def test_trouble_at_discovery_is_translated_too(self, service: IdentityService) -> None:
        account = account_at(service)
        _, value = service.issue(ADA)
        service.fail_next(endpoint="discovery", status=503)
        with pytest.raises(ConnectionFailed, match="503"):
            MicrosoftRefresher(account).refresh(value, {})
        service.fail_next(endpoint="discovery", body="<html>")
        with pytest.raises(ConnectionFailed, match="not a JSON object"):
            MicrosoftRefresher(account).refresh(value, {})
        service.fail_next(endpoint="discovery", body="{}")
        with pytest.raises(ConnectionFailed, match="no sense"):
            MicrosoftRefresher(account).refresh(value, {})
        unknown = {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}
        service.fail_next(endpoint="discovery", error=unknown)
        with pytest.raises(ConfigError, match="AADSTS90002"):
            MicrosoftRefresher(account).refresh(value, {})
        service.fail_next(endpoint="discovery", status=404, body="{}")
        with pytest.raises(ConfigError, match="unknown"):
            MicrosoftRefresher(account).refresh(value, {})
        assert service.token_requests == []

    def test_discovery_is_asked_once_by_one_refresher(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        _, value = service.issue(ADA)
        refresher.refresh(value, {})
        service.fail_next(endpoint="discovery", status=503)
        assert refresher.refresh(value, {}).access_token


class TestTls(IdentityLab):
    def test_without_the_root_nothing_is_sent(self, service: IdentityService) -> None:
        refresher = MicrosoftRefresher(account_at(service, ca_file=None))
        with pytest.raises(ConnectionFailed, match=r"certificate.*ca_file") as caught:
            refresher.refresh("value", {})
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert service.token_requests == []

    def test_what_requests_reads_in_the_environment_does_not_matter(
        self, service: IdentityService, monkeypatch: pytest.MonkeyPatch, certificates: Certificates
    ) -> None:
        _, value = service.issue(ADA)
        with Certificates() as others:
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                monkeypatch.setenv(name, str(others.ca_file))
            assert MicrosoftRefresher(account_at(service)).refresh(value, {}).access_token
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                monkeypatch.setenv(name, str(certificates.ca_file))
            with pytest.raises(ConnectionFailed, match="certificate"):
                MicrosoftRefresher(account_at(service, ca_file=None)).refresh(value, {})

    def test_an_http_authority_is_refused(self, service: IdentityService) -> None:
        with pytest.raises(ConfigError, match="https"):
            MicrosoftRefresher(
                account_at(service, authority=service.authority.replace("https", "http"))
            ).refresh("value", {})

    @pytest.mark.parametrize("name", ["token_endpoint", "device_authorization_endpoint"])
    def test_an_endpoint_without_https_gets_no_secret(
        self, service: IdentityService, name: str
    ) -> None:
        here = f"{service.authority}/oauth2/v2.0"
        found = {
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "device_authorization_endpoint": f"{here}/devicecode",
            "issuer": service.authority,
        }
        found[name] = found[name].replace("https", "http")
        body = str(found).replace("'", '"')
        service.fail_next(endpoint="discovery", body=body)
        with pytest.raises(MailOAuthError):
            sign_in_device_code(account_at(service), show=print)
        assert service.token_requests == []

    def test_the_shared_tls_context_stays_fit_for_mail(
        self, service: IdentityService, refresher: MicrosoftRefresher, certificates: Certificates
    ) -> None:
        refresher.refresh(service.issue(ADA)[1], {})
        context = tls_context(certificates.ca_file)
        server = certificates.server_context()
        server.set_alpn_protocols(["imap", "http/1.1"])
        assert _negotiated(context, server) is None

    def test_a_proxy_of_the_environment_is_used_and_no_proxy_obeyed(
        self, service: IdentityService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("no_proxy", "NO_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        _, value = service.issue(ADA)
        with Recording() as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:hush@127.0.0.1:{proxy.port}")
            with pytest.raises(ConnectionFailed, match="proxy") as caught:
                MicrosoftRefresher(account_at(service)).refresh(value, {})
            assert proxy.first_line.startswith(f"CONNECT localhost:{service.port} ")
            assert "hush" not in everything(caught.value)
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert MicrosoftRefresher(account_at(service)).refresh(value, {}).access_token

    def test_a_socks_proxy_without_its_library_is_a_matter_of_configuration(
        self, service: IdentityService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "socks", None)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
        with pytest.raises((ConfigError, ConnectionFailed), match="proxy"):
            MicrosoftRefresher(account_at(service)).refresh("value", {})


def _negotiated(context: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    """Shake hands in memory and return the protocol that ALPN chose."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return there.selected_alpn_protocol()


class Recording:
    """A proxy that notes what it is asked and hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.first_line = ""
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.first_line = connection.recv(4096).decode().partition("\r\n")[0]
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


class Dripping:
    """An HTTPS server whose answer comes a byte at a time, for ever."""

    def __init__(self, certificates: Certificates) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = certificates.server_context()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        with self._context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
            while not self._done.wait(0.1):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
