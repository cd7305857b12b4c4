"""`--format eml`: a folder with one file a message, as it came."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from typing import TYPE_CHECKING

from mailoauth.cli.files import FileGroup, Source, explained, make_private_folder
from mailoauth.cli.uids import UidSet

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.mail.message import Message


class EmlFolder:
    """Keeps each message as FOLDER-TAG-UIDVALIDITY-UID.eml; its file is the memory of it.

    The subject stays out of the name: names are seen by more people than contents.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        self.path = folder
        self._source = source
        self._group = FileGroup()

    def prepare(self) -> None:
        """Make the folder. Raises ``ConfigError``."""
        with explained(self.path, "--output"):
            make_private_folder(self.path)

    def known(self, validity: int) -> UidSet:
        """Return whose files are there; removes what a run that was killed left unfinished."""
        # Its own names exactly: what else lies there says nothing of a message.
        own = f"{self._source.name}-{self._source.tag}-{validity}-"
        name = re.compile(rf"{re.escape(own)}(\d{{8}}|[1-9]\d{{8,9}})\.eml")
        unfinished = re.compile(rf"\.{self._source.tag}-[0-9a-f]+\.part")
        uids = UidSet()
        with explained(self.path, "--output"), os.scandir(self.path) as entries:
            for entry in entries:
                # Some file systems of macOS take letters with accents apart.
                if found := name.fullmatch(unicodedata.normalize("NFC", entry.name)):
                    uids.add(int(found[1]))
                elif unfinished.fullmatch(entry.name):
                    os.unlink(entry.path)  # noqa: PTH108 - a Path for each of 100,000 is slow
        return uids

    def add(self, message: Message) -> None:
        """Write a message; it has its name after the next commit."""
        tag = self._source.tag
        place = f"{self._source.name}-{tag}-{message.uid_validity}-{message.uid:08d}.eml"
        temporary = self.path / f".{tag}-{secrets.token_hex(8)}.part"
        with explained(self.path, "--output"):
            self._group.add(message.raw, temporary, self.path / place)

    def commit(self) -> None:
        """Have everything that was added on the disk."""
        with explained(self.path, "--output"):
            self._group.commit()
