"""`mailoauth fetch`: reads a mailbox."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.commands import add_mailbox, add_retry
from mailoauth.cli.patience import patiently
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from mailoauth.cli.commands import Commands
    from mailoauth.mail.message import Message

_UID_WIDTH: Final = 7
_DATE_WIDTH: Final = 16
_SENDER_WIDTH: Final = 26
_FILES_WIDTH: Final = 7


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "fetch",
        fetch,
        "read messages, the unseen ones by default",
        address=True,
        more="Reading does not mark them, unless --mark-seen is given.",
    )
    add_mailbox(parser)
    parser.add_argument("--folder", default="INBOX", help="which folder (INBOX unless given)")
    parser.add_argument("--all", action="store_true", help="those already seen as well")
    parser.add_argument("--since", type=_day, metavar="DATE", help="from this day on: 2026-01-31")
    parser.add_argument("--sender", help="whose From holds this")
    parser.add_argument("--subject", help="whose subject holds this")
    parser.add_argument("--limit", type=_count, metavar="N", help="at most so many")
    parser.add_argument("--mark-seen", action="store_true", help="mark each once it is printed")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="the same as --format json",
    )
    parser.add_argument(
        "--attachments", type=Path, metavar="DIR", help="save the attachments in this folder"
    )
    add_retry(parser)


def fetch(options: argparse.Namespace) -> int:
    """Print the messages as they come."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs

    reading = _Reading(options, load_account(options.address).name)
    patiently(reading.once, options.retry_for)
    if not reading.printed:
        what = "messages" if options.all else "unseen messages"
        screen.talk(f"No {what} in {options.folder}.")
    return 0


class _Reading:
    """One run of the command; begun anew after a failure it goes on where it was."""

    def __init__(self, options: argparse.Namespace, account: str) -> None:
        self._options = options
        self._account = account
        self.printed: set[tuple[object, ...]] = set()

    def once(self) -> None:
        """Read from the beginning; print what has not been printed before."""
        from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

        options = self._options
        with MailSession(self._account, mailbox=options.mailbox) as mail:
            messages = mail.search(
                folder=options.folder,
                mark_seen=options.mark_seen,
                limit=options.limit,
                **self._criteria(),
            )
            for message in messages:
                # A folder that was rebuilt meanwhile gives its numbers away again.
                which = (message.uid, message.size, message.internal_date)
                if which not in self.printed:
                    self._show(message)
                    self.printed.add(which)

    def _criteria(self) -> dict[str, Any]:
        options = self._options
        found = {"since": options.since, "sender": options.sender, "subject": options.subject}
        return found if options.all else {**found, "unseen": True}

    def _show(self, message: Message) -> None:
        # Attachments first: a message that is printed is a message that is done with.
        if self._options.attachments is not None:
            _save_attachments(message, self._options.attachments)
        if self._options.format == "json":
            screen.put_json(shapes.of_message(message))
        else:
            screen.put(_row(message, screen.width(sys.stdout)))


def _row(message: Message, columns: int | None) -> str:
    """Return one line; between tabs and whole where no terminal limits it."""
    when = message.date or message.internal_date
    sender = message.sender
    who = (sender.name or sender.address) if sender else ""
    files = len(message.attachments)
    if columns is None:
        cells = (str(message.uid), shapes.utc(when) or "", sender.address if sender else "")
        return "\t".join((*map(screen.one_line, cells), screen.one_line(message.subject)))
    left = columns - _UID_WIDTH - _DATE_WIDTH - _SENDER_WIDTH - _FILES_WIDTH - 8
    return screen.fitted(
        (
            str(message.uid),
            _local(message),
            screen.one_line(who),
            screen.one_line(message.subject),
            f"{files} file{'s' if files > 1 else ''}" if files else "",
        ),
        (_UID_WIDTH, _DATE_WIDTH, _SENDER_WIDTH, max(10, left), _FILES_WIDTH),
    )


def _local(message: Message) -> str:
    when = message.date or message.internal_date
    try:
        return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else ""
    except (OverflowError, ValueError, OSError):  # a date that is out of all range
        return ""


def _save_attachments(message: Message, folder: Path) -> None:
    for attachment in message.attachments:
        try:
            # Named like a file or not, it is a folder.
            path = attachment.save(f"{folder}/")
        except OSError as exc:
            raise ConfigError(
                f"An attachment of message {message.uid} cannot be saved in {folder}: "
                f"{exc.strerror or exc}.",
                remedy="Name a folder with --attachments that this user may write, with room in it.",
            ) from exc
        screen.talk(f"saved {path}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-01-31") from exc


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
