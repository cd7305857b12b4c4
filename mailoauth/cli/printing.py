"""`--format table` and `json`: messages on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.uids import UidSet

if TYPE_CHECKING:
    from mailoauth.mail.message import Message

_HEADINGS: Final = ("UID", "DATE", "FROM", "SUBJECT", "FILES")
_UID_WIDTH: Final = 7
_FILES_WIDTH: Final = 7
_GAP: Final = 2
#: From so many columns on a date has its time; its year; and the files are counted.
_WITH_TIME: Final = 76
_WITH_YEAR: Final = 56
_WITH_FILES: Final = 60
_SMALLEST_SENDER: Final = 8
_LARGEST_SENDER: Final = 26


class Unprinted:
    """Stdout, of which nothing is there from another run; messages are not shown.

    With `--attachments` alone the places of the files are what is printed.
    """

    def prepare(self) -> None:
        """Raise ``ConfigError`` where stdout is closed."""
        screen.check_stdout()

    def known(self, _validity: int) -> UidSet:
        """Return that nothing is there."""
        return UidSet()

    def add(self, message: Message) -> None:
        """Print nothing of a message."""

    def commit(self) -> None:
        """Do nothing: every line is out."""


class Printed(Unprinted):
    """Prints each message as it comes."""

    def __init__(self, *, as_json: bool, whole: bool) -> None:
        self._as_json = as_json
        self._whole = whole
        self._has_headings = False

    def add(self, message: Message) -> None:
        """Print a message; it is out when this returns."""
        if self._as_json:
            screen.put_json(shapes.of_message(message, whole=self._whole))
            return
        columns = screen.width(sys.stdout)
        if columns is None:
            screen.put(_between_tabs(message))
            return
        if not self._has_headings:
            self._has_headings = True
            screen.put(screen.fitted(_HEADINGS, _widths(columns, _UID_WIDTH)))
        screen.put(_row(message, columns, whole=self._whole))


def _between_tabs(message: Message) -> str:
    when = message.date or message.internal_date
    sender = message.sender.address if message.sender else ""
    cells = (str(message.uid), shapes.utc(when) or "", sender, message.subject)
    return "\t".join(map(screen.one_line, cells))


def _row(message: Message, columns: int, *, whole: bool) -> str:
    sender = message.sender
    files = len(message.attachments) if whole else 0
    uid = str(message.uid)
    widths = _widths(columns, max(_UID_WIDTH, len(uid)))
    cells = (
        uid,
        _local(message, widths[1]),
        screen.one_line((sender.name or sender.address) if sender else ""),
        screen.one_line(message.subject),
        f"{files} file{'s' if files > 1 else ''}" if files else "",
    )
    return screen.fitted(cells, widths)


def _widths(columns: int, uid: int) -> tuple[int, ...]:
    """Share out the columns of a terminal; the subject is worth more than who and when."""
    date = 16 if columns >= _WITH_TIME else 10 if columns >= _WITH_YEAR else 5
    files = _FILES_WIDTH if columns >= _WITH_FILES else 0
    left = columns - uid - date - files - _GAP * (4 if files else 3)
    sender = min(_LARGEST_SENDER, max(_SMALLEST_SENDER, left // 3))
    return uid, date, sender, left - sender, files


def _local(message: Message, width: int) -> str:
    when = message.date or message.internal_date
    try:
        written = when.astimezone().strftime("%Y-%m-%d %H:%M") if when else ""
    except (OverflowError, ValueError, OSError):  # a date that is out of all range
        return ""
    return written[5:10] if width == 5 else written[:width]  # noqa: PLR2004 - month and day
