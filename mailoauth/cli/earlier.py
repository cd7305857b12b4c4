"""What earlier runs of a mailing left in its journal."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from mailoauth.checks import expand_path
from mailoauth.errors import ConfigError
from mailoauth.mail.mailing.attempts import CLOSED

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

    from mailoauth.mail.mailing.journal_file import Row
    from mailoauth.mailer import Mailer


def check_kind(mailer: Mailer, journal: Path, kind: str) -> None:
    """Raise ``ConfigError`` for a journal that knows messages by something else than ``kind``.

    It would know none of this run's, and all would be sent again.
    """
    path = expand_path("journal", journal)
    if not path.is_file() or not path.stat().st_size:
        return
    first = None
    for row in _rows(mailer, journal):
        if row.key.startswith(f"{kind}="):
            return
        first = first or row
    if first is not None:
        raise ConfigError(
            f"The journal {journal} knows messages by {_named(first.key.partition('=')[0])}, "
            f"not by {_named(kind)}. Nothing was sent.",
            remedy="Use the same --key as before, or a new journal.",
        )


def states(mailer: Mailer, journal: Path, hashes: Container[int]) -> Mapping[str, int]:
    """Count the states of messages that are done with, of those whose keys have these hashes."""
    return Counter(
        row.state
        for row in _rows(mailer, journal)
        if row.state in CLOSED and hash(row.key) in hashes
    )


def _rows(mailer: Mailer, journal: Path) -> Iterator[Row]:
    from mailoauth.mail.mailing.journal_file import JournalFile  # noqa: PLC0415 - if there is one

    path = expand_path("journal", journal).absolute()
    file = JournalFile(path, mailer.account.name, mailer.address, keyed=True)
    with contextlib.closing(file):
        file.open()
        yield from file.rows()


def _named(kind: str) -> str:
    return "their recipients" if kind == "recipients" else repr(kind)
