"""The sealed records and where their key is; nothing else touches the keyring or the cipher.

The key is the one in MAILOAUTH_KEY, else in the key file, else in the keyring.
The first of them that is named is used; if it is unusable that is an error.
"""

from __future__ import annotations

import inspect
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from mailoauth import paths
from mailoauth.errors import StoreError
from mailoauth.tokens import envelope
from mailoauth.tokens.keys import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    Key,
    named_key,
)
from mailoauth.tokens.vault import KEYRING_WAIT, KeyringEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from keyring.backend import KeyringBackend

    from mailoauth.tokens.token import TokenStore


class SealedRecords:
    """Records in any store, sealed before they are saved and opened after they are loaded."""

    def __init__(self, store: TokenStore, sealer: Sealer | None = None) -> None:
        self._store = store
        self._sealer = sealer or Sealer()

    def load(self, key: str) -> bytes | None:
        """Return the opened record, or None."""
        data = self._store.load(key)
        return None if data is None else self._sealer.open(key, data)

    def load_for_replacement(self, key: str) -> bytes | None:
        """Return the record that a sign-in is about to replace: None also if it cannot be opened.

        ``StoreError`` only where it must not be replaced: a later mailoauth wrote it.
        """
        data = self._store.load(key)
        if data is None:
            return None
        if envelope.is_newer(data):
            envelope.parse(key, data)
        try:
            return self._sealer.open(key, data)
        except StoreError:
            return None

    def save(self, key: str, plain: bytes) -> None:
        """Seal the record and keep it; one that a later mailoauth wrote is never replaced."""
        before = self._store.load(key)
        if before is not None and envelope.is_newer(before):
            envelope.parse(key, before)
        self.check()
        self._store.save(key, self._sealer.seal(key, plain))

    def delete(self, key: str) -> None:
        """Forget the record; needs no key."""
        self._store.delete(key)

    def list(self) -> Sequence[str]:
        """Return the names of the records; needs no key."""
        return self._store.list()

    def lock(self, key: str, timeout: float | None = None) -> AbstractContextManager[None]:
        """Exclude the others that would change the record; ``timeout`` in seconds."""
        lock: Callable[..., AbstractContextManager[None]] = self._store.lock
        if timeout is None or "timeout" not in inspect.signature(lock).parameters:
            return lock(key)
        return lock(key, timeout=timeout)

    def reserve(self, key: str, size: int) -> AbstractContextManager[None]:
        """Make sure that a record of ``size`` bytes can be sealed and kept, where the store can."""
        self.check()
        reserve: Callable[..., AbstractContextManager[None]] | None
        reserve = getattr(self._store, "reserve", None)
        return nullcontext() if reserve is None else reserve(key, size + self._sealer.overhead())

    def check(self) -> None:
        """Raise ``StoreError`` unless a key is to be had; makes one if nothing needs another."""
        self._sealer.check(records_exist=bool(self._store.list()))


