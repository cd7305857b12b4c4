"""token_source(): the one TokenCache of this process for an account's record."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mailoauth.errors import ConfigError
from mailoauth.tokens.cache import MIN_REMAINING, TokenCache
from mailoauth.tokens.token import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import Grant, Refresher, TokenStore


def identity_of(account: Account) -> Identity:
    """Say to which record an account's tokens belong."""
    provider = account.provider
    return Identity(
        authority=account.authority or provider.issuer or provider.token_endpoint,
        tenant=account.tenant,
        client_id=account.resolved_client_id(),
        user="app" if account.sign_in == "app" else (account.user or account.name).casefold(),
        scopes=account.effective_scopes,
    )


def token_source(
    account: Account, *, store: TokenStore | None = None, min_remaining: float = MIN_REMAINING
) -> TokenCache:
    """Return the token source of an account; two accounts with the same identity share it.

    Does no I/O. ``store`` keeps the sealed record elsewhere than in a file;
    ``min_remaining`` (seconds) is taken from whoever asks first.
    """
    identity = identity_of(account)
    with _lock:
        # The folder is part of the key so that a changed MAILOAUTH_HOME is another store.
        sources: MutableMapping[tuple[str, object], TokenCache]
        sources, place = (
            (_sources, os.environ.get("MAILOAUTH_HOME"))
            if store is None
            else (_sources_elsewhere, id(store))
        )
        cache = sources.get((identity.key, place))
        refresher = LazyRefresher(account, identity)
        if cache is None:
            cache = sources[identity.key, place] = TokenCache(
                refresher, store, min_remaining, account=account.name
            )
        else:
            cache.use(refresher)
        return cache


class LazyRefresher:
    """A refresher that loads its library at the first refresh, not before."""

    def __init__(self, account: Account, identity: Identity) -> None:
        # The record's own client id, whatever the environment says by the time of a refresh.
        self.account = replace(account, client_id=identity.client_id)
        self._refresher: Refresher | None = None
        self.identity = identity

    @property
    def durable(self) -> bool:
        """A person's sign-in must survive the process; an app can prove itself again."""
        return self.account.sign_in == "user"

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        """Refresh with the library of the account's provider; blocks."""
        if self._refresher is None:
            self._refresher = _refresher(self.account)
        return self._refresher.refresh(refresh_token, discovered)


def _refresher(account: Account) -> Refresher:
    if account.provider.oauth == "microsoft":
        from mailoauth.tokens.microsoft import MicrosoftRefresher  # noqa: PLC0415 - loads msal

        return MicrosoftRefresher(account)
    raise ConfigError(
        f'The provider "{account.provider.name}" is not one of Microsoft\'s, and mailoauth cannot '
        "sign in or refresh there yet.",
        remedy="Pass a token source of your own: MailSession(account, tokens=source).",
        account=account.name,
    )


_sources: dict[tuple[str, object], TokenCache] = {}
# Weak: a web app may make a store for every request. While a source lives, so does
# its store, and the store's id is its own.
_sources_elsewhere: WeakValueDictionary[tuple[str, object], TokenCache] = WeakValueDictionary()
_lock = threading.Lock()


def _new_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent may have held it at the moment of the fork
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_after_fork)
