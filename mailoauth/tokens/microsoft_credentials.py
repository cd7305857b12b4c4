"""What is read of an account before Entra is asked: scopes, authority, the app's proof."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from mailoauth.accounts import Account

#: MSAL adds these by itself and raises if it is given them.
_RESERVED = frozenset({"openid", "profile", "offline_access"})
_EVERY_TENANT = frozenset({"common", "organizations", "consumers"})


def requested_scopes(account: Account) -> list[str]:
    """Return the scopes to hand to MSAL."""
    scopes = [scope for scope in account.effective_scopes if scope not in _RESERVED]
    if not scopes:
        raise ConfigError(
            f"The account {account.name} asks for no scope that a mail server would accept.",
            remedy="Name them in scopes, or leave scopes out for the provider's own.",
            account=account.name,
        )
    return scopes


def check_authority(account: Account) -> None:
    """Raise ``ConfigError`` for an authority that MSAL would refuse, or that cannot work."""
    try:
        parts = urlsplit(account.authority)
        tenant = parts.path.strip("/").partition("/")[0]
        good = parts.scheme == "https" and bool(parts.hostname) and bool(tenant)
    except ValueError:
        good, tenant = False, ""
    if not good:
        raise ConfigError(
            f"The authority of {account.name} is {account.authority!r}.",
            remedy="It must be https with a tenant, as in https://login.microsoftonline.com/common.",
            account=account.name,
        )
    if account.sign_in == "app" and tenant.casefold() in _EVERY_TENANT:
        raise ConfigError(
            f"The account {account.name} signs in as an app, and {account.authority} names no tenant.",
            remedy="Set tenant to the directory's id or to one of its domains.",
            account=account.name,
        )


def read_credential(account: Account) -> str | dict[str, str] | None:
    """Return how the app proves itself, read anew, in MSAL's form; None for a public app."""
    if account.certificate_file is not None:
        return _read_certificate(account)
    secret = None
    if account.client_secret_file is not None:
        try:
            # Latin-1 cannot fail: the error of a decoder would hold the secret.
            secret = account.client_secret_file.read_text(encoding="latin-1").strip()
        except OSError as exc:
            raise _unusable(account, f"its file {account.client_secret_file}", exc) from exc
    elif account.client_secret_env is not None:
        secret = os.environ.get(account.client_secret_env, "").strip()
    elif account.sign_in == "user":
        return None
    if not secret:
        raise ConfigError(
            f"The app of {account.name} has no secret to prove itself with.",
            remedy="Put it into the file or variable that client_secret_file or client_secret_env "
            "names, or name a certificate_file.",
            account=account.name,
        )
    return secret


def _read_certificate(account: Account) -> dict[str, str]:
    file = account.certificate_file
    assert file is not None  # noqa: S101 - the caller has looked
    try:
        text = file.read_text(encoding="latin-1")  # PEM is ASCII, and this cannot fail
        # Checks that both are there and belong together; MSAL would find out later.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, password=lambda: "")
    except (OSError, ValueError) as exc:
        raise _unusable(account, f"the certificate_file {file}", exc) from exc
    at = text.find("-----BEGIN CERTIFICATE-----")
    end = text.find("-----END CERTIFICATE-----", at) + len("-----END CERTIFICATE-----")
    return {"private_key": text[:at] + text[end:], "public_certificate": text[at:end]}


def _unusable(account: Account, what: str, exc: Exception) -> ConfigError:
    reason = getattr(exc, "strerror", None) or type(exc).__name__
    return ConfigError(
        f"The app of {account.name} cannot prove itself: {what} cannot be used ({reason}).",
        remedy="A secret is one line of text; a certificate is a PEM file with the certificate and "
        "its private key, without a passphrase.",
        account=account.name,
    )
