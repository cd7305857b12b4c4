"""How large the soak tests are, and the sign-in that they begin with."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from mailoauth import TokenCache
from mailoauth.tokens.source import LazyRefresher, identity_of
from mailoauth.tokens.token import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.accounts import Account
    from mailoauth.emulator import OutlookEmulator
    from mailoauth.tokens.token import Refresher, TokenStore

ADA = "ada@example.com"

#: Whether the numbers are those of the promises, or a tenth of them.
FULL = os.environ.get("MAILOAUTH_SOAK") == "1"


def scaled(full: int, tenth: int | None = None) -> int:
    """Return the number at the size of this run."""
    return full if FULL else full // 10 if tenth is None else tenth


def source_of(
    account: Account,
    *,
    refresher: Refresher | None = None,
    store: TokenStore | None = None,
    clock: Callable[[], float] = time.time,
) -> TokenCache:
    """Return a source of its own, which shares nothing but the store with others."""
    return TokenCache(
        refresher or LazyRefresher(account, identity_of(account)),
        store,
        account=account.name,
        clock=clock,
    )


def sign_in(emulator: OutlookEmulator, source: TokenCache, *, expires_in: float = 3600) -> None:
    """Give the source what a new sign-in of Ada brings."""
    access, refresh = emulator.identity.issue(ADA)
    source.adopt(
        Grant(access_token=access, expires_in=expires_in, refresh_token=refresh, username=ADA)
    )
