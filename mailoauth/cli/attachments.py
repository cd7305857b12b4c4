"""`--attachments DIR`: saves the files in messages, each content once."""

from __future__ import annotations

import hashlib
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailoauth.cli.files import explained, make_private_folder
from mailoauth.cli.single import folder_locked
from mailoauth.mail.names import attached_name, remove_abandoned, save_new

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailoauth.mail.message import Attachment, Message

_CHUNK: Final = 1024 * 1024
#: What `--format eml` calls its files; one of that name would pass for a message that is there.
_LIKE_OUR_EML: Final = re.compile(r".*-[0-9a-f]{10}-\d+-\d+\.eml", re.DOTALL | re.IGNORECASE)


class AttachmentFolder:
    """Saves what a pattern fits (all if there is none); a file that is there is not doubled.

    A file with the same name and content is the same file; another content gets a number.
    ``announce`` is told of each that was saved; ``saved`` and ``there`` count those that
    were wanted.
    """

    def __init__(
        self, folder: Path, patterns: Sequence[str], announce: Callable[[Path], None]
    ) -> None:
        self.path = folder
        self._patterns = [pattern.casefold() for pattern in patterns]
        self._announce = announce
        self._index = _Index(folder)
        self.saved = 0
        self.there = 0

    def prepare(self) -> None:
        """Make the folder; removes what killed runs left unfinished. Raises ``ConfigError``."""
        with explained(self.path, "--attachments"):
            make_private_folder(self.path)
            remove_abandoned(self.path)

    def save_all(self, message: Message) -> None:
        """Save the files of a message; they are on the disk when it returns."""
        wanted = [
            (attachment, name)
            for attachment in message.attachments
            if self._is_wanted(name := _name_of(attachment))
        ]
        if not wanted:
            return
        saved: list[Path] = []
        try:
            with explained(self.path, "--attachments"), folder_locked(self.path):
                for attachment, name in wanted:
                    self._save(name, attachment.content, saved)
        finally:
            # Behind the lock: whoever reads what is printed may be slow.
            for path in saved:
                self._announce(path)

    def _is_wanted(self, name: str) -> bool:
        folded = name.casefold()
        # Equal as well: "plan [1].pdf" is a name before it is a pattern.
        return not self._patterns or any(
            folded == one or fnmatchcase(folded, one) for one in self._patterns
        )

    def _save(self, name: str, content: bytes, saved: list[Path]) -> None:
        place = self._index.place_for(name, content)
        if place is None:
            self.there += 1
            return
        path = save_new(place, content)
        self._index.learn(name, path, content)
        self.saved += 1
        saved.append(path)


def _name_of(attachment: Attachment) -> str:
    name = attached_name(attachment.filename, attachment.content_type)
    return f"_{name}" if _LIKE_OUR_EML.fullmatch(name) else name


class _Index:
    """What the files of a folder hold, as far as this run had to look: each is read once.

    Files of one name are NAME, NAME-2 and so on; of many equal names none is looked at twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The number that is free next, by name.
        self._next: dict[str, int] = {}
        #: The numbers of files whose content is not known yet, by name and size.
        self._unread: dict[tuple[str, int], list[int]] = {}
        #: The file that holds a content, by the digest of name and content.
        self._known: dict[bytes, str] = {}

    def place_for(self, name: str, content: bytes) -> Path | None:
        """Return where a content goes that is not there under this name; None if it is."""
        self._look_around(name)
        for number in self._unread.pop((name, len(content)), ()):
            self._read(name, self._place(name, number))
        known = self._known.get(_digest(name, content))
        if known is not None and _holds(self._folder / known, content):
            return None
        return self._place(name, self._next[name])

    def learn(self, name: str, path: Path, content: bytes) -> None:
        """Be told what was saved where."""
        self._known[_digest(name, content)] = path.name
        if path == self._place(name, self._next[name]):
            self._next[name] += 1

    def _look_around(self, name: str) -> None:
        """Find those that are there, from the last number on: other runs add files, too."""
        number = self._next.get(name, 1)
        while os.path.lexists(place := self._place(name, number)):
            if place.is_file():
                self._unread.setdefault((name, place.stat().st_size), []).append(number)
            number += 1
        self._next[name] = number

    def _read(self, name: str, path: Path) -> None:
        digest = _hash_of(name)
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError:
            return  # gone again, or not for this user: then it is another file
        self._known.setdefault(digest.digest(), path.name)

    def _place(self, name: str, number: int) -> Path:
        if number == 1:
            return self._folder / name
        first = Path(name)
        return self._folder / f"{first.stem}-{number}{first.suffix}"


def _hash_of(name: str) -> hashlib._Hash:
    return hashlib.sha256(name.encode() + b"\0")


def _digest(name: str, content: bytes) -> bytes:
    digest = _hash_of(name)
    digest.update(content)
    return digest.digest()


def _holds(path: Path, content: bytes) -> bool:
    """Say whether a file still holds what it held when it was read."""
    try:
        if not path.is_file() or path.stat().st_size != len(content):
            return False
        view = memoryview(content)
        with path.open("rb") as file:
            return all(
                file.read(_CHUNK) == view[start : start + _CHUNK]
                for start in range(0, len(content), _CHUNK)
            )
    except OSError:
        return False
