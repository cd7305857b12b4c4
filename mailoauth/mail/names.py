"""File names that a stranger chose, and files that replace no others."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import sys
import time
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
# The suffix of a file that has a type and no name. The machine's own table is another on
# every machine; nothing that a double click would start is in this one.
_SUFFIXES = {
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/pkcs7-signature": ".p7s",
    "application/rtf": ".rtf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-outlook": ".msg",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/x-pdf": ".pdf",
    "application/x-pkcs7-signature": ".p7s",
    "application/x-zip-compressed": ".zip",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/rtf": ".rtf",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/xml": ".xml",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpg",
    "video/quicktime": ".mov",
}
_PREFIX, _SUFFIX = ".mailoauth-", ".part"
#: Seconds after which an unfinished file is nobody's where no lock can say so.
_ABANDONED_AFTER = 24 * 3600
# What file systems that cannot sync say; theirs is not the promise that we make.
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def safe_name(name: str, *, default: str = _DEFAULT) -> str:
    """Make a file name that stays in its folder on every platform, the default if nothing is left."""
    name = re.split(r"[/\\]", name[-4096:])[-1]
    # Cf holds the marks that turn writing round and so disguise a suffix.
    name = "".join(char for char in name if unicodedata.category(char) not in {"Cc", "Cf", "Cs"})
    name = _NOT_IN_NAMES.sub("_", name).strip().lstrip(". ").rstrip(". ")
    if _RESERVED.match(name) or name.startswith("-"):
        name = f"_{name}"  # a program would take "-rf" for an option
    return _shorten(name) or default


def attached_name(filename: str, content_type: str) -> str:
    """Return the name under which an attachment is saved; one without gets its type's usual suffix."""
    return safe_name(filename, default=f"{_DEFAULT}{_SUFFIXES.get(content_type, '')}")


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
    handle, temporary = _temporary(target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in [content] if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            _sync(file.fileno())
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed there
            place = target
            numbers = itertools.count(2)
            while not _claim(temporary, place):
                place = target.with_name(_shorten(target.name, marker=f"-{next(numbers)}"))
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return place


def remove_abandoned(folder: Path) -> None:
    """Remove what :func:`save_new` left unfinished in processes that were killed; nothing of others.

    Raises ``OSError`` for a folder that cannot be listed.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):  # somebody else's, or gone
                    _remove_if_abandoned(Path(entry.path))


def _temporary(folder: Path) -> tuple[int, Path]:
    """Make a file that is locked while its writer lives, whatever host or container that is on."""
    import tempfile  # noqa: PLC0415 - slow to import, and names are asked for more often

    for _ in range(10):
        handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
        # Somebody who cleans up can come between the making and the lock.
        if _try_lock(handle) is not False and os.fstat(handle).st_nlink:
            break
        os.close(handle)
    else:
        raise BlockingIOError(errno.EAGAIN, "temporary files vanish", str(folder))
    return handle, Path(name)


def _remove_if_abandoned(path: Path) -> None:
    old = time.time() - path.lstat().st_mtime > _ABANDONED_AFTER
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        is_free = _try_lock(descriptor)
        if (is_free or (is_free is None and old)) and sys.platform != "win32":
            path.unlink()  # while the lock is held: its writer may be just about to take it
            return
    finally:
        os.close(descriptor)
    if is_free is None and old:
        path.unlink()


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the lock was free, None where there is none; closing the file frees it."""
    if sys.platform == "win32":
        return None  # there a file that is open cannot be removed anyway
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


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
