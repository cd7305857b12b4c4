"""Maildirs on disk, as Dovecot keeps them: put messages in, look at what is there."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import EmailMessage
    from pathlib import Path

_LETTERS = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
_counter = itertools.count()


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it lies in the mailbox, line ends as on the wire (CRLF).

    ``uid`` is 0 until Dovecot has seen the message.
    """

    raw: bytes = field(repr=False)
    flags: frozenset[str]
    uid: int
    internal_date: datetime


class Maildir:
    """One mailbox; ``owner`` is the (uid, gid) that Dovecot's processes have."""

    def __init__(self, path: Path, owner: tuple[int, int], folders: Iterable[str] = ()) -> None:
        self._path = path
        self._owner = owner
        self._folders = tuple(folders)

    def create(self) -> None:
        """Make the mailbox where it does not exist."""
        self._make_folder(self._path.parent)
        for folder in ("INBOX", *self._folders):
            self._make_maildir(self._folder(folder))

    def clear(self) -> None:
        """Empty the mailbox: messages, folders and Dovecot's indexes; UIDVALIDITY changes."""
        shutil.rmtree(self._path, ignore_errors=True)
        self.create()

    def add(self, message: EmailMessage | bytes, folder: str, flags: Iterable[str] = ()) -> int:
        """Put a message in, as a delivery agent does (``tmp/``, then a rename); return its UID.

        Dovecot gives the UID when it sees the message; it is known before because
        nobody else puts messages in meanwhile.
        """
        raw = message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP)
        letters = "".join(sorted(_letter(flag) for flag in flags))
        path = self._folder(folder)
        self._make_maildir(path)
        # Dovecot gives out UIDs in the order of these names.
        name = f"{int(time.time())}.M{time.time_ns() // 1000 % 1000000:06}P{os.getpid()}Q{next(_counter)}.localhost"
        written = path / "tmp" / name
        written.write_bytes(raw)
        os.chown(written, *self._owner)
        place = path / "cur" / f"{name}:2,{letters}" if letters else path / "new" / name
        uid = self._next_uid(path)
        written.rename(place)
        return uid

    def messages(self, folder: str) -> list[StoredMessage]:
        """Return what is there, in the order of the UIDs; KeyError if there is no such folder."""
        path = self._folder(folder)
        if not path.is_dir() and path != self._path:
            raise KeyError(folder)
        order = _uids(path / "dovecot-uidlist")
        found: list[tuple[str, StoredMessage]] = []
        for file in _files(path):
            name, _, letters = file.name.partition(":2,")
            with contextlib.suppress(FileNotFoundError):  # moved or renamed just now
                raw = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                flags = frozenset(_LETTERS[letter] for letter in letters if letter in _LETTERS)
                date = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                found.append((name, StoredMessage(raw, flags, order.get(name, 0), date)))
        found.sort(key=lambda item: (item[1].uid or 2**32, item[0]))
        return [message for _, message in found]

    def _next_uid(self, path: Path) -> int:
        """Add up what Dovecot has numbered and what it has not seen yet."""
        uidlist = path / "dovecot-uidlist"
        while True:
            before = _stamp(uidlist)
            known = _uids(uidlist)
            names = (file.name.partition(":2,")[0] for file in _files(path))
            unseen = sum(name not in known for name in names)
            if _stamp(uidlist) == before:
                return _uid_to_come(uidlist) + unseen

    def _folder(self, name: str) -> Path:
        return (
            self._path if name.upper() == "INBOX" else self._path / ("." + name.replace("/", "."))
        )

    def _make_maildir(self, path: Path) -> None:
        for part in (path, path / "tmp", path / "new", path / "cur"):
            self._make_folder(part)

    def _make_folder(self, path: Path) -> None:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            os.chown(path, *self._owner)


def _files(path: Path) -> list[Path]:
    return [*path.glob("new/*"), *path.glob("cur/*")]


def _stamp(file: Path) -> tuple[int, int]:
    """Return what changes whenever the file does."""
    if not file.exists():
        return 0, 0
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _uid_to_come(uidlist: Path) -> int:
    """Return N of the header ``3 V<validity> N<next UID> G<id>``, or what later lines make of it."""
    if not uidlist.exists():
        return 1
    header = uidlist.read_text(errors="replace").partition("\n")[0].split()
    named = [int(word[1:]) for word in header if word.startswith("N")]
    return max([*named, *(uid + 1 for uid in _uids(uidlist).values())])


def _letter(flag: str) -> str:
    return next(letter for letter, name in _LETTERS.items() if name.lower() == flag.lower())


def _uids(uidlist: Path) -> dict[str, int]:
    """Read Dovecot's list of ``UID [key=value] :name`` lines below one header line."""
    if not uidlist.exists():
        return {}
    lines = uidlist.read_text(errors="replace").splitlines()[1:]
    return {
        line.partition(" :")[2].partition(":2,")[0]: int(line.split(" ", 1)[0])
        for line in lines
        if " :" in line
    }
