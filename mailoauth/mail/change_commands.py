"""Commands that move, copy and remove messages, and put new ones in.

Each takes the connection and blocks. UIDs come as one set that fits into a command line.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError, MailboxUnavailable, ServerError
from mailoauth.mail.commands import Command, SearchCommand
from mailoauth.mail.flags import is_kept
from mailoauth.mail.folder_commands import raise_if_missing
from mailoauth.mail.folder_names import wire_name
from mailoauth.mail.sets import sequence_set, sequence_sets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mailoauth.mail.connection import ImapConnection

_logger = logging.getLogger("mailoauth.mail")

#: Messages in one command: a server that is silent for long looks like one that is gone.
_MOST: Final = 1000
_APPENDED: Final = re.compile(r"\[APPENDUID [0-9]+ ([0-9]+)\]", re.IGNORECASE)
_TOO_LARGE: Final = re.compile(
    r"\[(?:LIMIT|TOOBIG)\]|too (?:large|big)|exceeds|size limit", re.IGNORECASE
)
#: Octets of a literal that goes out before the server has agreed to it: RFC 7888.
_AT_ONCE: Final = {"LITERAL+": 1024 * 1024, "LITERAL-": 4096}


class _Told(Command):
    """A command whose tagged response says more than that it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def end(self, kind: bytes, text: str) -> None:
        super().end(kind, text)
        self.text = text


def parts(uids: Iterable[int]) -> Iterator[list[int]]:
    """Cut UIDs into pieces that one command can take each."""
    ordered = sorted(set(uids))
    for start in range(0, len(ordered), _MOST):
        few = ordered[start : start + _MOST]
        for numbers in sequence_sets(few):
            count = sum(map(_length, numbers.split(",")))
            yield few[:count]
            del few[:count]


def _length(run: str) -> int:
    first, _, last = run.partition(":")
    return int(last or first) - int(first) + 1


def move(connection: ImapConnection, uids: Sequence[int], folder: str) -> None:
    """Move messages of the open folder (RFC 6851); may end halfway."""
    _transfer(connection, "MOVE", uids, folder)


def copy(connection: ImapConnection, uids: Sequence[int], folder: str) -> None:
    """Copy messages of the open folder, all or none of them."""
    _transfer(connection, "COPY", uids, folder)


def _transfer(connection: ImapConnection, verb: str, uids: Sequence[int], folder: str) -> None:
    line = f"UID {verb} {sequence_set(uids)} ".encode("ascii") + wire_name(folder)
    try:
        connection.run(verb, Command(), line)
    except ServerError as error:
        raise_if_missing(connection, error, folder)
        raise


def expunge(connection: ImapConnection, uids: Sequence[int]) -> None:
    r"""Remove for good what is flagged \Deleted of these UIDs; harmless to repeat.

    RFC 4315. Where the server cannot remove given messages alone they stay flagged: a
    plain EXPUNGE would take what others have flagged along.
    """
    if connection.has("UIDPLUS"):
        line = f"UID EXPUNGE {sequence_set(uids)}"
        connection.run("EXPUNGE", Command(), line.encode("ascii"))
        return
    _logger.info(
        "%s cannot remove single messages (no UIDPLUS): %d stay in %s, flagged \\Deleted",
        connection.endpoint.host,
        len(uids),
        connection.selected.folder if connection.selected else "the folder",
    )


def still_there(connection: ImapConnection, uids: Sequence[int]) -> list[int]:
    """Return those of the UIDs that are still in the open folder; only asks."""
    # Nothing else tells a new connection of a MOVE that another one is just ending.
    found = SearchCommand()
    line = f"UID SEARCH UID {sequence_set(uids)}"
    connection.run("SEARCH", found, line.encode("ascii"))
    return sorted(set(found.uids).intersection(uids))


def check_writable(connection: ImapConnection, verb: str) -> None:
    """Raise ``MailboxUnavailable`` where the open folder can only be read."""
    selected = connection.selected
    if selected is not None and selected.read_only:
        raise MailboxUnavailable(
            f'{connection.endpoint.host} opens the folder "{selected.folder}" for reading only, '
            f"so nothing can be {verb} there.",
            remedy="Ask its owner or an administrator for the right to change it.",
            account=connection.account,
        )


def check_kept(connection: ImapConnection, keyword: str) -> None:
    """Raise ``ConfigError`` where the open folder does not keep such a keyword."""
    selected = connection.selected
    if selected is None or selected.read_only or is_kept(keyword, selected.permanent_flags):
        return
    raise ConfigError(
        f'{connection.endpoint.host} does not keep the keyword {keyword} in "{selected.folder}".',
        remedy="Use \\Flagged, or move the message to a folder of its own.",
        account=connection.account,
    )


def append(
    connection: ImapConnection, folder: str, content: bytes, flags: Sequence[str], date: str
) -> int | None:
    """Put a message into a folder and return its UID, where the server tells it.

    ``date`` is an INTERNALDATE, or "". Not to be repeated.
    """
    line = b"APPEND " + wire_name(folder)
    if flags:
        line += f" ({' '.join(flags)})".encode("ascii")
    if date:
        line += f' "{date}"'.encode("ascii")
    at_once = any(len(content) <= most and connection.has(name) for name, most in _AT_ONCE.items())
    line += f" {{{len(content)}{'+' if at_once else ''}}}\r\n".encode("ascii")
    command = _Told()
    try:
        connection.run("APPEND", command, *([line + content] if at_once else [line, content]))
    except ServerError as error:
        raise_if_missing(connection, error, folder)
        if _TOO_LARGE.search(error.text):
            error.message = (
                f"The message has {len(content) / 2**20:.1f} MiB, more than "
                f'{connection.endpoint.host} takes into "{folder}": {error.message}'
            )
        raise
    found = _APPENDED.search(command.text)
    return int(found[1]) if found else None
