"""`mailoauth send-many`: a message for each row of a list, made from a template."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailoauth.cli import exits, screen
from mailoauth.cli.commands import add_json, add_mailbox
from mailoauth.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.accounts import Account
    from mailoauth.cli.commands import Commands
    from mailoauth.cli.mailing import Mailing
    from mailoauth.mailer import Mailer

_EXPLAINED: Final = """\
LIST.csv has the names of its columns in the first line, and the values for a
message in each further one; commas, semicolons or tabs separate them.
TEMPLATE is a text with headers, an empty line and the text of the message, in
which {{ column }} stands for a value (jinja2):

  To: {{ name }} <{{ email }}>
  Subject: Your invoice {{ number }}
  Attach: invoices/{{ number }}.pdf

  Dear {{ name }}, ...

{{ row["First name"] }} is for columns whose names are no words. Paths in
Attach and Inline (NAME=FILE, a picture that the HTML shows as "cid:NAME")
begin at the template's folder; both may be given again. Every row is checked before the
first message is sent.

With --journal a run that was stopped is continued by the same command: nobody
gets a message twice. A message is known by --key, else by its recipients.

exit code 8, before 6 and 7: of some messages it is not known whether they were
sent. 6 is for runs that came to their end; what ended one has its own code.
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "send-many", send_many, "send a message for each row of a list (mail merge)", address=True
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXPLAINED
    parser.add_argument("list", type=Path, metavar="LIST.csv", help="the list; - for stdin")
    parser.add_argument("template", type=Path, metavar="TEMPLATE", help="the message")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a template of the text as HTML")
    add_mailbox(parser)
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="keep what was sent, so that a run can go on"
    )
    parser.add_argument("--key", metavar="COLUMN", help="what the journal knows a message by")
    parser.add_argument(
        "--connections", type=_count, metavar="N", help="how many at a time; the provider's limit"
    )
    parser.add_argument(
        "--preview",
        type=_count,
        metavar="N",
        help="check all rows, print the first N messages as they would go, and send none",
    )
    parser.add_argument("--dry-run", action="store_true", help="the same as --preview 1")
    add_json(parser)


def send_many(options: argparse.Namespace) -> int:
    """Check all rows; then show some messages, or send all and say what became of them."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs
    from mailoauth.cli import mailing, rows  # noqa: PLC0415 - as above
    from mailoauth.cli.merging import MessageTemplate  # noqa: PLC0415 - as above

    account = load_account(options.address)
    template = MessageTemplate(options.template, options.html)
    with rows.opened(options.list) as table:
        mail = mailing.Mailing(table, template, options.key)
        with screen.progress("Checking") as advance:
            mail.check(advance)
        if options.preview or options.dry_run:
            return _preview(mail, options.mailbox or account.address, options.preview or 1)
        return _send(options, account, mail)


def _preview(mail: Mailing, mailbox: str, count: int) -> int:
    from mailoauth.cli import outgoing  # noqa: PLC0415 - only when it runs
    from mailoauth.mail.compose import compose  # noqa: PLC0415 - as above

    for merged in mail.first(count):
        screen.say(f"Line {merged.row.line}: ")
        message = compose(**{"sender": mailbox, **merged.parts})
        outgoing.show(outgoing.made_ready(message, mailbox))
    screen.warn(f"{mail.total} row{'' if mail.total == 1 else 's'} checked, nothing was sent.")
    return exits.DONE


def _send(options: argparse.Namespace, account: Account, mail: Mailing) -> int:
    from mailoauth.cli import earlier  # noqa: PLC0415 - only when it runs
    from mailoauth.cli.sending import Sending  # noqa: PLC0415 - as above
    from mailoauth.mailer import Mailer  # noqa: PLC0415 - as above

    mailer = Mailer(account, mailbox=options.mailbox or account.address)
    if options.journal is None:
        _check_day(mailer, mail)
    else:
        earlier.check_kind(mailer, options.journal, mail.kind)
    return Sending(mailer, mail, _how(options), as_json=options.json).run()


def _how(options: argparse.Namespace) -> Mapping[str, object]:
    return {"connections": options.connections, "journal": options.journal}


def _check_day(mailer: Mailer, mail: Mailing) -> None:
    """Raise ``Throttled`` for a list that cannot end today and could not be continued."""
    left = mailer.left_today()
    if left is not None and mail.recipients > left:
        raise Throttled(
            f"The list has {mail.recipients} recipients, and {mailer.account.provider.name} takes "
            f"{left} more today: nothing was sent.",
            remedy="With --journal FILE what fits is sent today, and the same command goes on "
            "tomorrow.",
            account=mailer.account.name,
        )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)
