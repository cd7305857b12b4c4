"""Sign-in and refresh at Microsoft Entra through MSAL; the only importer of msal.

MSAL performs grants and nothing else: every request has an application of its own,
which keeps no token and no error (MSAL serves a kept refusal for a minute after the
server has recovered), asks nobody else about the authority, and talks through
:class:`~mailoauth.tokens.microsoft_http.IdentityHttp`.
"""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Any, Self

import msal

from mailoauth.errors import ConfigError, ConnectionFailed, MailOAuthError, SignInRequired
from mailoauth.tokens import microsoft_flows as flows
from mailoauth.tokens.loopback import Loopback
from mailoauth.tokens.microsoft_answers import (
    check_same,
    grant_of,
    refresh_failure,
    same_user,
    sign_in_failure,
)
from mailoauth.tokens.microsoft_credentials import (
    check_authority,
    read_credential,
    requested_scopes,
)
from mailoauth.tokens.microsoft_flows import DeviceCode
from mailoauth.tokens.microsoft_http import DiscoveryRefused, Documents, IdentityHttp
from mailoauth.tokens.source import identity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import Grant

__all__ = [
    "DeviceCode",
    "MicrosoftRefresher",
    "same_user",
    "sign_in_browser",
    "sign_in_device_code",
    "sign_in_pasted",
]

TIMEOUT = 30.0

#: What an answer that is not as it should be makes MSAL raise; a NameError would be our own bug.
_ODD_ANSWER = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    msal.exceptions.MsalError,
)


class MicrosoftRefresher:
    """Refreshes one account's grant, a person's or an app's; a ``Refresher``.

    ``timeout`` bounds one refresh. An app's secret or certificate is read at each.
    """

    def __init__(self, account: Account, *, timeout: float = TIMEOUT) -> None:
        self._account = account
        self._timeout = timeout
        self._documents: Documents = {}
        self.identity = identity_of(account)

    @property
    def durable(self) -> bool:
        """Whether the record must outlive the process."""
        return self._account.sign_in == "user"

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        """Ask for a new grant; blocks, see the protocol for what it raises."""
        account = self._account
        if account.sign_in == "user" and not refresh_token:
            raise SignInRequired(
                f"{account.name} has no refresh token.",
                remedy=f"Sign in: mailoauth login {account.name}",
                account=account.name,
            )
        with Conversation(account, timeout=self._timeout, documents=self._documents) as talk:
            talk.check_endpoint(discovered)
            scopes = talk.scopes
            if account.sign_in == "app":
                answer = talk.ask(lambda app: app.acquire_token_for_client(scopes))
            else:
                answer = talk.ask(
                    lambda app: app.acquire_token_by_refresh_token(refresh_token, scopes)
                )
            if "error" in answer:
                raise refresh_failure(answer, account)
            return talk.grant(answer, discovered)


def sign_in_browser(
    account: Account,
    *,
    open_url: Callable[[str], object] = webbrowser.open,
    port: int | None = None,
    timeout: float = 300.0,
    on_url: Callable[[str], object] | None = None,
) -> Grant:
    """Sign a person in with the browser of this computer (RFC 8252, RFC 7636); blocks.

    ``on_url`` is given the URL before ``open_url`` is; with it, a browser that does
    not open is no failure. ``timeout`` is for the person, in seconds. Raises
    ``SignInFailed`` with its reason.
    """
    with Conversation(account) as talk, Loopback(port) as page:
        return flows.browser(talk, page, open_url=open_url, on_url=on_url, timeout=timeout)


def sign_in_pasted(
    account: Account,
    *,
    show: Callable[[str], object],
    ask: Callable[[str], str],
    port: int | None = None,
) -> Grant:
    """Sign a person in with a browser elsewhere, who pastes the address it ends at; blocks.

    ``show`` is given the URL, ``ask`` the question. Raises ``SignInFailed``.
    """
    address = "http://localhost" if port is None else f"http://localhost:{port}"
    with Conversation(account) as talk:
        return flows.pasted(talk, address, show=show, ask=ask)


