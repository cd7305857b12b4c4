"""The emulated identity service: Microsoft Entra's v2 endpoints over HTTPS on the loopback.

What clients of Entra see is kept: the paths, the shapes of the replies, the AADSTS
numbers, opaque tokens of Microsoft's size. There are no passwords: who is known
signs in by name. Nothing here may be reached from another machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from mailoauth.emulator.identity_app import Pages, TokenRequest
from mailoauth.emulator.identity_faults import Fault, Troubles
from mailoauth.emulator.identity_grants import Grants
from mailoauth.emulator.identity_person import Browser
from mailoauth.emulator.identity_server import HttpsServer
from mailoauth.emulator.identity_state import (
    AUDIENCES,
    Client,
    Directory,
    Family,
    Person,
    Rotation,
    check_scopes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mailoauth.emulator.certificates import Certificates

__all__ = ["AUDIENCES", "IdentityService", "Person", "Rotation", "TokenRequest"]

OUTLOOK_SCOPES = (
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
)

Endpoint = Literal["token", "devicecode", "discovery"]
_PATHS: dict[Endpoint, str] = {
    "token": "/token",
    "devicecode": "/devicecode",
    "discovery": "/openid-configuration",
}


class IdentityService:
    """Signs people and apps in, and knows which access tokens live.

    A context manager: it listens on a free loopback port while entered. Every verb
    may be called from any thread. ``rotation`` says what a refresh does: "microsoft"
    gives a new refresh token and leaves the old one good, "strict" makes the old one
    a trap (its re-use ends the whole sign-in), "none" gives no new one.
    """

    def __init__(
        self,
        certificates: Certificates,
        *,
        token_life: float = 3600,
        rotation: Rotation = "microsoft",
        token_size: int = 1800,
        device_interval: int = 5,
        device_life: float = 900,
    ) -> None:
        self._certificates = certificates
        self._directory = Directory(token_life=token_life, rotation=rotation, token_size=token_size)
        self._grants = Grants(self._directory, device_interval, device_life)
        self._troubles = Troubles()
        self._seen: list[TokenRequest] = []
        self._server: HttpsServer | None = None
        self.port = 0
        #: What went wrong for the scripted people, see :meth:`browser`.
        self.browser_failures: list[Exception] = []

    def __enter__(self) -> Self:
        application = Pages(self._grants, self._troubles, self._seen).application()
        self._server = HttpsServer(application, self._certificates, self._troubles)
        self.port = self._server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    @property
    def base(self) -> str:
        """The service's address without a tenant."""
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> str:
        """The authority for people; app-only sign-in needs :meth:`authority_of`."""
        return self.authority_of("common")

    def authority_of(self, tenant: str) -> str:
        """Return the authority of a tenant; "{tenant}" itself may stand there."""
        return f"{self.base}/{tenant}"

    @property
    def ca_file(self) -> Path:
        """The root that a client has to trust."""
        return self._certificates.ca_file

    @property
    def token_requests(self) -> list[TokenRequest]:
        """What the token endpoint was asked, in order."""
        return list(self._seen)

    def add_user(self, address: str, upn: str | None = None) -> None:
        """Let somebody sign in, by the address or by the sign-in name."""
        self._directory.add_person(Person(address, upn or address))

    def address_of(self, name: str) -> str | None:
        """Return the address of who has this address or sign-in name."""
        person = self._directory.person(name)
        return person.address if person else None

    def upn_of(self, name: str) -> str | None:
        """Return the sign-in name of who has this address or sign-in name."""
        person = self._directory.person(name)
        return person.upn if person else None

    def add_client(
        self, client_id: str, secret: str | None = None, *, certificate: bytes | None = None
    ) -> None:
        """Register an app that has to prove itself with a secret or a certificate (PEM).

        Registering it again replaces both. Every other client id is a public client.
        """
        self._directory.add_client(Client(client_id, secret, certificate))

    def browser(self, url: str) -> bool:
        """Sign in on that page as its login_hint, like ``webbrowser.open``: returns at once."""
        return self._browser()(url)

    def browser_as(self, address: str) -> Browser:
        """Return a browser whose person is this one, whatever the page suggests."""
        return self._browser(login=address)

    def address_after(self, url: str, address: str | None = None) -> str:
        """Sign in on that page and return where the browser is sent, without going there.

        It is what a person copies from the address bar. Blocks.
        """
        return self._browser(login=address).address_after(url)

    def denying_browser(self, url: str) -> bool:
        """Press Cancel on that page."""
        return self._browser(denying=True)(url)

    def _browser(self, *, login: str | None = None, denying: bool = False) -> Browser:
        return Browser(
            self._certificates.client_context(),
            login=login,
            denying=denying,
            failures=self.browser_failures,
        )

    def approve_device(self, user_code: str, address: str) -> None:
        """Let the person in at the device that shows the code."""
        self._settle_device(user_code, self._person(address))

    def deny_device(self, user_code: str) -> None:
        """Decline at the device that shows the code."""
        self._settle_device(user_code, None)

    def _settle_device(self, user_code: str, person: Person | None) -> None:
        if not self._grants.settle_device(user_code, person):
            message = f"No device waits with the code {user_code}."
            raise LookupError(message)

    def issue(
        self,
        address: str,
        scopes: Iterable[str] = OUTLOOK_SCOPES,
        *,
        client_id: str | None = None,
    ) -> tuple[str, str]:
        """Return an access and a refresh token as if the person had signed in.

        Without ``client_id`` any client may use the refresh token.
        """
        named = tuple(scopes)
        check_scopes(named)
        family = Family(self._person(address), client_id, named)
        value, _ = self._directory.new_access(family.person.upn, named, family)
        return value, self._directory.new_refresh(family)

    def expire_tokens(self) -> None:
        """End all access tokens so far, though by the clock they live on."""
        self._directory.end_access()

    def revoke_access_tokens(self, address: str) -> None:
        """End the person's access tokens; the refresh tokens stay good."""
        self._directory.end_access(self._person(address))

    def revoke(self, address: str) -> None:
        """End every sign-in of the person: refresh answers AADSTS50173."""
        self._directory.end_families(self._person(address), 50173)

    def holder(
        self, token: str, audience: str = "outlook", *, scope: str | None = None
    ) -> str | None:
        """Return whose live access token for that audience this is, by sign-in name.

        An app's is "app:CLIENT_ID". With ``scope`` ("SMTP.Send") the token must have
        it; an app's has all. None: unknown, expired, revoked, or for something else.
        """
        issued = self._directory.access(token)
        if issued is None or not issued.lives or issued.audience != audience:
            return None
        if scope is not None and not any(
            granted.endswith((f"/{scope}", "/.default")) for granted in issued.scopes
        ):
            return None
        return issued.holder

    def token_lives_until(self, token: str) -> float | None:
        """Return when the token dies, in seconds since the epoch; None if it does not live."""
        issued = self._directory.access(token)
        return issued.expires_at if issued is not None and issued.lives else None

    def fail_next(  # noqa: PLR0913 - each is one trouble, all keywords
        self,
        *,
        status: int | None = None,
        body: str | None = None,
        error: dict[str, Any] | None = None,
        cut: bool = False,
        hang: float = 0.0,
        retry_after: float | str | None = None,
        location: str | None = None,
        times: int = 1,
        endpoint: Endpoint = "token",
    ) -> None:
        """Go wrong at the next requests: a status, a body, an error, a cut line, lateness.

        ``hang`` seconds alone mean that the true answer comes late. ``error`` is the
        JSON object of a refusal, sent with status 400 unless said; ``location`` redirects.
        """
        wait = None if retry_after is None else str(retry_after)
        fault = Fault(
            status=status,
            body=body,
            error=error,
            cut=cut,
            hang=hang,
            retry_after=wait,
            location=location,
            path=_PATHS[endpoint],
        )
        with self._troubles.lock:
            self._troubles.faults.extend([fault] * times)

    def forget_failures(self) -> None:
        """Take back what :meth:`fail_next` ordered and has not happened yet."""
        with self._troubles.lock:
            self._troubles.faults.clear()

    @property
    def down(self) -> bool:
        """Whether every connection is reset; may be set."""
        return self._troubles.refusing

    @down.setter
    def down(self, refusing: bool) -> None:
        self._troubles.refuse_connections(refusing=refusing)

    def _person(self, name: str) -> Person:
        person = self._directory.person(name)
        if person is None:
            message = f"{name} is not a user of the emulator; add_user comes first."
            raise LookupError(message)
        return person
