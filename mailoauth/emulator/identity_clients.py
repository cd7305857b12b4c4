"""How an app proves that it is the one registered: a secret or a signed assertion."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailoauth.emulator.identity_replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.emulator.identity_state import Client


def authenticate(
    client: Client | None, form: Mapping[str, str], authorization: str, *, endpoint: str
) -> None:
    """Raise the refusal of a client that proves nothing, the wrong thing, or needlessly."""
    secret = form.get("client_secret", "") or _basic_secret(authorization)
    assertion = form.get("client_assertion", "")
    if client is None:
        if secret or assertion:
            raise Refusal(700025)
        return
    if assertion:
        if client.certificate is None or not _signed_by(client, assertion, endpoint):
            raise Refusal(700027)
        return
    if not secret:
        raise Refusal(7000218)
    if client.secret is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
        raise Refusal(7000215)


def _basic_secret(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.casefold() != "basic":
        return ""
    try:
        pair = base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return unquote_plus(pair.partition(":")[2])


def _signed_by(client: Client, assertion: str, endpoint: str) -> bool:
    """Check a PS256 assertion as MSAL makes it (RFC 7523; RFC 7518 section 3.5)."""
    certificate = x509.load_pem_x509_certificate(client.certificate or b"")
    key = certificate.public_key()
    try:
        signed, _, signature = assertion.rpartition(".")
        header, claims = (_decode(part) for part in signed.split("."))
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(
            base64.urlsafe_b64decode(signature + "=="),
            signed.encode(),
            padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
            hashes.SHA256(),
        )
    except (ValueError, binascii.Error, InvalidSignature):
        return False
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    print_of = base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).rstrip(b"=").decode()
    return (
        str(header.get("x5t#S256", "")).rstrip("=") == print_of
        and claims.get("aud") == endpoint
        and claims.get("iss") == client.client_id
        and float(claims.get("exp", 0)) > time.time()
    )


def _decode(part: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(part + "=="))
    if not isinstance(value, dict):
        message = "not an object"
        raise TypeError(message)
    return value
