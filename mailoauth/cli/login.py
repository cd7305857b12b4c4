"""`mailoauth login`: signs a person in and keeps the account."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import time
from typing import TYPE_CHECKING

from mailoauth.cli import screen
from mailoauth.errors import ConfigError, MailOAuthError, SignInFailed

if TYPE_CHECKING:
    from mailoauth.accounts import Account, Provider
    from mailoauth.cli.commands import Commands
    from mailoauth.tokens.microsoft import DeviceCode

_LONGEST_LINE = 65_536


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "login",
        login,
        "sign a person in and keep the account",
        address=True,
        more="A browser opens on this computer unless another way is chosen.",
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--device-code", action="store_true", help="show a code to enter on any other device"
    )
    ways.add_argument(
        "--no-browser",
        action="store_true",
        help="print the address to open anywhere, and take the one that the browser ends at",
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="port of the redirect, for an ssh tunnel"
    )
    parser.add_argument("--provider", metavar="NAME", help="outlook, or one of the accounts file")
    parser.add_argument("--client-id", metavar="ID", help="the app's id at the provider")
    parser.add_argument("--tenant", help="the directory at Microsoft (common unless given)")
    parser.add_argument("--user", metavar="NAME", help="who signs in, if not the ADDRESS itself")
    parser.add_argument("--mailbox", metavar="ADDRESS", help="which mailbox to open by default")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):  # noqa: PLR2004 - TCP's
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def login(options: argparse.Namespace) -> int:
    """Sign in; nothing is kept unless all went well."""
    from mailoauth.tokens.source import token_source  # noqa: PLC0415 - only when it runs

    before = _known(options.address)
    account = _account(options, before)
    _sign_in(account, options)
    if account != before:
        _save(account)
    _say_done(account, token_source(account).username)
    return 0


def _known(address: str) -> Account | None:
    """Return the account if there is one already."""
    from mailoauth.accounts import list_accounts, load_account  # noqa: PLC0415 - as above

    try:
        return load_account(address)
    except ConfigError:
        # Either there is none, or something is wrong: a file that cannot be read says so here.
        folded = address.casefold()
        for account in list_accounts():
            names = (account.name, account.user, account.mailbox)
            if folded in {name.casefold() for name in names if name}:
                raise
        return None


def _account(options: argparse.Namespace, before: Account | None) -> Account:
    from mailoauth.accounts import Account  # noqa: PLC0415 - as above
    from mailoauth.checks import check_address  # noqa: PLC0415 - as above

    named = {key: getattr(options, key) for key in ("client_id", "tenant", "user", "mailbox")}
    given = {key: value for key, value in named.items() if value is not None}
    if before is not None:
        if options.provider:
            given["provider"] = _provider(options.provider)
        return dataclasses.replace(before, **given)
    user = given.get("user", options.address)
    check_address("ADDRESS", options.address)
    check_address("--user", user)
    provider = _provider(options.provider) if options.provider else _provider_of(options)
    account = Account(**{**given, "name": options.address, "user": user, "provider": provider})
    account.resolved_client_id()
    return account


def _provider(name: str) -> Provider:
    from mailoauth import accounts_file, paths  # noqa: PLC0415 - as above
    from mailoauth.accounts import preset  # noqa: PLC0415 - as above

    own = accounts_file.read(paths.accounts_file()).providers
    return own.get(name) or preset(name)


def _provider_of(options: argparse.Namespace) -> Provider:
    """Return who serves the address, by its domain where that is certain; else ask."""
    from mailoauth.accounts import guess_provider  # noqa: PLC0415 - as above

    provider = guess_provider(options.address)
    if provider is not None:
        return provider
    if options.no_input or not screen.is_terminal(sys.stdin):
        raise ConfigError(
            f"Nothing says who serves {options.address}: the domain alone does not tell.",
            remedy="Name the provider: --provider outlook for work accounts at Microsoft 365.",
        )
    _check_store()
    return _provider(_ask(f"Who serves {options.address}? [outlook] ").strip() or "outlook")


def _check_store() -> None:
    """Raise ``StoreError`` unless a record could be kept: before anybody is asked anything."""
    from mailoauth.tokens.files import FileStore  # noqa: PLC0415 - as above
    from mailoauth.tokens.store import SealedRecords  # noqa: PLC0415 - as above

    SealedRecords(FileStore()).check()


def _sign_in(account: Account, options: argparse.Namespace) -> None:
    from mailoauth.tokens import signin  # noqa: PLC0415 - as above

    if options.device_code:
        signin.sign_in_device_code(account, show=lambda code: _show_code(account, code))
        return
    if options.no_browser:
        if options.no_input:
            raise ConfigError(
                "--no-browser asks for an address, and --no-input forbids to ask.",
                remedy="Take --device-code, which needs no answer here.",
            )
        signin.sign_in_pasted(account, show=_show_url, ask=_ask, port=options.port)
        return
    signin.sign_in(
        account,
        open_url=lambda url: _open(url, waiting=not options.no_input),
        port=options.port,
    )


def _open(url: str, *, waiting: bool) -> bool:
    """Open the browser; where none opens, a person at a terminal may open the address by hand."""
    import webbrowser  # noqa: PLC0415 - only for this way to sign in

    from mailoauth.tokens.signin import open_browser  # noqa: PLC0415 - as above

    screen.talk("A browser opens for the sign-in. Waiting for it to come back.")
    with contextlib.suppress(webbrowser.Error):
        if open_browser(url):
            return True
    if not (waiting and screen.is_terminal(sys.stderr)):
        return False
    screen.warn(f"No browser could be opened. Open this address on this computer:\n{url}\n")
    screen.warn(
        "Or press Ctrl-C and run it again with --no-browser (a browser on any other computer) or "
        "--device-code (a code to enter on any other device)."
    )
    return True


def _show_code(account: Account, code: DeviceCode) -> None:
    left = max(0, round((code.expires_at - time.time()) / 60))
    until = time.strftime("%H:%M", time.localtime(code.expires_at))
    notes = (
        f"Sign in there as {account.user}. The code expires in {left} minutes, at {until}.",
        "If your organisation does not allow this way, press Ctrl-C and sign in with a browser:",
        f"mailoauth login {account.name}",
    )
    screen.show_code(code.user_code, code.verification_uri, notes)


def _show_url(url: str) -> None:
    screen.warn(f"Open this address in a browser, on this computer or any other:\n\n{url}\n")
    screen.warn(
        "After the sign-in the browser ends at an address that begins with http://localhost and "
        "may show an error: that is as it should be. Copy that address."
    )


def _ask(question: str) -> str:
    screen.say(screen.harmless(question))
    if screen.is_terminal(sys.stdin):
        # A terminal cuts lines at 4,096 characters, unless readline reads them.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - imported for its effect
        with contextlib.suppress(EOFError):
            return input()
    line = sys.stdin.readline(_LONGEST_LINE) if sys.stdin else ""
    if not line:
        screen.say("\n")
        raise SignInFailed(
            "The input ended before the question was answered.",
            remedy="Run it at a terminal, or give the answer on stdin.",
        )
    return line


def _save(account: Account) -> None:
    from mailoauth.accounts import save_account  # noqa: PLC0415 - as above

    try:
        save_account(account)
    except MailOAuthError as error:
        raise ConfigError(
            f"{account.user} is signed in and the token is kept, but the account could not be "
            f"written down: {error.message}",
            remedy=f"{error.remedy} Then run `mailoauth login` again, with the same options.".strip(),
            account=account.name,
        ) from error


def _say_done(account: Account, username: str | None) -> None:
    from mailoauth import paths  # noqa: PLC0415 - as above
    from mailoauth.cli.keys import in_words  # noqa: PLC0415 - as above
    from mailoauth.tokens.keyplace import where  # noqa: PLC0415 - as above

    screen.put(f"Signed in: {username or account.user} ({account.provider.name}).")
    screen.put(f"The token is kept encrypted in {paths.records_folder()}; {in_words(where())}.")
    screen.put(f"Next: mailoauth fetch {account.name}")
