"""Where sign-in and refresh are tested: an identity service, accounts at it."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mailoauth.accounts import Account, Endpoint, Provider
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService
from mailoauth.tokens.microsoft import (
    MicrosoftRefresher,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


ADA = "ada@outlook.example"
TENANT = "contoso.example"
APP_SCOPE = "https://outlook.office365.com/.default"


class IdentityLab:
    """An identity service with one person, and that person's account; test classes inherit it."""

    @pytest.fixture
    def certificates(self) -> Iterator[Certificates]:
        with Certificates() as made:
            yield made

    @pytest.fixture
    def service(self, certificates: Certificates) -> Iterator[IdentityService]:
        with IdentityService(certificates, device_interval=1) as running:
            running.add_user(ADA)
            yield running

    @pytest.fixture
    def account(self, service: IdentityService) -> Account:
        return account_at(service)

    @pytest.fixture
    def refresher(self, account: Account) -> MicrosoftRefresher:
        return MicrosoftRefresher(account)


def account_at(service: IdentityService, **changes: Any) -> Account:
    provider = Provider(
        name="lab",
        oauth="microsoft",
        authority=changes.pop("authority", service.authority_of("{tenant}")),
        scopes=OUTLOOK_SCOPES,
        app_scopes=(APP_SCOPE,),
        imap=Endpoint("localhost", 993, "implicit"),
        ca_file=changes.pop("ca_file", service.ca_file),
    )
    return Account(**{"user": ADA, "client_id": "app", "provider": provider, **changes})


def robot_at(service: IdentityService, **changes: Any) -> Account:
    mine = {"user": None, "mailbox": ADA, "sign_in": "app", "client_id": "robot", "tenant": TENANT}
    return account_at(service, **{**mine, **changes})


def everything(error: BaseException | None) -> str:
    """Return all text that a traceback of the error would show."""
    text = ""
    while error is not None:
        text += f"{error!r} {error} {vars(error)}\n"
        error = error.__cause__ or error.__context__
    return text


def visit(
    base: str, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Ask a page of the loopback listener."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection("localhost", place.port or 80, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
