"""What Entra's answers mean to us: a grant, or one of our errors. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailoauth.diagnosis import Diagnosis, diagnose
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    MailOAuthError,
    SignInFailed,
    SignInFailure,
    SignInRequired,
    Throttled,
)
from mailoauth.tokens.token import Grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.accounts import Account

TEXT_LIMIT = 300
#: What a service says in words is shorter, but for addresses and GUIDs.
_SECRET_LENGTH = 24
#: Errors after which a person must sign in again, where the AADSTS number is unknown.
_INTERACTIVE = frozenset(
    {"invalid_grant", "interaction_required", "login_required", "consent_required"}
)
_PASSING = frozenset({"temporarily_unavailable", "server_error"})
#: Read elsewhere, too large to keep, or MSAL's own.
_DROPPED = frozenset(
    {
        "access_token",
        "refresh_token",
        "expires_in",
        "scope",
        "id_token",
        "id_token_claims",
        "client_info",
        "token_source",
        "refresh_on",
    }
)
_LONG_WORD = re.compile(r"[^\s'\"()<>,;]{24,}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REASONS: tuple[tuple[SignInFailure, re.Pattern[str]], ...] = (
    ("denied", re.compile(r"\b(access_denied AADSTS65004|authorization_declined|AADSTS65004)\b")),
    ("consent", re.compile(r"\b(consent_required|AADSTS(65001|90094|90095))\b")),
    ("code_used", re.compile(r"\bAADSTS54005\b")),
    ("expired", re.compile(r"\b(expired_token|AADSTS(70008|70019|70020))\b")),
)
#: Conditional access and assignments; many tenants forbid the device code alone.
_POLICY = re.compile(r"\bAADSTS(50105|5300\d{1,2})\b")


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal in the service's words, fit to be shown."""

    error: str
    text: str
    diagnosis: Diagnosis

    @property
    def shown(self) -> str:
        """The error and the first line of its description."""
        return f"{self.error}: {self.text}" if self.text else self.error

    def steps(self, account: Account) -> str:
        """Return what the diagnosis says to do, with the account's own values."""
        filled = self.diagnosis.steps_for(
            user=account.user or account.name,
            client_id=account.resolved_client_id(),
            tenant=account.tenant,
        )
        return " ".join(filled)


def read(answer: Mapping[str, Any]) -> Said:
    """Return what a refusal says, with its diagnosis."""
    error = printable(str(answer.get("error", ""))) or "error"
    description = str(answer.get("error_description") or "")
    first = re.split(r"[\r\n]|\s*Trace ID:", description, maxsplit=1)[0]
    suberror = printable(str(answer.get("suberror") or ""))
    whole = " ".join(part for part in (error, suberror, printable(description)) if part)
    return Said(error, printable(first), diagnose(whole, protocol="identity"))


