"""The parser: which commands there are.

Every command file has ``add(commands)``, which declares its commands, and imports what
it works with only when it runs: `mailoauth --help` must be fast.
"""

from __future__ import annotations

import argparse
from typing import Final

import mailoauth
from mailoauth.cli import (
    accounts,
    demo,
    exits,
    explain,
    fetch,
    folders,
    keys,
    login,
    send,
    send_many,
    token,
)
from mailoauth.cli.commands import Commands

_DESCRIPTION: Final = """\
Read and send mail over IMAP and SMTP with OAuth2: Outlook.com and Microsoft 365 first.

`mailoauth demo` shows all of it on this computer; `mailoauth login ADDRESS` begins."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; each command sets ``run``."""
    parser = argparse.ArgumentParser(
        prog="mailoauth",
        description=_DESCRIPTION,
        epilog=exits.MEANINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_shared()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mailoauth {mailoauth.__version__}")
    parser.set_defaults(verbose=0, no_input=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = Commands(actions, _shared())
    for group in (demo, login, accounts, keys, token, folders, fetch, send, send_many, explain):
        group.add(commands)
    return parser


def _shared() -> argparse.ArgumentParser:
    # No defaults, and a parser of its own for the commands (set_defaults writes into those it
    # inherits from): a command's defaults would overwrite what was given before its name.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument(
        "-v",
        "--verbose",
        action="count",
        help="log to stderr what happens; twice: the commands too",
    )
    shared.add_argument("--no-input", action="store_true", help="never ask: fail instead")
    return shared
