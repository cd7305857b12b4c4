"""What identity services say when they refuse: Entra's numbers, OAuth's words, other texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.refusals import SIGN_IN_AGAIN, WAIT, Refusal

if TYPE_CHECKING:
    from mailoauth.diagnosis import Category, Fixer

_ERRCODES = "Microsoft, Entra authentication and authorization error codes (reference-error-codes)"
_ADMINISTRATOR = (
    "Ask the administrator of the tenant {tenant} about it, with the whole text and its Trace ID.",
)
_REGISTRATION = (
    (
        "Compare the client id {client_id} and the tenant {tenant} with the app's registration:"
        " entra.microsoft.com > App registrations."
    ),
)
_SCOPES = (
    (
        "Take out the account's scopes to ask for the provider's own, or ask for one service at a"
        " time."
    ),
)
_SECRET = (
    (
        "Make a new client secret under App registrations > Certificates & secrets and store its"
        " value (not its id) where the account's client_secret_file points."
    ),
)
_CONSENT = (
    *SIGN_IN_AGAIN,
    (
        "If the page asks for an administrator's approval, one must grant it for the app {client_id}:"
        " Enterprise applications > Permissions > Grant admin consent."
    ),
)
_PUBLIC = (
    (
        "App registrations > Authentication: put the redirect URI under Mobile and desktop"
        " applications and allow public client flows; or give the account its client secret."
    ),
)
_START_AGAIN = ("Start the sign-in anew: mailoauth login {user}",)


def _entra(
    category: Category, fixer: Fixer, subject: str, meaning: str, steps: tuple[str, ...]
) -> Refusal:
    return Refusal("identity", category, fixer, subject, "", "", meaning, steps, _ERRCODES)


# A table: rows are easier to compare as they are.
# fmt: off
#: By the number behind AADSTS.
NUMBERS: dict[int, Refusal] = {
    # A person must sign in again.
    50074: _entra("sign_in", "you", "authentication", "The tenant wants a stronger sign-in (MFA).",
        SIGN_IN_AGAIN),
    50076: _entra("sign_in", "you", "authentication",
        "The tenant wants multi-factor authentication: a rule or the place has changed.",
        SIGN_IN_AGAIN),
    50078: _entra("sign_in", "you", "authentication",
        "The multi-factor authentication has expired.", SIGN_IN_AGAIN),
    50079: _entra("sign_in", "you", "authentication",
        "The user must first set up multi-factor authentication.", SIGN_IN_AGAIN),
    53003: _entra("sign_in", "you", "authentication",
        "A Conditional Access rule blocks this sign-in.",
        (*SIGN_IN_AGAIN, "From an allowed network or device it may pass.", *_ADMINISTRATOR)),
    50173: _entra("sign_in", "you", "credential",
        "The refresh token was revoked, as by a change of password.", SIGN_IN_AGAIN),
    50126: _entra("sign_in", "you", "authentication", "The user name or the password is wrong.",
        SIGN_IN_AGAIN),
    65001: _entra("sign_in", "you", "consent", "Nobody has allowed this app to use the mailbox.",
        _CONSENT),
    65004: _entra("sign_in", "you", "consent", "The user declined to allow the app.", _CONSENT),
    70000: _entra("sign_in", "you", "credential",
        "The grant is expired or revoked, or the requested scope was never granted.", SIGN_IN_AGAIN),
    70008: _entra("sign_in", "you", "credential",
        "The code or the refresh token is expired or revoked.", SIGN_IN_AGAIN),
    700082: _entra("sign_in", "you", "credential",
        "The refresh token was not used for 90 days and is expired.",
        (*SIGN_IN_AGAIN, "A mail or a token fetched once a month keeps it alive.")),
    700084: _entra("sign_in", "you", "credential",
        "The refresh token lives 24 hours only, because the app is registered as a single-page"
        " app.", (*SIGN_IN_AGAIN, *_PUBLIC)),
    70043: _entra("sign_in", "you", "credential", "The tenant's sign-in frequency is over.",
        SIGN_IN_AGAIN),
    54005: _entra("sign_in", "you", "code", "The code of this sign-in was used already.",
        _START_AGAIN),
    # The states of a sign-in with a device code.
    70016: _entra("passing", "you", "device_code",
        "The sign-in with the device code is not finished yet.", ("Finish it in the browser.",)),
    70018: _entra("sign_in", "you", "device_code", "The device code is wrong.", _START_AGAIN),
    70019: _entra("sign_in", "you", "device_code", "The device code has expired.", _START_AGAIN),
    90120: _entra("sign_in", "you", "device_code", "The device code was used or declined already.",
        _START_AGAIN),
    # The user's account.
    50034: _entra("configuration", "you", "user", "There is no such user in this directory.",
        ("Check the address {user} and the tenant {tenant}.",)),
    50053: _entra("configuration", "administrator", "user",
        "The user's account is locked after wrong passwords.",
        ("Wait, or let an administrator unlock it.", *SIGN_IN_AGAIN)),
    50055: _entra("configuration", "you", "user", "The user's password has expired.",
        ("Set a new one at the provider's own page.", *SIGN_IN_AGAIN)),
    50057: _entra("configuration", "administrator", "user", "The user's account is disabled.",
        _ADMINISTRATOR),
    50105: _entra("configuration", "administrator", "user", "The user is not assigned to the app.",
        ("An administrator adds {user} under Enterprise applications > Users and groups.",)),
    # The tenant's rules.
    53000: _entra("configuration", "administrator", "device",
        "The tenant wants a compliant device.", _ADMINISTRATOR),
    53001: _entra("configuration", "administrator", "device",
        "The tenant wants a domain-joined device.", _ADMINISTRATOR),
    53002: _entra("configuration", "administrator", "device", "The tenant wants an approved app.",
        _ADMINISTRATOR),
    53004: _entra("configuration", "administrator", "user",
        "The set-up of multi-factor authentication is blocked for this user.", _ADMINISTRATOR),
    530032: _entra("configuration", "administrator", "tenant",
        "A security policy of the tenant blocks it.", _ADMINISTRATOR),
    530035: _entra("configuration", "administrator", "tenant",
        "The tenant's security defaults block it.", _ADMINISTRATOR),
    90094: _entra("configuration", "administrator", "consent",
        "An administrator must allow the app.", _CONSENT[1:]),
    90095: _entra("configuration", "administrator", "consent",
        "The request for an administrator's consent is pending.", _CONSENT[1:]),
    # The app's registration.
    70011: _entra("configuration", "you", "scope", "A requested scope is not valid.", _SCOPES),
    28002: _entra("configuration", "you", "scope",
        "Scopes of several services were asked for at once.", _SCOPES),
    28003: _entra("configuration", "you", "scope",
        "The requested scope is empty or of several services.", _SCOPES),
    700022: _entra("configuration", "you", "scope",
        "Scopes of several services were asked for at once.", _SCOPES),
    700016: _entra("configuration", "you", "registration", "There is no such app in this tenant.",
        _REGISTRATION),
    700005: _entra("configuration", "you", "tenant", "The code is of another tenant.",
        _REGISTRATION),
    7000215: _entra("configuration", "you", "credential", "The client secret is wrong.", _SECRET),
    7000222: _entra("configuration", "you", "credential", "The client secret has expired.", _SECRET),
    7000218: _entra("configuration", "you", "registration",
        "The registration wants a client secret, because it is not a public client.", _PUBLIC),
    700025: _entra("configuration", "you", "registration",
        "A client secret was sent for an app that is a public client.",
        ("Take the client secret out of the account.",)),
    700027: _entra("configuration", "you", "credential",
        "The app's certificate does not fit its registration.",
        ("Upload the certificate's public part under App registrations > Certificates & secrets.",)),
    900144: _entra("configuration", "mailoauth", "request", "The request lacks a parameter.",
        _REGISTRATION),
    9002313: _entra("configuration", "you", "request",
        "The request is malformed, often by a mangled refresh token.", SIGN_IN_AGAIN),
    90009: _entra("configuration", "you", "scope", "The app asks for a token for itself.", _SCOPES),
    500011: _entra("configuration", "administrator", "scope",
        "The tenant does not know the service that the scopes name: another cloud, or no"
        " Exchange.", ("Check the host in the scopes and that the tenant has Exchange Online.",)),
    50011: _entra("configuration", "you", "registration", "The redirect URI is not registered.",
        ("Register http://localhost under Mobile and desktop applications.",)),
    500113: _entra("configuration", "you", "registration", "The app has no redirect URI.",
        ("Register http://localhost under Mobile and desktop applications.",)),
    900971: _entra("configuration", "you", "registration", "The app has no redirect URI.",
        ("Register http://localhost under Mobile and desktop applications.",)),
    50194: _entra("configuration", "you", "tenant",
        "The app serves one tenant only, and was asked for at common.",
        ("Name the tenant in the account: tenant = the directory id or domain.",)),
    9001023: _entra("configuration", "you", "tenant",
        "This sign-in cannot be done at common or consumers.",
        ("Name the tenant in the account: tenant = the directory id or domain.",)),
    9002331: _entra("configuration", "you", "tenant",
        "The app is for personal Microsoft accounts only.",
        ('Set tenant = "consumers" in the account.',)),
    9002332: _entra("configuration", "you", "tenant", "The app is for work accounts only.",
        ('Set tenant = "organizations", or the directory id, in the account.',)),
    90002: _entra("configuration", "you", "tenant", "There is no such tenant.", _REGISTRATION),
    90038: _entra("configuration", "you", "tenant", "The tenant lives in a national cloud.",
        ("Use the provider of that cloud: outlook-us-gov, outlook-us-dod or outlook-china.",)),
    501481: _entra("configuration", "mailoauth", "code",
        "The code does not fit the sign-in that asked for it (PKCE).", _START_AGAIN),
    # Waiting helps.
    50196: _entra("throttled", "wait", "", "The program asks for tokens in a loop.",
        ("Stop the program, find why it asks again and again, and wait some minutes.",)),
    90055: _entra("throttled", "wait", "tenant", "The tenant sends too many requests.", WAIT),
    **dict.fromkeys(
        (50033, 90006, 90012, 90024, 90033, 70012),
        _entra("passing", "wait", "", "The identity service has a fault at the moment.", WAIT),
    ),
}

#: By their text, where a provider has no number, or a second word says more than the first.
TEXTS: tuple[Refusal, ...] = (
    Refusal("identity", "configuration", "you", "credential",
        r"\binvalid_grant\b[^\n]{0,60}\bclient_mismatch\b", "invalid_grant client_mismatch",
        "The refresh token belongs to another app.", _REGISTRATION, "MSAL for Python"),
    Refusal("identity", "configuration", "administrator", "device",
        r"\binvalid_grant\b[^\n]{0,60}\b(?:protection_policy_required|device_authentication_failed)\b",
        "invalid_grant protection_policy_required",
        "The tenant's rules want a managed device or app.", _ADMINISTRATOR, "MSAL for Python"),
    Refusal("identity", "sign_in", "you", "credential",
        r"Token has been expired or revoked", "invalid_grant Token has been expired or revoked.",
        "Google no longer accepts the refresh token: revoked, unused for 6 months, the password"
        " was changed, or the app's project is in Testing, where tokens live 7 days.",
        (*SIGN_IN_AGAIN, "If it comes back every 7 days, publish the project's consent screen."),
        "Google, Using OAuth 2.0 to Access Google APIs"),
    Refusal("identity", "sign_in", "you", "credential",
        r"expired access/refresh token", "invalid_grant expired access/refresh token",
        "The refresh token is expired or revoked.", SIGN_IN_AGAIN,
        "Salesforce, OAuth 2.0 refresh token flow"),
    Refusal("identity", "configuration", "administrator", "user",
        r"\binactive_user\b", "invalid_grant inactive_user", "The user's account is disabled.",
        _ADMINISTRATOR, "Salesforce, OAuth 2.0 refresh token flow"),
)


def _word(
    category: Category, fixer: Fixer, subject: str, meaning: str, steps: tuple[str, ...]
) -> Refusal:
    source = "RFC 6749 section 5.2; OpenID Connect Core section 3.1.2.6"
    return Refusal("identity", category, fixer, subject, "", "", meaning, steps, source)


def _state(category: Category, fixer: Fixer, meaning: str, steps: tuple[str, ...]) -> Refusal:
    source = "RFC 8628 section 3.5; Microsoft, OAuth 2.0 device authorization grant"
    return Refusal("identity", category, fixer, "device_code", "", "", meaning, steps, source)


_INTERACTION = _word("sign_in", "you", "authentication",
    "The identity service wants to see the user.", SIGN_IN_AGAIN)
_FAULT = _word("passing", "wait", "", "The identity service has a fault at the moment.", WAIT)

#: By the word in "error", when no number and no text is known: whether a person can help.
WORDS: dict[str, Refusal] = {
    "invalid_grant": _word("sign_in", "you", "credential",
        "The refresh token or code is expired or revoked.", SIGN_IN_AGAIN),
    "interaction_required": _INTERACTION,
    "login_required": _INTERACTION,
    "consent_required": _word("sign_in", "you", "consent", "The app needs the user's consent.",
        _CONSENT),
    "access_denied": _word("sign_in", "you", "consent", "The sign-in was declined or blocked.",
        (*SIGN_IN_AGAIN, *_ADMINISTRATOR)),
    "invalid_client": _word("configuration", "you", "registration",
        "The client id or what proves it (secret, certificate) is wrong.", _REGISTRATION),
    "unauthorized_client": _word("configuration", "you", "registration",
        "The app may not sign in in this way.", _REGISTRATION),
    "invalid_scope": _word("configuration", "you", "scope", "A requested scope is not valid.",
        _SCOPES),
    "invalid_request": _word("configuration", "you", "request",
        "The request is malformed or lacks something.", _REGISTRATION),
    "invalid_resource": _word("configuration", "you", "scope",
        "The service that the scopes name is not known.", _SCOPES),
    "invalid_target": _word("configuration", "you", "scope",
        "The service that was asked for is not known.", _SCOPES),
    "redirect_uri_mismatch": _word("configuration", "you", "registration",
        "The redirect URI is not registered.",
        ("Register the redirect URI that the sign-in names, for the app {client_id}.",)),
    "unsupported_grant_type": _word("configuration", "you", "registration",
        "The identity service does not offer this way of signing in.", _REGISTRATION),
    "unsupported_response_type": _word("configuration", "you", "registration",
        "The identity service does not offer this way of signing in.", _REGISTRATION),
    "temporarily_unavailable": _FAULT,
    "server_error": _FAULT,
    "authorization_pending": _state("passing", "you",
        "The sign-in with the device code is not finished yet.", ("Finish it in the browser.",)),
    "slow_down": _state("throttled", "wait",
        "The program asks too often whether the sign-in is done.", WAIT),
    "authorization_declined": _state("sign_in", "you", "The user declined the sign-in.",
        _START_AGAIN),
    "bad_verification_code": _state("sign_in", "you", "The device code is wrong.", _START_AGAIN),
    "expired_token": _state("sign_in", "you", "The device code has expired.", _START_AGAIN),
}
# fmt: on