def printable(text: str) -> str:
    """Return the text without control characters and not too long; it is not ours.

    What looks like a token, a code or a secret is left out: a service may repeat
    what it was sent, and this text is logged and shown.
    """
    text = _LONG_WORD.sub(_without_secret, text)
    clean = "".join(character if character.isprintable() else " " for character in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= TEXT_LIMIT else f"{clean[: TEXT_LIMIT - 3]}..."


def _without_secret(word: re.Match[str]) -> str:
    address, _, _ = word[0].partition("?")
    if "://" in address:
        return address
    plain = _GUID.sub("", word[0])
    return "***" if len(plain) >= _SECRET_LENGTH and re.search(r"\d", plain) else word[0]


def refresh_failure(answer: Mapping[str, Any], account: Account) -> MailOAuthError:
    """Return the error for a refused refresh: the class is the remedy."""
    said = read(answer)
    category = said.diagnosis.category
    if category == "unknown":
        category = _guess(said.error)
    if category in {"sign_in", "stale_token"} and account.sign_in == "user":
        return SignInRequired(
            f"The identity service gives {account.name} no new token ({said.shown}).",
            remedy=f"Sign in again: mailoauth login {account.name}",
            account=account.name,
        )
    return _common(said, category, account) or _misconfigured(said, account)


def sign_in_failure(
    answer: Mapping[str, Any], account: Account, *, device: bool = False
) -> MailOAuthError:
    """Return the error for a sign-in that the identity service refused."""
    said = read(answer)
    whole = f"{said.error} {said.text}"
    for reason, pattern in _REASONS:
        if pattern.search(whole):
            return _failed(said, account, reason, said.steps(account) or "Sign in again.")
    if _POLICY.search(whole):
        return _failed(said, account, "other", _policy_remedy(said, account, device=device))
    if said.error == "access_denied":
        return _failed(said, account, "denied", said.steps(account) or "Sign in again, and agree.")
    category = said.diagnosis.category
    if category == "unknown":
        category = _guess(said.error)
    error = _common(said, category, account)
    if error is None and category == "configuration":
        error = _misconfigured(said, account)
    return error or _failed(said, account, "other", said.steps(account) or "Sign in again.")


def _policy_remedy(said: Said, account: Account, *, device: bool) -> str:
    if not device:
        return said.steps(account) or "Ask your administrator."
    return (
        "Your organisation may forbid the device code alone: sign in with the browser, "
        f"mailoauth login {account.name}; if that is refused too, ask your administrator."
    )


def _guess(error: str) -> Any:
    if error in _INTERACTIVE:
        return "sign_in"
    return "passing" if error in _PASSING else "configuration"


def _common(said: Said, category: str, account: Account) -> MailOAuthError | None:
    if category == "throttled":
        return Throttled.after(
            f"The identity service asks {account.name} to wait ({said.shown}).",
            said.diagnosis.retry_after,
            code=said.error,
            text=said.text,
            diagnosis=said.diagnosis,
            remedy=said.steps(account) or "Try again later.",
            account=account.name,
        )
    if category == "passing":
        return ConnectionFailed(
            f"The identity service has trouble of its own ({said.shown}).",
            remedy=said.steps(account) or "Try again later.",
            account=account.name,
        )
    return None


def _misconfigured(said: Said, account: Account) -> ConfigError:
    return ConfigError(
        f"The identity service refuses the app of {account.name} ({said.shown}).",
        remedy=said.steps(account) or "Check the account's client id, tenant, secret and scopes.",
        account=account.name,
    )


def _failed(said: Said, account: Account, reason: SignInFailure, remedy: str) -> SignInFailed:
    return SignInFailed(
        f"{account.name} is not signed in ({said.shown}).",
        reason=reason,
        remedy=remedy,
        account=account.name,
        diagnosis=said.diagnosis,
    )


def grant_of(
    answer: Mapping[str, Any],
    account: Account,
    *,
    token_endpoint: str,
    discovered: Mapping[str, str],
) -> Grant:
    """Return the grant of an answer without an error.

    Raises ``ConnectionFailed`` for an answer that makes no sense and ``ConfigError``
    for somebody else's.
    """
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise ConnectionFailed(
            f"The identity service answered {account.name} without an access token.",
            remedy="A proxy may be in the way; try again later.",
            account=account.name,
        )
    claims = answer.get("id_token_claims")
    claims = claims if isinstance(claims, dict) else {}
    found = {"token_endpoint": token_endpoint}
    found |= {name: claims[name] for name in ("tid", "oid") if isinstance(claims.get(name), str)}
    for name in ("tid", "oid"):
        check_same(name, discovered, found, account)
    refresh_token, scope = answer.get("refresh_token"), answer.get("scope")
    granted = tuple(scope.split()) if isinstance(scope, str) else ()
    expires_in = answer.get("expires_in")
    return Grant(
        token,
        expires_in=float(expires_in) if expires_in is not None else None,
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        scopes=granted or account.effective_scopes,
        username=_username(claims),
        discovered={**discovered, **found},
        extra={name: value for name, value in answer.items() if name not in _DROPPED},
    )


def check_same(
    name: str, discovered: Mapping[str, str], found: Mapping[str, str], account: Account
) -> None:
    """Raise ``ConfigError`` if what was found differs from what was found at sign-in."""
    before, now = discovered.get(name), found.get(name)
    if before and now and before != now:
        raise ConfigError(
            f"The sign-in of {account.name} belongs to the {_LABELS[name]} {before},"
            f" but the identity service now names {printable(now)}.",
            remedy="If that is meant to be so, sign in again: "
            f"mailoauth login {account.name}; else check the authority and the tenant.",
            account=account.name,
        )


_LABELS = {"token_endpoint": "token endpoint", "tid": "tenant", "oid": "user with the id"}


def _username(claims: Mapping[str, Any]) -> str | None:
    for name in ("preferred_username", "email", "upn"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def same_user(claims_username: str, asked: str) -> bool:
    """Tell whether who signed in is who was asked for; sign-in names ignore case."""
    return claims_username.strip().casefold() == asked.strip().casefold()
