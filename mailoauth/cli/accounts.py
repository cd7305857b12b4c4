"""`mailoauth accounts` and `mailoauth logout`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.commands import add_json
from mailoauth.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mailoauth.accounts import Account
    from mailoauth.cli.commands import Commands
    from mailoauth.tokens.token import Identity

_CONSENT_PAGES: Final = {
    True: "https://account.live.com/consent/Manage",
    False: "https://myapps.microsoft.com",
}
_HEADINGS: Final = {
    "name": "ACCOUNT",
    "provider": "PROVIDER",
    "user": "USER",
    "mailbox": "MAILBOX",
    "sign_in": "SIGN-IN",
    "state": "STATE",
    "expires_at": "TOKEN UNTIL",
}
#: Whether a row says something in that column that is not as usual.
_UNSAID: Final[dict[str, Callable[[shapes.JsonObject], bool]]] = {
    "user": lambda row: row["user"] != row["name"],
    "mailbox": lambda row: row["mailbox"] != row["user"],
    "sign_in": lambda row: row["sign_in"] != "user",
}


def add(commands: Commands) -> None:
    """Declare the commands."""
    add_json(commands.add("accounts", accounts, "list the accounts and the state of their tokens"))
    commands.add("logout", logout, "forget an account and its token", address=True)


def accounts(options: argparse.Namespace) -> int:
    """List the accounts; all of them, also where a record cannot be opened."""
    from mailoauth.accounts import list_accounts  # noqa: PLC0415 - only when it runs

    rows = []
    trouble: StoreError | None = None
    for account in list_accounts():
        try:
            state, expires_at = _state(account)
        except StoreError as error:
            rows.append(shapes.of_account(account, None, None))
            trouble = error
        else:
            rows.append(shapes.of_account(account, state, expires_at))
    if options.json:
        for row in rows:
            screen.put_json(row)
    elif rows:
        _show(rows)
    else:
        screen.talk("There are no accounts yet: mailoauth login ADDRESS")
    if trouble is not None:
        raise trouble
    return 0


def _show(rows: list[shapes.JsonObject]) -> None:
    shown = list(_HEADINGS)
    if screen.is_terminal(sys.stdout):
        # What goes without saying would only make the lines too long to read.
        shown = [
            key for key in shown if key not in _UNSAID or any(_UNSAID[key](row) for row in rows)
        ]
    cells = [[str(row[key] or "-") for key in shown] for row in rows]
    screen.show_table([_HEADINGS[key] for key in shown], cells)


def _state(account: Account) -> tuple[str, float | None]:
    from mailoauth.tokens.source import token_source  # noqa: PLC0415 - only when it runs

    if _identity(account) is None:
        return "none", None
    record = token_source(account).record()
    return ("none", None) if record is None else (record.state(time.time()), record.expires_at)


def _identity(account: Account) -> Identity | None:
    """Return whose record the account uses; None if it names no client id, and so has none."""
    from mailoauth.tokens.source import identity_of  # noqa: PLC0415 - only when it runs

    try:
        return identity_of(account)
    except ConfigError:
        return None


def logout(options: argparse.Namespace) -> int:
    """Forget the account, and the record if no other account uses it; needs no key."""
    from mailoauth.accounts import (  # noqa: PLC0415 - only when it runs
        forget_account,
        list_accounts,
        load_account,
    )

    account = load_account(options.address)
    others = [other for other in list_accounts() if other.name != account.name]
    record_gone = _forget_record(account, others)
    written = forget_account(account.name)
    if not written:
        screen.put(
            f"The account {account.name} comes from the environment: unset MAILOAUTH_ADDRESS."
        )
    done = "Forgotten" if written else "Its token is forgotten"
    kept = "" if record_gone else " Its token stays: another account uses it."
    screen.put(f"{done}: {account.name}.{kept}")
    if record_gone and account.provider.oauth == "microsoft":
        page = _CONSENT_PAGES[_is_consumer(account)]
        screen.put(
            "Microsoft offers no way to revoke a token from here. To take the app's permission "
            f"away as well, open {page}"
        )
    return 0


def _forget_record(account: Account, others: list[Account]) -> bool:
    """Drop the record unless another account has the same; say whether there is none any more."""
    from mailoauth.tokens.source import token_source  # noqa: PLC0415 - only when it runs

    identity = _identity(account)
    if identity is None:
        return True
    if any(_identity(other) == identity for other in others):
        return False
    token_source(account).forget()
    return True


def _is_consumer(account: Account) -> bool:
    from mailoauth.accounts import guess_provider  # noqa: PLC0415 - only when it runs

    return guess_provider(account.user or "") is not None
