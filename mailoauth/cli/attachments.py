"""`--attachments DIR`: saves the files in messages, each content once."""

from __future__ import annotations

import itertools
import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen
from mailoauth.cli.files import explained, make_private_folder
from mailoauth.cli.single import folder_locked
from mailoauth.mail.names import safe_name, save_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mailoauth.mail.message import Message

_CHUNK: Final = 1024 * 1024


class AttachmentFolder:
    """Saves what a pattern fits (all if there is none); a file that is there is not doubled.

    A file with the same name and content is the same file; another content gets a number.
    """

    def __init__(self, folder: Path, patterns: Sequence[str]) -> None:
        self.path = folder
        self._patterns = [pattern.casefold() for pattern in patterns]

    def prepare(self) -> None:
        """Make the folder. Raises ``ConfigError``."""
        with explained(self.path, "--attachments"):
            make_private_folder(self.path)

    def save_all(self, message: Message) -> None:
        """Save the files of a message; they are on the disk when it returns."""
        for attachment in message.attachments:
            name = safe_name(attachment.filename)
            if self._is_wanted(name):
                with explained(self.path, "--attachments"), folder_locked(self.path):
                    saved = self._save(name, attachment.content)
                if saved is not None:
                    screen.talk(f"saved {saved}")

    def _is_wanted(self, name: str) -> bool:
        folded = name.casefold()
        return not self._patterns or any(fnmatchcase(folded, one) for one in self._patterns)

    def _save(self, name: str, content: bytes) -> Path | None:
        for place in _places(self.path / name):
            if not os.path.lexists(place):
                return save_new(place, content)
            if _holds(place, content):
                return None
        raise AssertionError  # pragma: no cover - there is no last number


def _places(first: Path) -> Iterator[Path]:
    yield first
    for number in itertools.count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")


def _holds(path: Path, content: bytes) -> bool:
    if not path.is_file() or path.stat().st_size != len(content):
        return False
    view = memoryview(content)
    with path.open("rb") as file:
        return all(
            file.read(_CHUNK) == view[start : start + _CHUNK]
            for start in range(0, len(content), _CHUNK)
        )
