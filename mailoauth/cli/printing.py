"""`--format table` and `json`: messages on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.uids import UidSet

if TYPE_CHECKING:
    from mailoauth.mail.message import Message

_UID_WIDTH: Final = 7
_DATE_WIDTH: Final = 16
_SENDER_WIDTH: Final = 26
_FILES_WIDTH: Final = 7


class Printed:
    """Prints each message as it comes; nothing is there from another run."""

    def __init__(self, *, as_json: bool, whole: bool) -> None:
        self._as_json = as_json
        self._whole = whole

    def prepare(self) -> None:
        """Do nothing: stdout is there."""

    def known(self, _validity: int) -> UidSet:
        """Return that nothing is there."""
        return UidSet()

    def add(self, message: Message) -> None:
        """Print a message; it is out when this returns."""
        if self._as_json:
            screen.put_json(shapes.of_message(message, whole=self._whole))
        else:
            screen.put(_row(message, screen.width(sys.stdout), whole=self._whole))

    def commit(self) -> None:
        """Do nothing: every line is out."""


def _row(message: Message, columns: int | None, *, whole: bool) -> str:
    """Return one line; between tabs and whole where no terminal limits it."""
    when = message.date or message.internal_date
    sender = message.sender
    who = (sender.name or sender.address) if sender else ""
    if columns is None:
        cells = (str(message.uid), shapes.utc(when) or "", sender.address if sender else "")
        return "\t".join((*map(screen.one_line, cells), screen.one_line(message.subject)))
    files = len(message.attachments) if whole else 0
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
