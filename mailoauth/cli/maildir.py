"""`--format maildir`: a Maildir, as mutt, Dovecot and Python's ``mailbox`` read it."""

from __future__ import annotations

import os
import re
import secrets
import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli.files import FileGroup, Source, explained, make_private_folder, received_at
from mailoauth.cli.uids import UidSet
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.mail.message import Message

_FOLDERS: Final = ("cur", "new", "tmp")
#: Windows has no colons in file names; this is what others use there.
_COLON: Final = "!" if sys.platform == "win32" else ":"
#: In the order of the letters, as the format wants them.
_LETTERS: Final = {"\\draft": "D", "\\flagged": "F", "\\answered": "R", "\\seen": "S"}


class Maildir:
    """Delivers each message once, whatever its reader moves or flags afterwards.

    The name up to the colon is SECONDS.VvalidityUuid.TAG; readers keep that part.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        self.path = folder
        self._source = source
        self._group = FileGroup()

    def prepare(self) -> None:
        """Make the Maildir. Raises ``ConfigError``, also for a folder that is used otherwise."""
        with explained(self.path, "--output"):
            if self.path.is_dir() and not self._looks_like_one():
                raise ConfigError(
                    f"{self.path} is a folder, but no Maildir: it has files and no cur, new and tmp.",
                    remedy="Name a new or an empty folder, or a Maildir, with --output.",
                )
            for name in _FOLDERS:
                make_private_folder(self.path / name)

    def _looks_like_one(self) -> bool:
        with os.scandir(self.path) as entries:
            first = next(entries, None)
        return first is None or any((self.path / name).is_dir() for name in _FOLDERS)

    def known(self, validity: int) -> UidSet:
        """Return which were delivered; removes what a run that was killed left unfinished."""
        # The reader may have moved it from new to cur and put flags behind its name.
        name = re.compile(rf"\d+\.V{validity}U(\d{{1,10}})\.{self._source.tag}(?:[:;!].*)?")
        unfinished = re.compile(rf"{self._source.tag}\.[0-9a-f]+")
        uids = UidSet()
        with explained(self.path, "--output"):
            for folder in ("new", "cur", "new"):  # again: one may have moved between the two
                with os.scandir(self.path / folder) as entries:
                    for entry in entries:
                        if found := name.fullmatch(entry.name):
                            uids.add(int(found[1]))
            with os.scandir(self.path / "tmp") as entries:
                for entry in entries:
                    if unfinished.fullmatch(entry.name):
                        os.unlink(entry.path)  # noqa: PTH108 - it comes from scandir
        return uids

    def add(self, message: Message) -> None:
        """Deliver a message; it has its name after the next commit."""
        seconds = received_at(message)
        base = f"{seconds}.V{message.uid_validity}U{message.uid}.{self._source.tag}"
        letters = _letters(message.flags)
        name = f"cur/{base}{_COLON}2,{letters}" if letters else f"new/{base}"
        temporary = self.path / "tmp" / f"{self._source.tag}.{secrets.token_hex(8)}"
        with explained(self.path, "--output"):
            # Readers take the time of the file for the time of arrival.
            self._group.add(message.raw, temporary, self.path / name, seconds or None)

    def commit(self) -> None:
        """Have everything that was added on the disk."""
        with explained(self.path, "--output"):
            self._group.commit()


def _letters(flags: tuple[str, ...]) -> str:
    has = {flag.lower() for flag in flags}
    return "".join(letter for flag, letter in _LETTERS.items() if flag in has)
