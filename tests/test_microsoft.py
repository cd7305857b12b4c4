"""Refresh through MSAL, against the emulated identity service over HTTPS."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    MailOAuthError,
    SignInRequired,
    Throttled,
)
from mailoauth.tokens.microsoft import (
    MicrosoftRefresher,
    sign_in_browser,
)
from tests.identity_lab import ADA, IdentityLab, account_at, everything, robot_at

if TYPE_CHECKING:
    from mailoauth.emulator.certificates import Certificates
    from mailoauth.tokens.token import Refresher


class TestRefresh(IdentityLab):
    def test_a_refresh_brings_a_token_that_the_servers_accept(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        _, value = service.issue(ADA)
        grant = refresher.refresh(value, {})
        assert service.holder(grant.access_token) == ADA
        assert grant.expires_in == 3600
        assert grant.scopes == OUTLOOK_SCOPES
        assert grant.username == ADA
        assert grant.refresh_token not in {None, value}
        assert set(grant.discovered) == {"token_endpoint", "tid", "oid"}
        assert grant.access_token not in repr(grant)
        again = refresher.refresh(grant.refresh_token, grant.discovered)
        assert again.access_token != grant.access_token

    def test_it_is_a_refresher_of_the_accounts_identity(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        assert isinstance(refresher, MicrosoftRefresher)
        protocol: Refresher = refresher
        assert protocol.durable
        assert protocol.identity.user == ADA
        assert protocol.identity.client_id == "app"
        assert not MicrosoftRefresher(robot_at(service)).durable

    def test_no_refresh_token_in_the_reply_is_none_in_the_grant(
        self, certificates: Certificates
    ) -> None:
        with IdentityService(certificates, rotation="none") as service:
            service.add_user(ADA)
            _, value = service.issue(ADA)
            assert MicrosoftRefresher(account_at(service)).refresh(value, {}).refresh_token is None

    def test_without_a_refresh_token_a_person_has_to_sign_in(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        with pytest.raises(SignInRequired, match="mailoauth login"):
            refresher.refresh(None, {})
        assert service.token_requests == []

    def test_a_revoked_sign_in_needs_a_person(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        _, value = service.issue(ADA)
        service.revoke(ADA)
        with pytest.raises(SignInRequired) as caught:
            refresher.refresh(value, {})
        assert "AADSTS50173" in str(caught.value)
        assert "Trace ID" not in str(caught.value)
        assert caught.value.remedy.endswith(f"mailoauth login {ADA}")
        assert value not in everything(caught.value)

    def test_a_recovered_server_is_asked_again_at_once(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        # MSAL alone would serve the kept refusal for a minute.
        _, value = service.issue(ADA)
        service.fail_next(
            error={"error": "invalid_grant", "error_description": "AADSTS70000: expired."}
        )
        with pytest.raises(SignInRequired):
            refresher.refresh(value, {})
        assert service.holder(refresher.refresh(value, {}).access_token) == ADA
        service.fail_next(status=503)
        with pytest.raises(ConnectionFailed):
            refresher.refresh(value, {})
        service.fail_next(retry_after=60)
        with pytest.raises(Throttled):
            refresher.refresh(value, {})
        assert service.holder(refresher.refresh(value, {}).access_token) == ADA
        assert [asked.status for asked in service.token_requests] == [400, 200, 503, 429, 200]

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ({"error": "invalid_grant", "error_description": "never seen"}, SignInRequired),
            ({"error": "interaction_required"}, SignInRequired),
            ({"error": "invalid_client", "error_description": "AADSTS7000222: old"}, ConfigError),
            ({"error": "unauthorized_client", "error_description": "AADSTS700016"}, ConfigError),
            ({"error": "something_new", "error_description": "never seen"}, ConfigError),
            ({"error": "temporarily_unavailable", "error_description": "x"}, ConnectionFailed),
            (
                {"error": "temporarily_unavailable", "error_description": "AADSTS90055: wait"},
                Throttled,
            ),
        ],
    )
    def test_the_class_of_a_refusal_is_its_remedy(
        self,
        service: IdentityService,
        refresher: MicrosoftRefresher,
        error: dict[str, Any],
        expected: type[MailOAuthError],
    ) -> None:
        service.fail_next(error=error)
        with pytest.raises(MailOAuthError) as caught:
            refresher.refresh(service.issue(ADA)[1], {})
        assert type(caught.value) is expected
        assert caught.value.account == ADA
        assert caught.value.remedy

    def test_what_the_server_said_is_shown_short_and_clean(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        said = "AADSTS50034: gone \x1b[31mred\x07 " + "x" * 5000
        service.fail_next(error={"error": "invalid_grant", "error_description": said})
        with pytest.raises(MailOAuthError) as caught:
            refresher.refresh(service.issue(ADA)[1], {})
        assert "AADSTS50034: gone" in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(caught.value.message) < 450

    @pytest.mark.parametrize(
        "body",
        [
            "<html>Welcome to the hotel</html>",
            "",
            "[]",
            '"text"',
            "{}",
            '{"access_token": 5}',
            '{"access_token": "two\\nlines"}',
            '{"access_token": "a", "id_token": "rubbish"}',
            '{"access_token": "a", "id_token": 7}',
            "[" * 100_000,
        ],
    )
    def test_nonsense_is_a_failed_connection(
        self, service: IdentityService, refresher: MicrosoftRefresher, body: str
    ) -> None:
        service.fail_next(body=body)
        _, value = service.issue(ADA)
        with pytest.raises(ConnectionFailed) as caught:
            refresher.refresh(value, {})
        assert value not in everything(caught.value)
        assert refresher.refresh(value, {}).access_token

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ('"expires_in": "3599"', 3599.0),
            ('"expires_in": 3599.9', 3599.0),
            ('"expires_in": "soon"', None),
            ('"expires_in": null', None),
            ('"expires_in": true', None),
            ('"expires_in": Infinity', None),
            ('"expires_in": -1', None),
            ('"refresh_in": "soon", "ext_expires_in": [], "client_info": "rubbish"', None),
        ],
    )
    def test_an_odd_lifetime_is_read_or_left_out(
        self,
        service: IdentityService,
        refresher: MicrosoftRefresher,
        said: str,
        expected: float | None,
    ) -> None:
        service.fail_next(body=f'{{"access_token": "good", {said}}}')
        grant = refresher.refresh(service.issue(ADA)[1], {})
        assert grant.access_token == "good"
        assert grant.expires_in == expected

    def test_a_flood_is_not_read_to_its_end(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        service.fail_next(body='{"access_token": "' + "x" * (2 << 20) + '"}')
        with pytest.raises(ConnectionFailed, match="mebibyte"):
            refresher.refresh(service.issue(ADA)[1], {})

    def test_unknown_keys_of_the_reply_are_kept(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        service.fail_next(body='{"access_token": "good", "foci": "1", "id": "https://example.com"}')
        grant = refresher.refresh(service.issue(ADA)[1], {})
        assert grant.extra == {"foci": "1", "id": "https://example.com"}


class TestWhatMustStayTheSame(IdentityLab):
    def test_another_token_endpoint_gets_nothing(
        self, service: IdentityService, refresher: MicrosoftRefresher
    ) -> None:
        elsewhere = {"token_endpoint": "https://login.example.com/common/oauth2/v2.0/token"}
        with pytest.raises(ConfigError, match=r"login\.example\.com"):
            refresher.refresh(service.issue(ADA)[1], elsewhere)
        assert service.token_requests == []

    @pytest.mark.parametrize("name", ["tid", "oid"])
    def test_the_reply_of_somebody_else_is_refused(
        self, service: IdentityService, refresher: MicrosoftRefresher, name: str
    ) -> None:
        with pytest.raises(ConfigError, match="sign in again"):
            refresher.refresh(service.issue(ADA)[1], {name: "somebody else"})


class TestApps(IdentityLab):
    def test_a_secret_is_read_at_every_refresh(
        self, service: IdentityService, tmp_path: Path
    ) -> None:
        file = tmp_path / "secret"
        file.write_text("first\n")
        service.add_client("robot", "first")
        refresher = MicrosoftRefresher(robot_at(service, client_secret_file=file))
        grant = refresher.refresh(None, {})
        assert service.holder(grant.access_token) == "app:robot"
        assert grant.refresh_token is None
        service.add_client("robot", "second")
        with pytest.raises(ConfigError, match="AADSTS7000215") as caught:
            refresher.refresh(None, {})
        assert "first" not in everything(caught.value).replace("first line", "")
        file.write_text("second")
        assert refresher.refresh(None, grant.discovered).access_token != grant.access_token

    def test_a_secret_may_be_in_the_environment(
        self, service: IdentityService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LAB_SECRET", "hush")
        service.add_client("robot", "hush")
        refresher = MicrosoftRefresher(robot_at(service, client_secret_env="LAB_SECRET"))
        assert service.holder(refresher.refresh(None, {}).access_token) == "app:robot"
        monkeypatch.delenv("LAB_SECRET")
        with pytest.raises(ConfigError, match="secret"):
            refresher.refresh(None, {})

    def test_a_certificate_proves_the_app(self, service: IdentityService, tmp_path: Path) -> None:
        leaf = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert(
            "robot.example", key_type=trustme.KeyType.RSA
        )
        certificate = leaf.cert_chain_pems[0].bytes()
        file = tmp_path / "robot.pem"
        file.write_bytes(leaf.private_key_pem.bytes() + certificate)
        service.add_client("robot", certificate=certificate)
        refresher = MicrosoftRefresher(robot_at(service, certificate_file=file))
        assert service.holder(refresher.refresh(None, {}).access_token) == "app:robot"
        file.write_bytes(certificate)
        with pytest.raises(ConfigError, match="certificate_file"):
            refresher.refresh(None, {})

    def test_a_missing_secret_file_is_named(self, service: IdentityService, tmp_path: Path) -> None:
        account = robot_at(service, client_secret_file=tmp_path / "nothing")
        with pytest.raises(ConfigError, match="nothing"):
            MicrosoftRefresher(account).refresh(None, {})

    def test_an_app_needs_a_tenant(self, service: IdentityService, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("hush")
        account = robot_at(
            service, authority=service.authority, client_secret_file=tmp_path / "secret"
        )
        with pytest.raises(ConfigError, match="no tenant"):
            MicrosoftRefresher(account).refresh(None, {})

    def test_an_app_is_never_told_to_sign_in(
        self, service: IdentityService, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text("hush")
        service.fail_next(error={"error": "invalid_grant", "error_description": "AADSTS50173: x"})
        with pytest.raises(ConfigError):
            MicrosoftRefresher(robot_at(service, client_secret_file=tmp_path / "secret")).refresh(
                None, {}
            )

    def test_a_persons_app_may_have_a_secret_too(
        self, service: IdentityService, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text("hush")
        service.add_client("web", "hush")
        account = account_at(service, client_id="web", client_secret_file=tmp_path / "secret")
        grant = sign_in_browser(account, open_url=service.browser, timeout=10)
        assert MicrosoftRefresher(account).refresh(grant.refresh_token, grant.discovered)

    def test_a_forced_region_does_not_divert_the_secret(
        self, service: IdentityService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MSAL_FORCE_REGION", "westus")
        (tmp_path / "secret").write_text("hush")
        service.add_client("robot", "hush")
        account = robot_at(service, client_secret_file=tmp_path / "secret")
        assert MicrosoftRefresher(account).refresh(None, {}).access_token


def test_msal_is_loaded_by_the_refresher_only() -> None:
    code = (
        "import sys; import mailoauth.tokens.token, mailoauth.accounts;"
        "import mailoauth.tokens.source;"
        "sys.exit('msal' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    source = Path(__file__).parents[1] / "mailoauth"
    importers = [
        file.name
        for file in source.rglob("*.py")
        if re.search(r"^\s*(import|from) msal\b", file.read_text(), re.MULTILINE)
    ]
    assert importers == ["microsoft.py"]