class Sealer:
    """Seals records with AES-256-GCM under the one key of this process."""

    def __init__(self, *, keyring_wait: float = KEYRING_WAIT) -> None:
        self.keyring = KeyringEntry(platform_keyring, wait=keyring_wait)

    def check(self, *, records_exist: bool) -> None:
        """Raise ``StoreError`` unless there is a key; makes one in the keyring if it is the place.

        None is made while ``records_exist``: it could not open them. Blocks while
        the keyring asks a person.
        """
        if self.find() is None:
            if records_exist:
                raise _no_key("There are sealed records, and a new key could not open them.")
            self.keyring.create()

    def find(self, *, again: bool = False) -> Key | None:
        """Return the key, None if there is none yet; ``again`` does not trust what was read before."""
        return named_key(again=again) or self.keyring.read(again=again)

    def overhead(self) -> int:
        """Return by how many bytes a sealed record is larger than what is sealed."""
        line = envelope.header_line(self._key().fingerprint, self._key().place)
        return len(line) + envelope.NONCE_SIZE + envelope.TAG_SIZE

    def seal(self, record_key: str, plain: bytes) -> bytes:
        """Return the record sealed; it can be opened under the same name only."""
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - slow to import

        key = self._key()
        line = envelope.header_line(key.fingerprint, key.place)
        nonce = os.urandom(envelope.NONCE_SIZE)
        associated = envelope.associated_data(record_key, line)
        return line + nonce + aead.AESGCM(key.value).encrypt(nonce, plain, associated)

    def open(self, record_key: str, sealed: bytes) -> bytes:
        """Return what was sealed; ``StoreError`` for another key, damage or a later format."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - slow to import
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - as above

        parts = envelope.parse(record_key, sealed)
        key = self._key_of(record_key, parts)
        associated = envelope.associated_data(record_key, parts.line)
        try:
            return aead.AESGCM(key.value).decrypt(parts.nonce, parts.sealed, associated)
        except InvalidTag as exc:
            raise envelope.damaged(record_key) from exc

    def _key(self) -> Key:
        key = self.find()
        if key is None:
            raise _no_key("")
        return key

    def _key_of(self, record_key: str, parts: envelope.Envelope) -> Key:
        try:
            key = self.find()
            if key is None or key.fingerprint != parts.fingerprint:
                key = self.find(again=True)
        except StoreError as exc:
            raise _cannot_open(record_key, parts, exc.message) from exc
        if key is None:
            raise _cannot_open(record_key, parts, "The keyring has no key for this data folder.")
        if key.fingerprint != parts.fingerprint:
            raise _cannot_open(
                record_key, parts, f"This process has another, in the {_spoken(key.place)}."
            )
        return key


def platform_keyring() -> KeyringBackend:
    """Return the keyring that is in use on this platform; may ask D-Bus and block."""
    import keyring  # noqa: PLC0415 - slow, and never needed where the key is named

    return keyring.get_keyring()


def _no_key(consequence: str) -> StoreError:
    return StoreError(
        f"The keyring has no key for the data folder {paths.data_folder()}. {consequence}".rstrip(),
        remedy=f"If the key was moved to a file, set {KEY_FILE_VARIABLE} to that file (or key_file "
        "under [store] in the accounts file). If it is lost, `mailoauth logout` the accounts and "
        "sign in again.",
    )


def _cannot_open(record_key: str, parts: envelope.Envelope, reason: str) -> StoreError:
    """Say which key the record needs and how this process can get it."""
    written_with = parts.source
    where, _, detail = written_with.partition(" file ")
    if written_with.startswith("keyring"):
        written_with = f"key in the {_spoken(written_with)}"
        remedy = (
            "Where that keyring can be used, run `mailoauth keys --move-to FILE`, then set "
            f"{KEY_FILE_VARIABLE}=FILE here."
        )
        if "Secret Service" in written_with and _has_no_session():
            reason += " It has no D-Bus session (is it run by cron, a service or ssh?)."
    elif where == "key":
        written_with = f"key file {detail}"
        remedy = f"Set {KEY_FILE_VARIABLE}={detail} here, and no {KEY_VARIABLE}."
    else:
        written_with = f"key in the {written_with}"
        remedy = f"Set {KEY_VARIABLE} here to the value that it had then."
    if "The keyring is locked" in reason or "The keyring did not answer" in reason:
        remedy = f"Unlock it and try again. {remedy}"
    return StoreError(
        f"The token record {envelope.short(record_key)} was written with the {written_with} "
        f"(fingerprint {parts.fingerprint}). {reason}",
        remedy=f"{remedy} If that key is lost, sign in again with `mailoauth login`.",
    )


def _spoken(place: str) -> str:
    return place.removeprefix("keyring: ")


def _has_no_session() -> bool:
    return sys.platform == "linux" and not os.environ.get("DBUS_SESSION_BUS_ADDRESS")
