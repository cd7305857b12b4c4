"""File names that a stranger chose, and files that replace no others."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH = 200  # octets; file systems take 255, and a number and a suffix must still fit
_SUFFIX_LENGTH = 30
_DEFAULT = "attachment"
# Refused by Windows whatever the suffix.
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE
)
_NOT_IN_NAMES = re.compile(r'[<>:"|?*]')
# What file systems that cannot sync say; theirs is not the promise that we make.
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def safe_name(name: str, *, default: str = _DEFAULT) -> str:
    """Make a file name that stays in its folder on every platform, the default if nothing is left."""
    name = re.split(r"[/\\]", name[-4096:])[-1]
    # Cf holds the marks that turn writing round and so disguise a suffix.
    name = "".join(char for char in name if unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    name = _NOT_IN_NAMES.sub("_", name).strip().lstrip(". ").rstrip(". ")
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shorten(name) or default


def _shorten(name: str, room: int = _LENGTH, marker: str = "") -> str:
    """Cut a name to so many octets, put a marker before its suffix and keep the suffix."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a Path would read separators into it
    if len(suffix.encode()) > _SUFFIX_LENGTH:
        stem, suffix = name, ""
    kept = stem.encode()[: room - len(suffix.encode()) - len(marker)].decode("utf-8", "ignore")
    if len(kept) < len(stem):
        kept = kept.rstrip(". ")
    return kept + marker + suffix


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Say whether a path means a folder: it is one, ends like one, or is new and has no suffix."""
    text = os.fspath(path)
    separators = (os.sep, os.altsep or os.sep, "/")
    target = Path(text)
    return text.endswith(separators) or target.is_dir() or not (target.exists() or target.suffix)


def make_folder(folder: Path) -> None:
    """Make a folder and the missing ones above it for this user only."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def place_for(path: str | os.PathLike[str], name: str) -> Path:
    """Return the file that a path means, in a folder one of that name; makes missing folders."""
    target = Path(path)
    if is_folder(path):
        target /= name
    make_folder(target.parent)
    return target


def save_new(target: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write a file of mode 0600 whole or not at all, replacing nothing; return where it is.

    Content that comes in pieces is written as it comes; what it raises leaves no file.
    Where the name is taken a number is added, by other processes' files too. The file
    has its name only once its content is on the disk, so a power cut leaves all of it or
    none, and all of it after the return. Raises ``OSError`` as the file system does.
    """
    handle, name = tempfile.mkstemp(prefix=".mailoauth-", suffix=".part", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in [content] if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            _sync(file.fileno())
        place = target
        numbers = itertools.count(2)
        while not _claim(temporary, place):
            place = target.with_name(_shorten(target.name, marker=f"-{next(numbers)}"))
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return place


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk; where that cannot be done the file is whole all the same."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _claim(temporary: Path, place: Path) -> bool:
    """Give the file its name unless that is taken; nobody can take it in between."""
    try:
        os.link(temporary, place)
        return True
    except FileExistsError:
        return False
    except (OSError, AttributeError, NotImplementedError):
        pass  # a file system without links: take the name with an empty file first
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    temporary.replace(place)
    return True
