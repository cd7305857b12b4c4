"""What the identity service says: Entra's refusals, id tokens and client information.

Numbers and their meaning: Microsoft's "Microsoft Entra authentication and
authorization error codes". Clients should go by ``error``, but need the number.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mailoauth.emulator.identity_state import Person

#: One directory for everybody; Microsoft's own has one for each company.
TENANT = "6f2a4c1e-35d7-4b0e-9a58-1c7d2e90b3f4"


class Row(NamedTuple):
    """One AADSTS number."""

    error: str
    text: str
    status: int = 400
    suberror: str = ""


REFUSALS: dict[int, Row] = {
    50011: Row(
        "invalid_request",
        "The redirect URI specified in the request does not match the redirect URIs configured "
        "for the application.",
    ),
    50034: Row("invalid_grant", "The user account does not exist in the directory."),
    50058: Row("login_required", "A silent sign-in request was sent but no user is signed in."),
    50173: Row(
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. "
        "The user might have changed or reset their password.",
        suberror="bad_token",
    ),
    54005: Row(
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or "
        "use an existing refresh token.",
    ),
    65004: Row("access_denied", "User declined to consent to access the app."),
    70000: Row(
        "invalid_grant",
        "The user could not be authenticated as the grant is expired. The user must sign in again.",
    ),
    70003: Row("unsupported_grant_type", "The app returned an unsupported grant type."),
    70008: Row("invalid_grant", "The provided authorization code or refresh token has expired."),
    70011: Row("invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
    70016: Row("authorization_pending", "OAuth 2.0 device flow error. Authorization is pending."),
    70018: Row("bad_verification_code", "Invalid verification code due to User typing it wrong."),
    70020: Row("expired_token", "The provided value for 'device_code' has expired."),
    90014: Row("invalid_request", "The required field is missing."),
    500112: Row(
        "invalid_client",
        "The reply address does not match the reply address provided when requesting "
        "Authorization code.",
    ),
    501481: Row("invalid_grant", "The Code_Verifier does not match the code_challenge."),
    700016: Row("unauthorized_client", "Application was not found in the directory."),
    700022: Row(
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid because it contains more "
        "than one resource.",
    ),
    700025: Row(
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        401,
    ),
    700027: Row("invalid_client", "Client assertion failed signature validation.", 401),
    900144: Row("invalid_request", "The request body must contain the following parameter: "),
    7000215: Row(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        "client secret value, not the client secret ID.",
        401,
    ),
    7000218: Row(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or "
        "'client_secret'.",
        401,
    ),
    9001023: Row(
        "invalid_request",
        "The grant type is not supported over the /common or /consumers endpoints. Please use "
        "the /organizations or tenant-specific endpoint.",
    ),
    9002313: Row("invalid_request", "Invalid request. Request is malformed or invalid."),
}


class Refusal(Exception):
    """The identity service says no."""

    def __init__(self, number: int, more: str = "", *, suberror: str = "") -> None:
        row = REFUSALS[number]
        super().__init__(f"AADSTS{number}")
        self.number = number
        self.error = row.error
        self.status = row.status
        self.suberror = suberror or row.suberror
        self.text = row.text + more

    def body(self) -> dict[str, Any]:
        """Return the reply's JSON object."""
        return refusal_body(
            {
                "error": self.error,
                "error_description": f"AADSTS{self.number}: {self.text}",
                "error_codes": [self.number],
                **({"suberror": self.suberror} if self.suberror else {}),
            }
        )


def refusal_body(error: dict[str, Any]) -> dict[str, Any]:
    """Add to an error what every refusal of Entra carries."""
    now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    body = {"timestamp": now, "trace_id": trace, "correlation_id": correlation, **error}
    described = str(body.get("error_description", ""))
    if "Trace ID" not in described:
        body["error_description"] = (
            f"{described} Trace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {now}"
        )
    return body


def client_info(person: Person) -> str:
    """Return who signed in as MSAL wants it: base64url of ``{"uid", "utid"}``."""
    return _encode({"uid": person.object_id, "utid": TENANT})


def id_token(person: Person, *, issuer: str, client_id: str, nonce: str, life: float) -> str:
    """Return an id token without a signature (MSAL reads the claims only)."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": client_id,
        "iat": now,
        "nbf": now,
        "exp": now + max(int(life), 300),
        "name": person.address.partition("@")[0],
        "preferred_username": person.upn,
        "email": person.address,
        "oid": person.object_id,
        "sub": person.object_id.replace("-", ""),
        "tid": TENANT,
        "ver": "2.0",
    }
    if nonce:
        claims["nonce"] = nonce
    return f"{_encode({'typ': 'JWT', 'alg': 'none'})}.{_encode(claims)}."


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
