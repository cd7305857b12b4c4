"""Signing a person in: the key store first, then the person, then the record; all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError, SignInFailed
from mailoauth.tokens.source import token_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.accounts import Account
    from mailoauth.tokens.microsoft import DeviceCode
    from mailoauth.tokens.token import Grant, TokenStore


def sign_in(
    account: Account,
    *,
    open_url: Callable[[str], object] | None = None,
    port: int | None = None,
    timeout: float = 300.0,
    store: TokenStore | None = None,
) -> None:
    """Sign a person in with the browser: authorization code with PKCE (RFC 7636, RFC 8252).

    ``open_url`` opens the person's browser unless given; ``port`` fixes the port of the loopback
    redirect, for an ssh tunnel; ``timeout`` is in seconds. Blocks until the person is done.
    Raises ``SignInFailed`` (see its ``reason``), ``StoreError`` before the person is asked,
    ``ConnectionFailed`` and ``ConfigError``. Nothing is kept unless all went well.
    """

    def ask() -> Grant:
        from mailoauth.tokens.microsoft import sign_in_browser  # noqa: PLC0415 - loads msal

        return sign_in_browser(
            account, open_url=open_url or open_browser, port=port, timeout=timeout
        )

    _sign_in(account, ask, store)


def sign_in_device_code(
    account: Account,
    *,
    show: Callable[[DeviceCode], object] = print,
    timeout: float | None = None,
    store: TokenStore | None = None,
) -> None:
    """Sign a person in on any other device: the device authorization grant (RFC 8628).

    ``show`` is given the code and the address to enter it at; ``str()`` of it is a whole
    sentence. Blocks until the code is used or expires, or for ``timeout`` seconds. Raises
    as :func:`sign_in`.
    """

    def ask() -> Grant:
        from mailoauth.tokens import microsoft  # noqa: PLC0415 - loads msal

        return microsoft.sign_in_device_code(account, show=show, timeout=timeout)

    _sign_in(account, ask, store)


def sign_in_pasted(
    account: Account,
    *,
    show: Callable[[str], object],
    ask: Callable[[str], str],
    port: int | None = None,
    store: TokenStore | None = None,
) -> None:
    """Sign a person in with a browser elsewhere, who pastes the redirect's address back.

    ``show`` is given the URL to open, ``ask`` the question; it returns what was pasted.
    Blocks. Raises as :func:`sign_in`.
    """

    def grant() -> Grant:
        from mailoauth.tokens import microsoft  # noqa: PLC0415 - loads msal

        return microsoft.sign_in_pasted(account, show=show, ask=ask, port=port)

    _sign_in(account, grant, store)


def open_browser(url: str) -> bool:
    """Open the person's browser; it gets neither key variable in its environment."""
    import webbrowser  # noqa: PLC0415 - only if a browser is to be opened

    from mailoauth.tokens.keys import key_withheld  # noqa: PLC0415 - as above

    with key_withheld():
        return webbrowser.open(url)


def _sign_in(account: Account, ask: Callable[[], Grant], store: TokenStore | None) -> None:
    if account.provider.oauth != "microsoft":
        raise ConfigError(
            f'mailoauth cannot sign in at the provider "{account.provider.name}" yet.',
            remedy="Pass a token source of your own: MailSession(account, tokens=source).",
            account=account.name,
        )
    if account.sign_in == "app":
        raise ConfigError(
            "An app's own account needs no sign-in by a person.",
            remedy="Its secret or certificate is used whenever a token is needed.",
            account=account.name,
        )
    source = token_source(account, store=store)
    source.check()
    grant = ask()
    _compare(account, grant)
    if not grant.refresh_token:
        raise SignInFailed(
            f"The identity service gave no refresh token for {account.user}.",
            remedy="The app registration must allow offline_access.",
            account=account.name,
        )
    source.adopt(grant)


def _compare(account: Account, grant: Grant) -> None:
    from mailoauth.tokens.microsoft import same_user  # noqa: PLC0415 - loads msal

    asked = account.user or account.name
    if grant.username is not None and not same_user(grant.username, asked):
        raise SignInFailed(
            f"{grant.username} signed in, but the account is for {asked}.",
            reason="wrong_user",
            remedy=f"Sign in as {asked}, or, if {grant.username} is meant to read and send for it, "
            f"run `mailoauth login {account.name} --user {grant.username}`.",
            account=account.name,
        )
