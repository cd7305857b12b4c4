"""The grants of the token endpoint: what is asked with, what is handed out (RFC 6749, 7636, 8628)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mailoauth.emulator.identity_clients import authenticate
from mailoauth.emulator.identity_replies import TENANT, Refusal, client_info, id_token
from mailoauth.emulator.identity_state import (
    IDENTITY_SCOPES,
    Family,
    audience_of,
    check_scopes,
    opaque,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.emulator.identity_state import Directory, Person

CODE_LIFE = 600.0
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(slots=True)
class Code:
    """An authorization code; good once."""

    family: Family
    redirect_uri: str
    challenge: str
    expires_at: float
    used: bool = False


@dataclass(slots=True)
class DeviceRequest:
    """A device that waits for its person."""

    client_id: str
    scopes: tuple[str, ...]
    user_code: str
    expires_at: float
    person: Person | None = None
    denied: bool = False


@dataclass(slots=True)
class Asked:
    """One request at the token endpoint."""

    form: Mapping[str, str]
    authorization: str
    tenant: str
    base: str
    user: str | None = None

    def field(self, name: str) -> str:
        """Return a field that has to be there."""
        value = self.form.get(name, "")
        if not value:
            raise Refusal(900144, f"'{name}'.")
        return value

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes asked for."""
        return tuple(self.form.get("scope", "").split())


