"""The lives of processes that refresh in a loop until they are killed.

For each line that it is sent, this process forks a child that begins with nothing but
what the store holds, and reports each phase of what the child does:

    born PID; token GENERATION VALUE; then again and again
    begin; asking; answered; kept GENERATION SECONDS VALUE
    at its end: sign-in-required MESSAGE or failed ERROR; dead STATUS (negative: a signal)
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import mailoauth.tokens.microsoft  # noqa: F401 - loaded once for all children
from mailoauth.errors import SignInRequired
from mailoauth.tokens.source import LazyRefresher, identity_of
from tests.soak.processes import read_account, say
from tests.soak.scale import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import Grant


class TellingRefresher(LazyRefresher):
    """Says when the identity service is asked and when it has answered."""

    def refresh(self, refresh_token: str | None, discovered: Mapping[str, str]) -> Grant:
        say("asking")
        grant = super().refresh(refresh_token, discovered)
        say("answered")
        return grant


def live(account: Account) -> None:
    """Refresh until killed."""
    say("born", os.getpid())
    source = source_of(account, refresher=TellingRefresher(account, identity_of(account)))
    try:
        token = source.get()
        say("token", token.generation, token.value)
        while True:
            say("begin")
            started = time.monotonic()
            token = source.get(rejected=token)
            say("kept", token.generation, f"{time.monotonic() - started:.4f}", token.value)
    except SignInRequired as error:
        say("sign-in-required", error)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
        say("failed", repr(error))


def main() -> None:
    account = read_account()
    say("ready")
    while sys.stdin.readline():
        child = os.fork()
        if not child:
            live(account)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("dead", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
