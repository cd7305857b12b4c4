"""`mailoauth-sendmail`: stands in for sendmail, where programs want to send mail through it."""

from __future__ import annotations

import functools
import re
import socket
import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import exits, running, screen, sendmail_options
from mailoauth.cli.sendmail_options import WrongUse
from mailoauth.cli.stopping import Terminated, termination_raised
from mailoauth.errors import (
    AuthError,
    ConfigError,
    DeliveryUnknown,
    MailOAuthError,
    RecipientsRefused,
    SendingDisabled,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailoauth.accounts import Account
    from mailoauth.cli.sendmail_options import SendmailOptions
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.receipt import SendReceipt

# sysexits.h, which is not everywhere in Python's os.
USAGE: Final = 64
DATA: Final = 65
NO_USER: Final = 67
UNAVAILABLE: Final = 69
SOFTWARE: Final = 70
TEMPORARY: Final = 75
PROTOCOL: Final = 76
NO_PERMISSION: Final = 77
CONFIGURATION: Final = 78

#: The first row that fits counts; what passes by itself comes before all of them.
_CODES: Final = (
    (DeliveryUnknown, PROTOCOL),
    (ConfigError, CONFIGURATION),
    (StoreError, CONFIGURATION),
    (AuthError, NO_PERMISSION),
    (SendingDisabled, NO_PERMISSION),
    (RecipientsRefused, NO_USER),
    (MailOAuthError, UNAVAILABLE),
)
_LONE_DOT: Final = re.compile(rb"^\.\r?(?:\n|\Z)", re.MULTILINE)
_MBOX_LINES: Final = re.compile(rb"(?:>?From [^\r\n]*(?:\r\n|\n|\Z))+")
_SENDERS: Final = ("from", "sender", "resent-from", "resent-sender")
_RECIPIENTS: Final = ("to", "cc", "bcc", "reply-to", "resent-to", "resent-cc", "resent-bcc")
_THIS_MACHINE: Final = frozenset({"localhost", "localhost.localdomain"})


def main(argv: Sequence[str] | None = None) -> int:
    """Send the message on stdin as sendmail would; return an exit code of sysexits.h."""
    screen.prepare()
    verbose = 0
    try:
        with termination_raised():
            options = sendmail_options.read(sys.argv[1:] if argv is None else argv)
            verbose = options.verbose
            with running.logging_shown(verbose):
                return _run(options)
    except WrongUse as wrong:
        _complain(str(wrong))
        return USAGE
    except MailOAuthError as error:
        _complain(f"{error.message} {error.remedy}")
        return code_of(error)
    except (KeyboardInterrupt, Terminated, screen.ReaderGone) as stop:
        return running.stopped(stop)
    except Exception as bug:  # noqa: BLE001 - the last place that can say anything
        running.show_bug(bug, verbose)
        return SOFTWARE


def code_of(error: MailOAuthError) -> int:
    """Return the exit code for an error: 75 only where a repeat may help and does no harm."""
    if exits.code_of(error) in exits.PASSING:
        return TEMPORARY
    return next(code for kind, code in _CODES if isinstance(error, kind))


def _run(options: SendmailOptions) -> int:
    from mailoauth.cli import outgoing  # noqa: PLC0415 - only when it runs

    if options.wanted_text is not None:
        _show_text(options.wanted_text)
        return exits.DONE
    account = _account(options.account)
    try:
        parcel = _parcel(options, account)
    except ConfigError as error:
        _complain(f"{error.message} {error.remedy}")
        return DATA
    if options.dry_run:
        outgoing.show(parcel)
        return exits.DONE
    return _report(_sent(options, account, parcel))


def _account(named: str | None) -> Account:
    from mailoauth.accounts import list_accounts, load_account  # noqa: PLC0415 - when it runs

    if named:
        return load_account(named)
    accounts = list_accounts()
    if len(accounts) == 1:
        return accounts[0]
    if not accounts:
        raise ConfigError(
            "No account is signed in for this user.", remedy="Sign one in: mailoauth login ADDRESS"
        )
    names = ", ".join(account.name for account in accounts)
    raise ConfigError(
        f"There is more than one account: {names}.",
        remedy="Say which one sends, with --account or MAILOAUTH_SENDMAIL_ACCOUNT.",
    )


def _parcel(options: SendmailOptions, account: Account) -> Parcel:
    from mailoauth.cli import outgoing, rewriting  # noqa: PLC0415 - only when it runs
    from mailoauth.mail.writing.serial import serialize  # noqa: PLC0415 - as above

    own = account.address
    raw = rewriting.completed(serialize(_message(options), keep_bcc=True))
    recipients = [each for named in options.recipients for each in _named(named)]
    if options.from_headers:
        again = "resent-" if rewriting.values(raw, "resent-to", "resent-cc", "resent-bcc") else ""
        found = rewriting.addresses(raw, f"{again}to", f"{again}cc", f"{again}bcc")
        recipients += [each.address or each.name for each in found]
    if not recipients:
        raise WrongUse(_NOBODY_FOUND if options.from_headers else _NOBODY)
    sender = (options.sender or "").removeprefix("<").removesuffix(">").strip()
    sender = own if _is_local(sender) else sender
    raw = rewriting.with_author(raw, options.author, sender)
    raw = rewriting.qualified(raw, lambda name: (own,) if _is_local(name) else (name,), *_SENDERS)
    everybody = functools.partial(_resolved, options, own)
    return outgoing.made_ready(
        rewriting.qualified(raw, everybody, *_RECIPIENTS),
        own,
        rewrite_from=options.rewrite_from,
        recipients=list(dict.fromkeys(each for name in recipients for each in everybody(name))),
        envelope_sender=own if options.rewrite_from else sender,
    )


_NOBODY: Final = "No recipient is given; name them as arguments, or use -t to read the headers."
_NOBODY_FOUND: Final = "No recipient is given, and To, Cc and Bcc name nobody."


def _named(argument: str) -> list[str]:
    from mailoauth.mail.addresses import parse_addresses  # noqa: PLC0415 - only when it runs

    return [each.address or each.name for each in parse_addresses(argument)] or [argument]


def _resolved(options: SendmailOptions, own: str, name: str) -> tuple[str, ...]:
    """Return whom a recipient is: a local name is an alias, else the account's own mailbox."""
    if not _is_local(name):
        return (name,)
    return options.aliases.get(name.rpartition("@")[0].lower() or name.lower(), (own,))


def _is_local(name: str) -> bool:
    _, at, domain = name.rpartition("@")
    return not at or domain.lower() in {*_THIS_MACHINE, _host_name()}


@functools.cache
def _host_name() -> str:
    """Return this machine's name where it is no domain that might receive mail."""
    name = socket.gethostname().lower()
    return "" if "." in name else name


def _message(options: SendmailOptions) -> bytes:
    if sys.stdin is None:
        return b""
    if screen.is_terminal(sys.stdin):
        end = "a line with a dot alone, or Ctrl-D" if options.dot_ends else "Ctrl-D"
        screen.talk(f"Type the message (headers, an empty line, the text), then {end}.")
    buffer = getattr(sys.stdin, "buffer", None)
    raw: bytes = sys.stdin.read().encode() if buffer is None else buffer.read()
    if options.dot_ends and (dot := _LONE_DOT.search(raw)):
        raw = raw[: dot.start()]
    mbox = _MBOX_LINES.match(raw)
    return raw[mbox.end() :] if mbox else raw


def _sent(options: SendmailOptions, account: Account, parcel: Parcel) -> SendReceipt:
    from mailoauth.cli import outgoing  # noqa: PLC0415 - only when it runs
    from mailoauth.cli.patience import patiently  # noqa: PLC0415 - as above
    from mailoauth.mailer import Mailer  # noqa: PLC0415 - as above

    with Mailer(account) as mailer:
        return patiently(lambda: outgoing.hand_over(mailer, parcel), options.retry_for)


def _report(receipt: SendReceipt) -> int:
    if not receipt.refused:
        return exits.DONE
    refused = "; ".join(f"{address} ({reply})" for address, reply in receipt.refused.items())
    _complain(f"Sent, but refused for {refused}. The other recipients have it: do not repeat it.")
    return NO_USER


def _show_text(wanted: str) -> None:
    if wanted == "version":
        import mailoauth  # noqa: PLC0415 - for its version

        screen.put(f"mailoauth-sendmail {mailoauth.__version__}")
        return
    screen.put(sendmail_options.HELP.rstrip())


def _complain(what: str) -> None:
    screen.warn(f"mailoauth-sendmail: {screen.one_line(what)}")
