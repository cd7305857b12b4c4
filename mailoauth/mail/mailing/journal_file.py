"""The file of a journal: SQLite, blocking, used from one thread; see :mod:`mailoauth.mail.mailing.journal`.

It is never half written: each change is one transaction, on the disk when it returns
(synchronous=FULL). The lock is the operating system's and ends with the process.

A forked child inherits an open database, and SQLite's tidying up when the child ends would
harm the parent's: in the modes WAL and DELETE it removes a file that the parent goes on
writing to; in the midst of a transaction, in any mode, it undoes that.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mailoauth.errors import ConfigError, StoreError, Throttled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

#: The format of the file; what is newer is not touched.
FORMAT: Final = 1
#: What makes SQLite's files ours: "MOJN".
_OURS: Final = 0x4D4F4A4E

_SCHEMA: Final = """
CREATE TABLE run (account TEXT NOT NULL, mailbox TEXT NOT NULL, keyed INTEGER NOT NULL);
CREATE TABLE messages (
    key TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reply TEXT NOT NULL,
    refused TEXT NOT NULL,
    time TEXT NOT NULL
) WITHOUT ROWID;
"""
_WRITE: Final = "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)"
_READ: Final = "SELECT key, position, message_id, state, reply, refused, time FROM messages"

# Nobody forks while a transaction is open.
_transaction = threading.Lock()


def _new_lock_after_fork() -> None:
    global _transaction  # noqa: PLW0603 - the one that the hook before the fork took
    _transaction = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _transaction.acquire(),  # noqa: PLW0108 - the lock may be a new one by then
        after_in_parent=lambda: _transaction.release(),  # noqa: PLW0108 - as above
        after_in_child=_new_lock_after_fork,
    )


class Row(NamedTuple):
    """What the journal knows of a message.

    ``state`` is "pending", "sending" (its octets may be on their way), "sent", "partly"
    (to some of its recipients), "refused" (for good), "failed" (may be tried again) or
    "unknown".
    """

    key: str
    position: int
    message_id: str
    state: str
    reply: str = ""
    refused: Mapping[str, str] = {}
    time: str = ""


class JournalFile:
    """The rows of one run in an SQLite file that no other run uses."""

    def __init__(self, path: Path, account: str, mailbox: str, *, keyed: bool) -> None:
        self.path = path
        self._account = (account, mailbox)
        self._keyed = keyed
        self._written = False
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make it, for this run alone."""
        import sqlite3  # noqa: PLC0415 - only who keeps a journal needs it

        with self._translated():
            _create(self.path)
            database = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            try:
                # The lock of the first transaction is kept until the end.
                database.execute("PRAGMA locking_mode=EXCLUSIVE")
                database.execute("PRAGMA journal_mode=TRUNCATE")
                database.execute("PRAGMA synchronous=FULL")
                with _transaction:
                    database.execute("BEGIN EXCLUSIVE")
                    self._check(database)
                    database.execute("COMMIT")
                database.execute("CREATE TEMP TABLE taken (key TEXT PRIMARY KEY) WITHOUT ROWID")
            except BaseException:
                database.close()
                raise
            self._database = database

    def _check(self, database: sqlite3.Connection) -> None:
        (ours,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not version:
            for statement in _SCHEMA.split(";")[:-1]:
                database.execute(statement)
            database.execute("INSERT INTO run VALUES (?, ?, ?)", (*self._account, self._keyed))
            database.execute(f"PRAGMA application_id={_OURS}")
            database.execute(f"PRAGMA user_version={FORMAT}")
            return
        if ours != _OURS:
            raise self._unusable("it is a database of another program", "Name another file.")
        if version > FORMAT:
            raise self._unusable("a newer version of mailoauth wrote it", "Use that version.")
        (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise self._damaged(sound)
        run = database.execute("SELECT account, mailbox, keyed FROM run").fetchone()
        if run is None:
            raise self._damaged("it does not say whose it is")
        self._check_run(*run)
        # A write, so that a place where nothing can be written is found out now.
        database.execute("UPDATE run SET keyed = keyed")

    def _check_run(self, account: str, mailbox: str, keyed: int) -> None:
        if (account, mailbox) != self._account:
            raise ConfigError(
                f"The journal {self.path} is of {mailbox} ({account}), not of "
                f"{self._account[1]} ({self._account[0]}). Nothing was sent.",
                remedy="Give each account and each mailing a journal of its own.",
            )
        if bool(keyed) != self._keyed:
            begun = "with" if keyed else "without"
            raise ConfigError(
                f"The journal {self.path} was begun {begun} key=, so it would know none of "
                "these messages. Nothing was sent.",
                remedy=f"Continue it {begun} key=, or begin another journal for another mailing.",
            )

    def take(self, key: str) -> Row | bool:
        """Return what is known of a message, True for a new one, False for one taken before."""
        with self._using() as database:
            if not database.execute("INSERT OR IGNORE INTO taken VALUES (?)", (key,)).rowcount:
                return False
            found = database.execute(f"{_READ} WHERE key = ?", (key,)).fetchone()
        return True if found is None else _row(found)

    def states(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the states of those that are known."""
        read = "SELECT state FROM messages WHERE key = ?"
        with self._using() as database:
            found = {key: database.execute(read, (key,)).fetchone() for key in keys}
        return {key: row[0] for key, row in found.items() if row is not None}

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction; they are on the disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        values = [
            (*row[:5], json.dumps(dict(row.refused), ensure_ascii=False), row.time or now)
            for row in rows
        ]
        with self._using() as database, _transaction:
            database.execute("BEGIN")
            try:
                database.executemany(_WRITE, values)
                database.execute("COMMIT")
            except BaseException:
                self._undo(database)
                raise
            self._written = True

    def rows(self) -> list[Row]:
        """Return all rows in the order of the input."""
        with self._using() as database:
            return [_row(found) for found in database.execute(f"{_READ} ORDER BY position")]

    def close(self) -> None:
        """Close it and let the next run have it."""
        database, self._database = self._database, None
        if database is not None:
            with self._translated(), contextlib.closing(database):
                database.execute("PRAGMA journal_mode=DELETE")  # takes the second file away

    def _undo(self, database: sqlite3.Connection) -> None:
        import sqlite3  # noqa: PLC0415 - see above

        with contextlib.suppress(sqlite3.Error):  # SQLite has done so itself after most errors
            database.execute("ROLLBACK")

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        if self._database is None:
            raise self._unusable("it is closed", "")
        with self._translated():
            yield self._database

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        import sqlite3  # noqa: PLC0415 - see above

        try:
            yield
        except sqlite3.Error as exc:
            name = getattr(exc, "sqlite_errorname", "")
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise Throttled.after(
                    f"Another run is using the journal {self.path}. Nothing was sent.",
                    None,
                    remedy="Wait for it to end. If nothing seems to run, look for a process of "
                    "yours: the journal is free as soon as its process ends.",
                ) from exc
            if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise self._damaged(str(exc)) from exc
            raise self._unusable(str(exc), _REMEDIES.get(name, _CHECK)) from exc
        except OSError as exc:
            raise self._unusable(exc.strerror or str(exc), _CHECK) from exc

    def _damaged(self, how: str) -> StoreError:
        return self._unusable(
            f"it is damaged or no journal ({how})",
            "Restore it from a copy, or name another file. A mailing that begins anew sends to "
            "everybody again.",
        )

    def _unusable(self, why: str, remedy: str) -> StoreError:
        nothing = "Nothing more was sent." if self._written else "Nothing was sent."
        return StoreError(
            f"The journal {self.path} cannot be used: {why}. {nothing}", remedy=remedy
        )


_CHECK: Final = "Check that its folder exists and that this user may write there."
_REMEDIES: Final = {
    "SQLITE_FULL": "Make room on the disk, and continue with the same journal.",
    "SQLITE_IOERR_WRITE": "Make room on the disk, and continue with the same journal.",
    "SQLITE_READONLY": "Let this user write to the file and to its folder.",
    "SQLITE_READONLY_DIRECTORY": "Let this user write to the file and to its folder.",
}


def _create(path: Path) -> None:
    # Made by us: SQLite's own files are for others to read, too.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.suppress(PermissionError):  # another user's, who let this one write to it
        path.chmod(0o600)


def _row(found: tuple[Any, ...]) -> Row:
    key, position, message_id, state, reply, refused, time = found
    return Row(key, position, message_id, state, reply, json.loads(refused), time)