def sign_in_device_code(
    account: Account, *, show: Callable[[DeviceCode], object], timeout: float | None = None
) -> Grant:
    """Sign a person in on any other device (RFC 8628); blocks until the code runs out.

    ``timeout`` in seconds ends the wait earlier. Raises ``SignInFailed``; where the
    organisation forbids this way, its remedy names the browser.
    """
    with Conversation(account) as talk:
        return flows.device_code(talk, show=show, timeout=timeout)


class Conversation:
    """One application of MSAL with its connections; a context manager.

    Entering it does the discovery.
    """

    def __init__(
        self, account: Account, *, timeout: float = TIMEOUT, documents: Documents | None = None
    ) -> None:
        self.account = account
        self.scopes = requested_scopes(account)
        credential = read_credential(account)
        check_authority(account)
        self._http = IdentityHttp(
            ca_file=account.provider.ca_file,
            timeout=timeout,
            account=account.name,
            documents=documents,
        )
        self._errors: dict[str, Any] = {}
        options = {
            "authority": account.authority,
            "http_client": self._http,
            "http_cache": self._errors,
            "token_cache": _NoCache(),
            "instance_discovery": False,
        }
        try:
            self._application = self._guarded(lambda: _application(account, credential, options))
        except BaseException:
            self._http.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._http.close()

    @property
    def token_endpoint(self) -> str:
        """Where tokens are asked for, by discovery."""
        return str(self._application.authority.token_endpoint)

    def check_endpoint(self, discovered: Mapping[str, str]) -> None:
        """Raise ``ConfigError`` before a secret goes to another endpoint than at sign-in."""
        found = {"token_endpoint": self.token_endpoint}
        check_same("token_endpoint", discovered, found, self.account)

    def ask(self, call: Callable[[Any], Any]) -> dict[str, Any]:
        """Return MSAL's answer, a refusal included; everything else is our errors."""
        self._http.failure = None
        self._errors.clear()
        answer = self._guarded(lambda: call(self._application))
        return answer if isinstance(answer, dict) else {}

    def restart(self) -> None:
        """Begin the time-out anew: a person has been waited for."""
        self._http.restart()

    def grant(self, answer: Mapping[str, Any], discovered: Mapping[str, str]) -> Grant:
        """Return the grant of an answer."""
        return grant_of(
            answer, self.account, token_endpoint=self.token_endpoint, discovered=discovered
        )

    def signed_in(self, answer: Mapping[str, Any], *, device: bool = False) -> Grant:
        """Return the grant of a sign-in's answer, or raise its error."""
        if "error" in answer:
            raise sign_in_failure(answer, self.account, device=device)
        return self.grant(answer, {})

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Translate what MSAL raises; what our HTTP client raises is ours already."""
        try:
            return call()
        except MailOAuthError:
            raise
        except DiscoveryRefused as exc:
            raise self._no_such_authority(exc.answer) from exc
        except _ODD_ANSWER as exc:
            kind = type(exc).__name__
        if self._http.failure is not None:
            raise self._http.failure
        # Without the cause: MSAL's messages hold states, nonces and whole answers.
        raise ConnectionFailed(
            f"The identity service's answer for {self.account.name} makes no sense ({kind}).",
            remedy="Check the authority of the provider, or try again later.",
            account=self.account.name,
        )

    def _no_such_authority(self, answer: Mapping[str, Any]) -> MailOAuthError:
        if isinstance(answer.get("error"), str):
            return refresh_failure(answer, self.account)
        return ConfigError(
            f"The authority {self.account.authority} is unknown to the identity service.",
            remedy="Check the tenant and the authority of the provider.",
            account=self.account.name,
        )


class _NoCache(msal.TokenCache):  # type: ignore[misc]  # msal has no types
    """Keeps nothing: the records are ours, and MSAL would read numbers that may be missing."""

    def add(self, event: object, now: object = None) -> None:
        """Let the tokens pass by."""


def _application(account: Account, credential: Any, options: dict[str, Any]) -> Any:
    client_id = account.resolved_client_id()
    if credential is None:
        return msal.PublicClientApplication(client_id, **options)
    kind = msal.ConfidentialClientApplication
    # Else MSAL_FORCE_REGION would send the secret to another host.
    region = kind.DISABLE_MSAL_FORCE_REGION
    return kind(client_id, client_credential=credential, azure_region=region, **options)
