"""Stores of opaque bytes: files that survive a crash, a kill and a full disk, and memory."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailoauth import paths
from mailoauth.errors import ConfigError, StoreError
from mailoauth.tokens import durable
from mailoauth.tokens.durable import Temporary
from mailoauth.tokens.locks import LOCK_WAIT, ThreadLocks, exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

_KEY = re.compile(r"[0-9a-f]{64}")
_BUSY = "is refreshing this token"


class FileStore:
    """Keeps each record in a file ``<key>.record`` of its own, mode 0600.

    The folder is made (0700) when something is first saved; by default it is
    ``paths.records_folder()`` with the locks in ``paths.locks_folder()``, else
    the locks lie in the folder ``locks`` inside. All methods block on the disk.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = paths.records_folder() if folder is None else Path(folder).absolute()
        # By the folder and not by how it was named: two stores on one must exclude each other.
        ours = self.folder == paths.records_folder().absolute()
        self._locks = paths.locks_folder() if ours else self.folder / "locks"
        # Lists change by single append, pop and remove: atomic, so no lock that a fork could break.
        self._reserved: dict[str, list[Temporary]] = {}

    def __repr__(self) -> str:
        return f"FileStore({str(self.folder)!r})"

    def load(self, key: str) -> bytes | None:
        """Return what was saved last, whole, or None; a record that others can read is refused."""
        path = self._path(key)
        try:
            data, mode = durable.read(path)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise durable.trouble("read", path, exc) from exc
        if os.name == "posix" and mode & 0o077:
            raise StoreError(
                f"The record {path} can be read by other users (mode {mode:04o}).",
                remedy=f"Take the right away: chmod 600 '{path}'. If somebody may have read it, "
                "sign out everywhere at the provider and sign in again.",
            )
        return data

    def save(self, key: str, data: bytes) -> None:
        """Replace the record durably, in the room that :meth:`reserve` made if there is some."""
        path = self._path(key)
        try:
            temporary = self._take_reserved(key)
            if temporary is None:
                paths.make_private_folder(self.folder)
                temporary = Temporary(self.folder, key)
            with temporary:
                temporary.become(path, data)
        except OSError as exc:
            raise durable.trouble("written", path, exc) from exc

    def delete(self, key: str) -> None:
        """Remove the record; none is not an error."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
            if self.folder.is_dir():
                durable.sync_folder(self.folder)
        except OSError as exc:
            raise durable.trouble("removed", path, exc) from exc

    def list(self) -> Sequence[str]:
        """Return the keys that have a record, sorted."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise durable.trouble("read", self.folder, exc) from exc
        keys = (name.removesuffix(".record") for name in names if name.endswith(".record"))
        return sorted(key for key in keys if _KEY.fullmatch(key))

    @contextmanager
    def lock(self, key: str, timeout: float | None = None) -> Iterator[None]:
        """Exclude every thread and process that asks for the same key; not re-entrant.

        Waits ``timeout`` seconds, by default longer than one refresh may take,
        then raises ``ConnectionTimedOut``.
        """
        path = self._locks / f"{_checked(key)}.lock"
        with exclusive(path, timeout=timeout, busy=_BUSY):
            self._remove_leftovers(key)
            yield

    @contextmanager
    def reserve(self, key: str, size: int) -> Iterator[None]:
        """Make room for ``size`` bytes, on the disk before this enters.

        The next :meth:`save` of this key uses it, so that a disk that fills up
        meanwhile cannot lose the reply of an identity service.
        """
        path = self._path(key)
        paths.make_private_folder(self.folder)
        try:
            temporary = Temporary(self.folder, key)
        except OSError as exc:
            raise durable.trouble("given room on the disk", path, exc) from exc
        with temporary:
            try:
                temporary.reserve(size)
            except OSError as exc:
                raise durable.trouble("given room on the disk", path, exc) from exc
            waiting = self._reserved.setdefault(key, [])
            waiting.append(temporary)
            try:
                yield
            finally:
                with suppress(ValueError):  # a save has taken it
                    waiting.remove(temporary)

    def _path(self, key: str) -> Path:
        return self.folder / f"{_checked(key)}.record"

    def _take_reserved(self, key: str) -> Temporary | None:
        waiting = self._reserved.get(key, [])
        while True:
            try:
                temporary = waiting.pop()
            except IndexError:
                return None
            if temporary.is_ours:
                return temporary

    def _remove_leftovers(self, key: str) -> None:
        """Remove the temporary files of writers that died; a living one holds its file's lock."""
        with suppress(OSError):
            for path in self.folder.glob(f"{key}.*.tmp"):
                durable.remove_if_abandoned(path)


class MemoryStore:
    """Keeps records in this process only: for tests, and for tokens that need not outlive it."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}
        self._locks = ThreadLocks()

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._records)} records)"

    def load(self, key: str) -> bytes | None:
        """Return what was saved last, or None."""
        return self._records.get(_checked(key))

    def save(self, key: str, data: bytes) -> None:
        """Keep the data until the process ends."""
        self._records[_checked(key)] = bytes(data)

    def delete(self, key: str) -> None:
        """Forget the key; none is not an error."""
        self._records.pop(_checked(key), None)

    def list(self) -> Sequence[str]:
        """Return the keys that have data, sorted."""
        return sorted(self._records)

    def lock(self, key: str, timeout: float | None = None) -> AbstractContextManager[None]:
        """Exclude the other threads that ask for the same key; not re-entrant."""
        seconds = LOCK_WAIT if timeout is None else timeout
        return self._locks.hold(_checked(key), timeout=seconds, busy=_BUSY)


def _checked(key: str) -> str:
    # The key becomes a file's name: nothing like ../../etc/passwd may pass.
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{key[:80]!r} is not the name of a record.",
            remedy="It is the key of an identity: 64 hexadecimal digits, lower case.",
        )
    return key
