"""The options of `mailoauth-sendmail`: sendmail's usual ones, and the few that are ours."""

from __future__ import annotations

import getopt
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from mailoauth.cli.commands import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP: Final = """\
usage: mailoauth-sendmail [options] [RECIPIENT ...] < MESSAGE

Sends the message on stdin through an account of mailoauth, with sendmail's
options: for cron, git send-email, mutt, PHP and whatever else calls sendmail.

  -t              take recipients from To, Cc and Bcc too (as with Postfix,
                  those that are given as arguments are added)
  -i, -oi         a line with a dot alone does not end the message
  -f ADDRESS      the envelope's sender (also -r); without a domain it is the
                  account
  -F NAME         the name in From, where the message has no From
  -v              log what happens; twice: the commands too
  --              the end of the options

Without effect: -A -B -C -e -G -h -L -m -n -N -O -o... -p -R -U -V -X -bm.
Refused, for there is neither a server nor a queue: -bs -bd -bp -bi -bt -bv -q.

Of mailoauth:
  --account NAME        which account sends; else $MAILOAUTH_SENDMAIL_ACCOUNT,
                        else the only one there is
  --rewrite-from        put the account into From and what was there into
                        Reply-To: Outlook refuses others
                        (or $MAILOAUTH_SENDMAIL_REWRITE_FROM=1)
  --alias NAME=ADDRESS  who a local name is; again for more (or
                        $MAILOAUTH_SENDMAIL_ALIASES="root=ada@example.com,...")
  --retry-for DURATION  wait out what passes by itself: 30s, 10m, 2h
  --dry-run             print the message as it would be sent, send nothing
  --help, --version

A recipient without a domain (cron mails "root"), or at localhost, is the
account's own mailbox unless an alias says otherwise; so is a sender without
one. Headers are completed in the same way.

Exit codes (sysexits.h):
  0   sent
  64  wrong use                        75  not sent: try again later
  65  the message is wrong             76  the line was lost at the very end: it
  67  recipients refused for good          may have been sent, do not repeat it
  69  the message refused for good     77  sign in again, or not permitted
  70  a bug of mailoauth               78  the configuration is wrong
"""

_SHORT: Final = "A:B:b:C:e:F:f:Gh:iL:mN:nO:o:p:R:r:tUV:vX:"
_LONG: Final = ("account=", "alias=", "dry-run", "help", "retry-for=", "rewrite-from", "version")
_OTHER_WORK: Final = {
    "s": "speaking SMTP on stdin",
    "d": "a server",
    "p": "a queue",
    "i": "a table of aliases",
    "t": "a test mode",
    "v": "verifying addresses",
}
#: What an option means that has no value, and where the value of another belongs.
_FLAGS: Final = {
    "-i": ("dot_ends", False),
    "-t": ("from_headers", True),
    "--dry-run": ("dry_run", True),
    "--help": ("wanted_text", "help"),
    "--rewrite-from": ("rewrite_from", True),
    "--version": ("wanted_text", "version"),
}
_TEXTS: Final = {"-f": "sender", "-r": "sender", "--account": "account"}
_TRUE: Final = frozenset({"1", "yes", "true", "on"})


class WrongUse(Exception):
    """The command line cannot be obeyed; the text says why."""


class SendmailOptions(NamedTuple):
    """What the command line says, and the environment where it says nothing."""

    recipients: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    account: str | None = None
    from_headers: bool = False
    dot_ends: bool = True
    sender: str | None = None
    author: str = ""
    rewrite_from: bool = False
    retry_for: float = 0.0
    dry_run: bool = False
    verbose: int = 0
    wanted_text: str | None = None


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> SendmailOptions:
    """Read the command line; raises :class:`WrongUse`."""
    if any(each.startswith("-q") for each in _before_recipients(arguments)):
        raise WrongUse("-q asks for a queue, and there is none: each message is sent at once.")
    try:
        # Options end at the first recipient, as in sendmail.
        found, recipients = getopt.getopt(list(arguments), _SHORT, list(_LONG))
    except getopt.GetoptError as exc:
        raise WrongUse(f"{exc.msg}; see mailoauth-sendmail --help.") from exc
    if late := next((each for each in recipients if each.startswith("-")), None):
        raise WrongUse(f"{late} stands among the recipients; options come before them.")
    for each in (*recipients, *(value for name, value in found if name in {"-f", "-r"})):
        if not each.isprintable():
            raise WrongUse(f"{each!r} is not an address: it has a control character in it.")
    said: dict[str, object] = {
        "account": _variable(environment, "ACCOUNT") or None,
        "rewrite_from": _variable(environment, "REWRITE_FROM").lower() in _TRUE,
    }
    aliases = [each for each in _variable(environment, "ALIASES").split(",") if each.strip()]
    own_aliases = [value for name, value in found if name == "--alias"]
    for name, value in found:
        _note(said, name, value)
    return SendmailOptions(
        tuple(recipients),
        {**_aliases(aliases, "MAILOAUTH_SENDMAIL_ALIASES"), **_aliases(own_aliases, "--alias")},
        **said,  # type: ignore[arg-type]  # _note() fits the fields
    )


def _note(said: dict[str, object], name: str, value: str) -> None:
    if name in _FLAGS:
        key, meaning = _FLAGS[name]
        said[key] = meaning
    elif name == "-F":
        said["author"] = _plain(value)
    elif name in _TEXTS:
        said[_TEXTS[name]] = value
    elif name == "-b" and value[:1] != "m":
        work = _OTHER_WORK.get(value[:1], "that")
        raise WrongUse(f"-b{value} asks for {work}, which mailoauth-sendmail does not do.")
    elif (name, value) == ("-o", "i"):
        said["dot_ends"] = False
    elif name == "-v":
        said["verbose"] = int(str(said.get("verbose", 0))) + 1
    elif name == "--retry-for":
        said["retry_for"] = _seconds(value)


def _before_recipients(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that may be -q, which alone may have a value or not."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [each for each in arguments[:end] if each.startswith("-")]


def _aliases(listed: Sequence[str], called: str) -> dict[str, tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for each in listed:
        name, equals, address = (part.strip() for part in each.partition("="))
        if not equals or not name or not _is_address(address):
            several = "" if called.startswith("-") else " Commas separate several."
            raise WrongUse(
                f"{called} has {each.strip()!r}; write it like root=ada@example.com.{several}"
            )
        known[name.lower()] = (*known.get(name.lower(), ()), address)
    return known


def _is_address(text: str) -> bool:
    from mailoauth.errors import ConfigError  # noqa: PLC0415 - only where there are aliases
    from mailoauth.mail.writing.serial import checked_address  # noqa: PLC0415 - as above

    try:
        checked_address(text)
    except ConfigError:
        return False
    return True


def _plain(name: str) -> str:
    """Return a name that fits on one line; a system's list of users may be in any encoding."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _seconds(text: str) -> float:
    import argparse  # noqa: PLC0415 - for its exception

    try:
        return duration(text)
    except argparse.ArgumentTypeError as exc:
        raise WrongUse(f"--retry-for: {exc}.") from exc


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"MAILOAUTH_SENDMAIL_{name}", "").strip()