@dataclass(slots=True)
class Grants:
    """The codes and devices under way, and the grants themselves; safe from any thread."""

    directory: Directory
    device_interval: int = 5
    device_life: float = 900.0
    codes: dict[str, Code] = field(default_factory=dict)
    devices: dict[str, DeviceRequest] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def new_code(self, person: Person, asked: Mapping[str, str]) -> str:
        """Return a code for the person who signed in on the page."""
        scopes = tuple(asked["scope"].split())
        family = Family(person, asked["client_id"], scopes, asked.get("nonce", ""))
        value = "M.C5" + secrets.token_hex(24)
        challenge = asked.get("code_challenge", "")
        with self.lock:
            until = time.time() + CODE_LIFE
            self.codes[value] = Code(family, asked["redirect_uri"], challenge, until)
        return value

    def new_device(self, asked: Asked) -> dict[str, Any]:
        """Answer the device authorization request (RFC 8628 section 3.2)."""
        client_id = asked.field("client_id")
        check_scopes(asked.scopes)
        value, shown = opaque("D", 160), _user_code()
        until = time.time() + self.device_life
        with self.lock:
            self.devices[value] = DeviceRequest(client_id, asked.scopes, shown, until)
        page = f"{asked.base}/devicelogin"
        return {
            "user_code": shown,
            "device_code": value,
            "verification_uri": page,
            "expires_in": int(self.device_life),
            "interval": self.device_interval,
            "message": f"To sign in, use a web browser to open the page {page} and enter the code "
            f"{shown} to authenticate.",
        }

    def settle_device(self, user_code: str, person: Person | None) -> bool:
        """Let the person in at the device that shows the code; None is a denial."""
        with self.lock:
            for device in self.devices.values():
                if device.user_code == user_code.strip().upper().replace("-", ""):
                    device.person, device.denied = person, person is None
                    return time.time() < device.expires_at
        return False

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Return the token endpoint's reply, or raise its refusal."""
        grants = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            DEVICE_GRANT: self._by_device,
            "client_credentials": self._by_client,
        }
        kind, client_id = asked.field("grant_type"), asked.field("client_id")
        if kind not in grants:
            raise Refusal(70003)
        client = self.directory.client(client_id)
        endpoint = f"{asked.base}/{asked.tenant}/oauth2/v2.0/token"
        authenticate(client, asked.form, asked.authorization, endpoint=endpoint)
        return grants[kind](asked)

    def _by_code(self, asked: Asked) -> dict[str, Any]:
        with self.lock:
            code = self.codes.get(asked.field("code"))
            if code is None or code.family.client_id != asked.form["client_id"]:
                raise Refusal(70000)
            asked.user = code.family.person.upn
            if code.used:
                raise Refusal(54005)
            if time.time() >= code.expires_at:
                raise Refusal(70008)
            if asked.form.get("redirect_uri") != code.redirect_uri:
                raise Refusal(500112)
            if code.challenge and _challenge(asked.form.get("code_verifier", "")) != code.challenge:
                raise Refusal(501481)
            code.used = True
        return self._user_reply(asked, code.family, asked.scopes or code.family.scopes)

    def _by_refresh_token(self, asked: Asked) -> dict[str, Any]:
        value = asked.field("refresh_token")
        wanted = asked.scopes
        check_scopes(wanted) if wanted else None
        family = self.directory.use_refresh(value, asked.form["client_id"])
        asked.user = family.person.upn
        reply = self._user_reply(asked, family, wanted or family.scopes)
        if self.directory.rotation == "none":
            reply.pop("refresh_token", None)
        return reply

    def _by_device(self, asked: Asked) -> dict[str, Any]:
        with self.lock:
            device = self.devices.get(asked.field("device_code"))
            if device is None or device.client_id != asked.form["client_id"]:
                raise Refusal(70018)
            if time.time() >= device.expires_at:
                raise Refusal(70020)
            if device.denied:
                raise _declined()
            if device.person is None:
                raise Refusal(70016)
            del self.devices[asked.form["device_code"]]
        asked.user = device.person.upn
        family = Family(device.person, device.client_id, device.scopes)
        return self._user_reply(asked, family, device.scopes)

    def _by_client(self, asked: Asked) -> dict[str, Any]:
        client_id = asked.form["client_id"]
        if self.directory.client(client_id) is None:
            raise Refusal(7000218)
        if asked.tenant.casefold() in {"common", "consumers"}:
            raise Refusal(9001023)
        check_scopes(asked.scopes)
        if not all(scope.endswith("/.default") for scope in asked.scopes):
            raise Refusal(70011)
        asked.user = f"app:{client_id}"
        value, token = self.directory.new_access(asked.user, asked.scopes)
        return self._reply(value, token.scopes)

    def _user_reply(self, asked: Asked, family: Family, scopes: tuple[str, ...]) -> dict[str, Any]:
        check_scopes(scopes)
        granted = tuple(scope for scope in scopes if scope not in IDENTITY_SCOPES)
        audience_of(granted)
        value, token = self.directory.new_access(family.person.upn, granted, family)
        reply = self._reply(value, token.scopes)
        # A refresh token needs no offline_access to be followed by another one.
        if "offline_access" in scopes or asked.form["grant_type"] == "refresh_token":
            reply["refresh_token"] = self.directory.new_refresh(family)
        if "openid" in scopes:
            reply["id_token"] = id_token(
                family.person,
                issuer=f"{asked.base}/{TENANT}/v2.0",
                client_id=asked.form["client_id"],
                nonce=family.nonce,
                life=self.directory.token_life,
            )
        if asked.form.get("client_info"):
            reply["client_info"] = client_info(family.person)
        return reply

    def _reply(self, value: str, scopes: tuple[str, ...]) -> dict[str, Any]:
        life = max(int(self.directory.token_life), 1)
        return {
            "token_type": "Bearer",
            "scope": " ".join(scopes),
            "expires_in": life,
            "ext_expires_in": life,
            "access_token": value,
        }


def check_redirect_uri(address: str) -> None:
    """Raise the refusal for anything but http://localhost at any port (Microsoft's reply-url page)."""
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname != "localhost" or parts.query or parts.fragment:
        raise Refusal(50011)


def _declined() -> Refusal:
    # RFC 8628 says access_denied; Entra has a word of its own.
    refusal = Refusal(65004)
    refusal.error = "authorization_declined"
    return refusal


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _user_code() -> str:
    # Without letters and digits that look alike (RFC 8628 section 6.1).
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ23456789") for _ in range(9))
