"""Commands about folders: LIST, STATUS, LSUB, CREATE, RENAME, DELETE, SUBSCRIBE.

Each takes the connection and blocks; what the server refuses becomes an error that names
the folder.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mailoauth.errors import FolderNotFound, ServerError, Throttled
from mailoauth.mail.commands import Command
from mailoauth.mail.folder_names import wire_name
from mailoauth.mail.folders import Folder, merged, parse_list, parse_status
from mailoauth.mail.refusal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailoauth.mail.connection import ImapConnection

_COUNTS: Final = b"(MESSAGES UNSEEN)"

# How servers say without a code of RFC 5530 that a folder is not there, or is there already.
_MISSING: Final = re.compile(
    r"\[(?:TRYCREATE|NONEXISTENT)\]|\b(?:unknown|no|no such) (?:mailbox|folder)\b"
    r"|\b(?:mailbox|folder)\b.{0,200}(?:does(?: not|n't) exist|not found|non-?existent)",
    re.IGNORECASE,
)
_EXISTING: Final = re.compile(r"\[ALREADYEXISTS\]|already exists|\bexists\b", re.IGNORECASE)


class _Listing(Command):
    """A LIST or LSUB, and the STATUS answers that may come between."""

    def __init__(self) -> None:
        super().__init__()
        self.folders: list[Folder] = []
        self.counts: dict[str, dict[str, int]] = {}

    def take(self, pieces: list[bytes]) -> bool:
        if (status := parse_status(pieces)) is not None:
            self.counts.setdefault(status[0], {}).update(status[1])
            return True
        if (folder := parse_list(pieces)) is not None:
            self.folders.append(folder)
            return True
        return False


def list_folders(
    connection: ImapConnection, *, counts: bool = False, subscriptions: bool = False
) -> list[Folder]:
    """Return all folders; the extras in the same round trip where the server can."""
    extended = connection.has("LIST-EXTENDED")
    if extended and (connection.has("LIST-STATUS") or not counts):
        return _list_at_once(connection, counts=counts)
    folders = merged(_listed(connection, b'LIST "" "*"').folders)
    if subscriptions:
        folders = _with_subscriptions(connection, folders)
    return [_counted(connection, folder) for folder in folders] if counts else folders


def _list_at_once(connection: ImapConnection, *, counts: bool) -> list[Folder]:
    """List with RFC 5258, with RFC 6154 and RFC 5819 where the server has them."""
    wanted = [b"SUBSCRIBED", b"CHILDREN"]
    if connection.has("SPECIAL-USE"):
        wanted.append(b"SPECIAL-USE")
    if counts:
        wanted.append(b"STATUS " + _COUNTS)
    listing = _listed(connection, b'LIST "" "*" RETURN (' + b" ".join(wanted) + b")")
    folders = [
        replace(folder, subscribed="\\subscribed" in map(str.lower, folder.flags))
        for folder in merged(listing.folders)
    ]
    return [_with_counts(folder, listing.counts.get(folder.name, {})) for folder in folders]


def _with_subscriptions(connection: ImapConnection, folders: Iterable[Folder]) -> list[Folder]:
    try:
        listing = _listed(connection, b'LSUB "" "*"')
    except Throttled:
        raise
    except ServerError:
        return list(folders)
    names = {folder.name for folder in listing.folders if folder.selectable}
    return [replace(folder, subscribed=folder.name in names) for folder in folders]


def _counted(connection: ImapConnection, folder: Folder) -> Folder:
    """Ask for one folder's numbers; one that is refused has none, and does not end the list."""
    if not folder.selectable:
        return folder
    listing = _Listing()
    try:
        name = wire_name(folder.name)
        connection.run("STATUS", listing, b"STATUS " + name + b" " + _COUNTS)
    except Throttled:
        raise
    except (ServerError, ValueError):  # ConfigError is one: a name that no command can have
        return folder
    # Some servers spell the name in another way than LIST does.
    only = next(iter(listing.counts.values())) if len(listing.counts) == 1 else {}
    return _with_counts(folder, listing.counts.get(folder.name, only))


def _with_counts(folder: Folder, counts: dict[str, int]) -> Folder:
    return replace(folder, messages=counts.get("MESSAGES"), unseen=counts.get("UNSEEN"))


def _listed(connection: ImapConnection, line: bytes) -> _Listing:
    listing = _Listing()
    connection.run(line[:4].decode("ascii"), listing, line)
    return listing


def create(connection: ImapConnection, name: str) -> None:
    """Make a folder; not to be repeated."""
    try:
        connection.run("CREATE", Command(), b"CREATE " + wire_name(name))
    except ServerError as error:
        _explain(error, f'The folder "{name}" was not created')
        raise


def rename(connection: ImapConnection, name: str, new_name: str) -> None:
    """Rename a folder and all below it; not to be repeated."""
    line = b"RENAME " + wire_name(name) + b" " + wire_name(new_name)
    _leave(connection)
    try:
        connection.run("RENAME", Command(), line)
    except ServerError as error:
        raise_if_missing(connection, error, name)
        _explain(error, f'The folder "{name}" was not renamed to "{new_name}"')
        raise


def delete(connection: ImapConnection, name: str) -> None:
    """Remove a folder with all that is in it; not to be repeated."""
    _leave(connection)
    try:
        connection.run("DELETE", Command(), b"DELETE " + wire_name(name))
    except ServerError as error:
        raise_if_missing(connection, error, name)
        _explain(error, f'The folder "{name}" was not deleted')
        raise


def subscribe(connection: ImapConnection, name: str, *, wanted: bool) -> None:
    """Subscribe to a folder, or end that; harmless to repeat."""
    verb = "SUBSCRIBE" if wanted else "UNSUBSCRIBE"
    try:
        connection.run(verb, Command(), verb.encode("ascii") + b" " + wire_name(name))
    except ServerError as error:
        raise_if_missing(connection, error, name)
        _explain(error, f'The subscription to "{name}" was not changed')
        raise


def raise_if_missing(connection: ImapConnection, error: ServerError, name: str) -> None:
    """Raise ``FolderNotFound`` where a refusal means that there is no folder of that name."""
    if not _MISSING.search(error.text):
        return
    raise FolderNotFound(
        f'{connection.endpoint.host} has no folder "{name}" ({one_line(error.text).rstrip(".")}).',
        code=error.code,
        text=error.text,
        diagnosis=error.diagnosis,
        remedy="Check its name; the name of a subfolder is its whole path.",
        account=connection.account,
    ) from error


def _leave(connection: ImapConnection) -> None:
    """Close the open folder without expunging: it may be the one that goes, or lie below it."""
    if connection.selected is None:
        return
    if connection.has("UNSELECT"):
        connection.run("UNSELECT", Command())
        connection.selected = None
    else:
        connection.select("INBOX")


def _explain(error: ServerError, what: str) -> None:
    """Say of a refusal which change was refused."""
    error.message = f"{what}: {error.message}"
    if _EXISTING.search(error.text):
        error.remedy = "There is a folder of that name: use it, or choose another name."
    elif error.diagnosis is None or error.diagnosis.category == "unknown":
        error.remedy = "The server does not allow it; another name may do."
