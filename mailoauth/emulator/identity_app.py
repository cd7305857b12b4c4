"""The identity service's addresses, as an ASGI application."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mailoauth.emulator.identity_grants import Asked, check_redirect_uri
from mailoauth.emulator.identity_pages import (
    device_page,
    message_page,
    posting_page,
    sign_in_page,
)
from mailoauth.emulator.identity_replies import TENANT, Refusal, client_info
from mailoauth.emulator.identity_state import check_scopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData
    from starlette.requests import Request

    from mailoauth.emulator.identity_faults import Fault, Troubles
    from mailoauth.emulator.identity_grants import Grants

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request that the token endpoint has seen; ``status`` 0 is a cut connection."""

    grant_type: str
    user: str | None
    client_id: str
    status: int
    at: float


@dataclass(slots=True)
class Pages:
    """Every address of the service."""

    grants: Grants
    troubles: Troubles
    seen: list[TokenRequest]

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self.discovery),
                Route("/{tenant}/oauth2/v2.0/authorize", self.authorize, methods=["GET", "POST"]),
                Route("/{tenant}/oauth2/v2.0/devicecode", self.device_code, methods=["POST"]),
                Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
                Route("/devicelogin", self.device_login, methods=["GET", "POST"]),
            ]
        )

    async def discovery(self, request: Request) -> Response:
        """Answer OpenID Connect discovery."""
        fault = self.troubles.take(request.url.path)
        if fault is not None and (response := await self._trouble(fault, request)):
            return response
        base, tenant = _base(request), request.path_params["tenant"]
        here = f"{base}/{tenant}"
        issuer = TENANT if tenant in {"common", "organizations", "consumers"} else tenant
        return JSONResponse(
            {
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{here}/oauth2/v2.0/devicecode",
                "issuer": f"{base}/{issuer}/v2.0",
                "response_modes_supported": ["query", "form_post"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["none"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "client_secret_basic",
                    "private_key_jwt",
                ],
            }
        )

    async def authorize(self, request: Request) -> Response:
        """Show the sign-in page, and send the person who filled it in back to the client."""
        asked = dict(request.query_params)
        try:
            # Until these are good nothing may be redirected (RFC 6749 section 4.1.2.1).
            _check_presence(asked)
            check_redirect_uri(asked["redirect_uri"])
        except Refusal as refusal:
            text = f"AADSTS{refusal.number}: {refusal.text}"
            return HTMLResponse(message_page("Sorry, but we're having trouble", text), 400)
        try:
            _check_authorization(asked)
        except Refusal as refusal:
            return _refused(asked, refusal)
        if request.method == "GET":
            return HTMLResponse(
                sign_in_page({"flow": "emulator"}, login=asked.get("login_hint", ""))
            )
        return self._signed_in(asked, await request.form())

    def _signed_in(self, asked: Mapping[str, str], form: FormData) -> Response:
        if form.get("action") == "cancel":
            return _refused(asked, Refusal(65004))
        login = str(form.get("login", ""))
        person = self.grants.directory.person(login)
        if person is None:
            problem = "AADSTS50034: We couldn't find an account with that username."
            return HTMLResponse(sign_in_page({"flow": "emulator"}, login=login, problem=problem))
        answer = {
            "code": self.grants.new_code(person, asked),
            "session_state": secrets.token_hex(16),
        }
        if asked.get("client_info"):
            answer["client_info"] = client_info(person)
        return _answer(asked, answer)

    async def device_code(self, request: Request) -> Response:
        """Answer a device that wants a code to show."""
        asked = await _asked(request)
        fault = self.troubles.take(request.url.path)
        if fault is not None and (response := await self._trouble(fault, request)):
            return response
        try:
            return JSONResponse(self.grants.new_device(asked))
        except Refusal as refusal:
            return JSONResponse(refusal.body(), refusal.status)

    async def device_login(self, request: Request) -> Response:
        """Let a person enter the code that the device shows."""
        if request.method == "GET":
            return HTMLResponse(device_page(code=request.query_params.get("otc", "")))
        form = await request.form()
        code = str(form.get("user_code", ""))
        person = self.grants.directory.person(str(form.get("login", "")))
        if form.get("action") != "cancel" and person is None:
            return HTMLResponse(device_page(code=code, problem="There is no such account."))
        denied = form.get("action") == "cancel"
        if not self.grants.settle_device(code, None if denied else person):
            return HTMLResponse(device_page(problem="That code didn't work."))
        said = "You have declined." if denied else "You have signed in on your device."
        return HTMLResponse(message_page("Device", f"{said} You may now close this window."))

    async def token(self, request: Request) -> Response:
        """Answer the token endpoint."""
        asked = await _asked(request)
        fault = self.troubles.take(request.url.path)
        response = await self._trouble(fault, request) if fault is not None else None
        if response is None:
            try:
                response = JSONResponse(self.grants.answer(asked), headers=NO_STORE)
            except Refusal as refusal:
                response = JSONResponse(refusal.body(), refusal.status, NO_STORE)
        grant_type = asked.form.get("grant_type", "")
        client_id = asked.form.get("client_id", "")
        status = 0 if fault is not None and fault.cut else response.status_code
        self.seen.append(TokenRequest(grant_type, asked.user, client_id, status, time.time()))
        return response

    async def _trouble(self, fault: Fault, request: Request) -> Response | None:
        """Do what the fault says; None where the true answer follows."""
        if fault.hang:
            await self.troubles.be_late(fault.hang)
        if fault.cut:
            self.troubles.cut(request)
            return Response(status_code=500)
        return fault.response()


async def _asked(request: Request) -> Asked:
    form = {name: str(value) for name, value in (await request.form()).items()}
    tenant = request.path_params["tenant"]
    return Asked(form, request.headers.get("authorization", ""), tenant, _base(request))


def _base(request: Request) -> str:
    return f"https://{request.headers.get('host', 'localhost')}"


def _check_presence(asked: Mapping[str, str]) -> None:
    for name in ("client_id", "redirect_uri", "scope", "response_type"):
        if not asked.get(name):
            raise Refusal(900144, f"'{name}'.")


def _check_authorization(asked: Mapping[str, str]) -> None:
    if asked["response_type"] != "code":
        raise Refusal(9002313)
    if asked.get("response_mode", "query") not in {"query", "form_post"}:
        raise Refusal(9002313)
    if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
        raise Refusal(9002313)
    if asked.get("prompt") == "none":
        raise Refusal(50058)
    # Several resources may be consented to at once; only one is redeemed.
    check_scopes(tuple(asked["scope"].split()), one_resource=False)


def _refused(asked: Mapping[str, str], refusal: Refusal) -> Response:
    answer = {
        "error": refusal.error,
        "error_description": f"AADSTS{refusal.number}: {refusal.text}",
    }
    if refusal.error == "access_denied":
        answer["error_subcode"] = "cancel"
    return _answer(asked, answer)


def _answer(asked: Mapping[str, str], answer: dict[str, str]) -> Response:
    if "state" in asked:
        answer["state"] = asked["state"]
    address = asked["redirect_uri"]
    if asked.get("response_mode") == "form_post":
        return HTMLResponse(posting_page(address, answer))
    return RedirectResponse(f"{address}?{urlencode(answer)}", status_code=302)
