"""`mailoauth token`: an access token for other programs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mailoauth.cli import screen, shapes
from mailoauth.cli.commands import add_json, add_mailbox, add_retry
from mailoauth.cli.patience import patiently

if TYPE_CHECKING:
    import argparse

    from mailoauth.accounts import Account
    from mailoauth.cli.commands import Commands
    from mailoauth.tokens.cache import TokenCache


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "token",
        token,
        "print an access token for other programs, refreshed if need be",
        address=True,
    )
    parser.add_argument(
        "--sasl",
        choices=("imap", "smtp"),
        help="print the base64 string that signs in to IMAP or SMTP instead",
    )
    parser.add_argument("--refresh", action="store_true", help="get a new one in any case")
    add_mailbox(parser)
    add_json(parser)
    add_retry(parser)


def token(options: argparse.Namespace) -> int:
    """Print the token alone: the only command that prints a secret."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs
    from mailoauth.tokens.source import token_source  # noqa: PLC0415 - as above

    screen.check_stdout()
    account = load_account(options.address)
    source = token_source(account)
    ask = source.refresh if options.refresh else source.get
    access = patiently(ask, options.retry_for)
    value = access.value
    if options.sasl:
        mailbox = options.mailbox or account.address
        value = _sasl(account, source, value, mailbox, options.sasl)
    if options.json:
        screen.put_json(shapes.of_token(account, access, value))
    else:
        screen.put(value)
    return 0


def _sasl(account: Account, source: TokenCache, value: str, mailbox: str, protocol: str) -> str:
    from mailoauth.mail.sasl import mechanism  # noqa: PLC0415 - only when it runs

    own = mailbox.casefold() == (account.user or "").casefold()
    as_user = account.sign_in == "user" and (own or protocol == "smtp")
    user = (source.username or account.user or mailbox) if as_user else mailbox
    endpoint = account.imap if protocol == "imap" else account.smtp
    answer = mechanism(account.provider.sasl, user, value, endpoint).initial_response()
    return base64.b64encode(answer).decode()
