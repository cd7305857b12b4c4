"""RecordKeeper: reads and writes one identity's record, and never drops one that was issued."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError, ConnectionFailed, MailOAuthError, StoreError
from mailoauth.tokens import record as records
from mailoauth.tokens.files import FileStore
from mailoauth.tokens.store import SealedRecords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.tokens.record import Note, TokenRecord
    from mailoauth.tokens.token import Grant, Identity, TokenStore

_logger = logging.getLogger("mailoauth.tokens")

#: What keeps a record from the store: no key, no folder, an accounts file that cannot be read.
_NO_STORE = (StoreError, ConfigError)

#: Room for a record whose tokens turn out larger than the last ones, in bytes.
_ROOM = 32_768


class RecordKeeper:
    """The sealed record of one identity in a store.

    An app's record (``durable=False``) stays in memory where no key is to be had:
    an app can always prove itself again.
    """

    def __init__(self, identity: Identity, store: TokenStore | None, *, durable: bool) -> None:
        self._key = identity.key
        self._name = identity.user
        self._durable = durable
        self._sealed: SealedRecords | None = SealedRecords(FileStore() if store is None else store)
        self._in_memory: TokenRecord | None = None
        self.unsaved: TokenRecord | None = None
        self._held: contextlib.ExitStack | None = None
        self._stack = contextlib.ExitStack()
        self._own_lock = threading.Lock()

    def restart(self) -> None:
        """Begin anew in a forked child: what the parent holds stays the parent's."""
        self._own_lock = threading.Lock()
        self._held = None
        self.unsaved = None

    def load(self) -> TokenRecord | None:
        """Return the record, the one that could not be written yet before all others."""
        if self.unsaved is not None:
            return self.unsaved
        sealed = self._sealed
        if sealed is None:
            return self._in_memory
        try:
            data = sealed.load(self._key)
        except _NO_STORE as error:
            self._do_without(error)
            return self._in_memory
        return None if data is None else records.from_bytes(data)

    def check(self) -> None:
        """Raise ``StoreError`` unless a record could be kept: key, lock, room, nothing newer."""
        with self.lock():
            self._loadable()
            with self.reserve(None):
                pass

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Exclude the other threads, and processes, that would refresh the same record."""
        with self._own_lock, contextlib.ExitStack() as stack:
            # A record that could not be written keeps the store's lock: see save().
            if self._sealed is not None and self._held is None:
                try:
                    stack.enter_context(self._sealed.lock(self._key))
                except _NO_STORE as error:
                    self._do_without(error)
            self._stack = stack
            yield

    @contextlib.contextmanager
    def reserve(self, record: TokenRecord | None) -> Iterator[None]:
        """Make room on the disk for what comes next, before it is asked for."""
        with contextlib.ExitStack() as room:
            if self._sealed is not None and self._held is None:
                size = len(records.to_bytes(record)) if record else 0
                try:
                    room.enter_context(self._sealed.reserve(self._key, 2 * size + _ROOM))
                except _NO_STORE as error:
                    self._do_without(error)
            yield

    def save(self, record: TokenRecord) -> None:
        """Keep a refreshed record; call it inside :meth:`lock`.

        If it cannot be written all the same, the record stays in memory, and the lock
        with it, so that no other process uses up a refresh token that is dead by now.
        """
        try:
            self._write(record)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the token is not lost
            if not self._durable:
                self._sealed, self._in_memory = None, record
                return
            self.unsaved = record
            if self._held is None:
                self._held = self._stack.pop_all()
            _logger.error(  # noqa: TRY400 - the traceback adds nothing for the reader
                "the refreshed token of %s could not be kept on disk; it stays in memory until "
                "a write succeeds: %s",
                self._name,
                error,
            )
        else:
            self._release()

    def retry_unsaved(self) -> None:
        """Try again to write what could not be written; quick when there is nothing to do."""
        if self.unsaved is None or not self._own_lock.acquire(blocking=False):
            return
        try:
            if self.unsaved is not None:
                # Whatever a store raises, see save().
                with contextlib.suppress(Exception):
                    self._write(self.unsaved)
                    self._release()
        finally:
            self._own_lock.release()

    def adopt(self, grant: Grant, now: float) -> TokenRecord:
        """Keep the first grant of a sign-in; call it inside :meth:`lock`; ``StoreError`` if it fails."""
        before = self._loadable()
        # Without a record to count from, the clock: higher than whatever a running
        # process may remember of a record that was removed meanwhile.
        floor = before.generation if before else int(now)
        record = records.from_grant(grant, now, floor + 1)
        if before is not None:
            record = replace(record, unknown=before.unknown)
        self._write(record)
        self._release()
        return record

    def save_note(self, note: Note) -> None:
        """Keep a refusal that the replacement did not cure, for other processes to know.

        Not if the record has moved on, and not if that would mean to wait: the note
        only saves them a request.
        """
        if self._held is not None or not self._own_lock.acquire(blocking=False):
            return
        try:
            with contextlib.suppress(MailOAuthError), contextlib.ExitStack() as stack:
                if self._sealed is not None:
                    stack.enter_context(self._sealed.lock(self._key, timeout=0.0))
                current = self.load()
                if current is not None and current.generation == note.generation:
                    self._write(replace(current, note=note))
        finally:
            self._own_lock.release()

    def mark_sign_in_required(self, record: TokenRecord, said: str) -> TokenRecord:
        """Mark the record unless another process replaced it meanwhile; inside :meth:`lock`."""
        current = self.load()
        if current is None:  # signed out meanwhile
            return record
        if current.generation > record.generation:
            return current
        current = replace(current, sign_in_required=said)
        if self.unsaved is not None:
            self.unsaved = current
        with contextlib.suppress(*_NO_STORE):  # the next refresh will hear the same again
            self._write(current)
        return current

    def delete(self) -> None:
        """Forget the record; needs no key.

        Waits for a refresh under way, which would bring the record back; if that takes
        too long or no lock is to be had, the record goes all the same.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ConnectionFailed, *_NO_STORE):
                stack.enter_context(self.lock())
            if self._sealed is not None:
                self._sealed.delete(self._key)
            self._in_memory = None
            self._release()

    def _loadable(self) -> TokenRecord | None:
        # A damaged record is what a new sign-in repairs; a newer one must not be overwritten.
        sealed = self._sealed
        if sealed is None or self.unsaved is not None:
            return self.unsaved or self._in_memory
        data = sealed.load_for_replacement(self._key)
        try:
            return None if data is None else records.from_bytes(data)
        except records.DamagedRecord:
            return None

    def _write(self, record: TokenRecord) -> None:
        if self._sealed is None:
            self._in_memory = record
        else:
            self._sealed.save(self._key, records.to_bytes(record))

    def _release(self) -> None:
        self.unsaved = None
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _do_without(self, error: MailOAuthError) -> None:
        """Go on without a store, which only an app may: raise the error for a person's record."""
        if self._durable:
            error.account = error.account or self._name
            raise error
        self._sealed = None
        _logger.info("the app's token stays in memory, there is no key to seal it: %s", error)
