"""The entry in the platform's keyring that holds the key, and which keyrings are fit to hold it."""

from __future__ import annotations

import os
import re
import secrets
import threading
from typing import TYPE_CHECKING, TypeVar

from mailoauth import paths
from mailoauth.errors import StoreError
from mailoauth.tokens import durable
from mailoauth.tokens.keys import KEEP_IN_A_FILE, KEY_SIZE, Key, decode, encode
from mailoauth.tokens.locks import ThreadLocks, exclusive

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from keyring.backend import KeyringBackend

_Answer = TypeVar("_Answer")

#: Seconds that a keyring may take, a person's answer to its prompt included.
KEYRING_WAIT = 60.0

_SERVICE = "mailoauth"
_ENTRY = re.compile(r"[0-9a-f]{32}")
#: What people call a keyring, by the last part of its module's name.
_NAMES = {
    "SecretService": "Secret Service",
    "libsecret": "Secret Service",
    "kwallet": "KWallet",
    "macOS": "macOS Keychain",
    "Windows": "Windows Credential Manager",
}

_kept: dict[tuple[str, str], Key] = {}
_asking = ThreadLocks()


class KeyringEntry:
    """The key in the platform's keyring: one entry for each data folder."""

    def __init__(
        self, find_keyring: Callable[[], KeyringBackend], *, wait: float = KEYRING_WAIT
    ) -> None:
        self._find_keyring = find_keyring
        self._wait = wait

    def read(self, *, again: bool = False) -> Key | None:
        """Return the key, or None if there is none; remembers it as long as the process lives."""
        entry = self._name()
        if entry is None:
            return None
        remembered = (str(paths.data_folder()), entry)
        # One at a time: ten threads must not make the keyring prompt ten times.
        with _asking.hold("keyring", timeout=2 * self._wait, busy="is asking the keyring"):
            if again or remembered not in _kept:
                _kept.pop(remembered, None)
                found = self._ask(lambda backends: _find(backends, entry))
                if found is None:
                    return None
                value = decode(found[0], f"The entry {_SERVICE!r}, {entry!r} in the keyring")
                _kept[remembered] = Key(value, "keyring", found[1])
            return _kept[remembered]

    def create(self) -> Key:
        """Make a key, or return the one that another process has made; no two are made at once."""
        with self.changing():
            return self.read(again=True) or self.write(secrets.token_bytes(KEY_SIZE))

    def changing(self) -> AbstractContextManager[None]:
        """Exclude the other processes that would make or move the key."""
        lock = paths.locks_folder() / "key.lock"
        return exclusive(lock, busy="is making or moving the key", timeout=self._wait + 15)

    def write(self, value: bytes) -> Key:
        """Keep the key in the keyring, which must give it back; call it inside :meth:`changing`."""
        entry, text = self._name() or self._new_name(), encode(value)
        name, kept = self._ask(lambda backends: _keep(backends, entry, text), secret=text)
        if not kept:
            raise StoreError(
                f"{name} does not give back what it was given to keep.", remedy=KEEP_IN_A_FILE
            )
        key = Key(value, "keyring", name)
        _kept[str(paths.data_folder()), entry] = key
        return key

    def remove(self) -> None:
        """Remove the key from the keyring."""
        entry = self._name()
        if entry is not None:
            _kept.pop((str(paths.data_folder()), entry), None)
            self._ask(lambda backends: _remove(backends, entry))

    def keyring_name(self) -> str:
        """Return what the keyring in use is called; ``StoreError`` if there is none to use."""
        return self._ask(lambda backends: _name_of(backends[0]))

    def _name(self) -> str | None:
        """Return this data folder's entry in the keyring, None if it has none yet."""
        path = self._name_file()
        try:
            name = path.read_text("ascii", "replace").strip()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StoreError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
        if not _ENTRY.fullmatch(name):
            raise StoreError(
                f"{path} does not name an entry of the keyring.",
                remedy="Restore it from a backup. If it is lost, remove it, `mailoauth logout` the "
                "accounts and sign in again.",
            )
        return name

    def _new_name(self) -> str:
        name, path = secrets.token_hex(16), self._name_file()
        paths.make_private_folder(path.parent)
        try:
            paths.write_durably(path, name.encode() + b"\n")
        except OSError as exc:
            raise durable.trouble("written", path, exc) from exc
        return name

    @staticmethod
    def _name_file() -> Path:
        return paths.data_folder() / "keyring-id"

    def _ask(
        self, question: Callable[[list[KeyringBackend]], _Answer], secret: str = ""
    ) -> _Answer:
        """Put the question to the keyring on a thread of its own: some prompts never return."""
        answers: list[_Answer] = []
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                answers.append(question(_fit_to_use(self._find_keyring())))
            except BaseException as exc:  # noqa: BLE001 - backends raise anything
                errors.append(exc)

        thread = threading.Thread(target=ask, name="mailoauth keyring", daemon=True)
        thread.start()
        thread.join(self._wait)
        if answers:
            return answers[0]
        if not errors:
            raise StoreError(
                f"The keyring did not answer within {self._wait:g} seconds: it may wait for "
                "somebody to unlock it, where nobody sees that.",
                remedy=f"Unlock it and try again. {KEEP_IN_A_FILE}",
            )
        error = errors[0]
        if isinstance(error, StoreError):
            raise error
        if secret and secret in str(error):
            raise _translated(error, str(error).replace(secret, "<the key>"))
        raise _translated(error, str(error)) from error


def _fit_to_use(keyring: KeyringBackend) -> list[KeyringBackend]:
    """Return the keyring, or those that a chainer stands for; ``StoreError`` if none is fit."""
    chained = "ChainerBackend" in _classes(keyring)
    members = list(getattr(keyring, "backends", [])) if chained else [keyring]
    refused = {_name_of(member): reason for member in members if (reason := _refusal(member))}
    fit = [member for member in members if _name_of(member) not in refused]
    if fit:
        return fit
    reasons = "; ".join(f"{name} {reason}" for name, reason in refused.items())
    raise StoreError(
        f"There is no keyring that may hold the key: {reasons or 'the chainer has none behind it'}.",
        remedy=KEEP_IN_A_FILE,
    )


def _refusal(keyring: KeyringBackend) -> str | None:
    if any("plaintext" in name.lower() for name in _classes(keyring)):
        return "stores plain text"
    match type(keyring).__module__:
        case "keyring.backends.fail":
            return "stands for no keyring at all"
        case "keyring.backends.null":
            return "drops what it is given"
        case _:
            return None


def _classes(keyring: KeyringBackend) -> list[str]:
    return [parent.__name__ for parent in type(keyring).__mro__]


def _name_of(keyring: KeyringBackend) -> str:
    module = type(keyring).__module__
    if module.startswith("keyring.backends."):
        known = _NAMES.get(module.rpartition(".")[2])
        if known:
            return known
    return f"{module}.{type(keyring).__name__}"


def _find(keyrings: list[KeyringBackend], entry: str) -> tuple[str, str] | None:
    for keyring in keyrings:
        text = keyring.get_password(_SERVICE, entry)
        if text is not None:
            return text, _name_of(keyring)
    return None


def _keep(keyrings: list[KeyringBackend], entry: str, text: str) -> tuple[str, bool]:
    for keyring in keyrings:
        try:
            keyring.set_password(_SERVICE, entry, text)
        except NotImplementedError:  # one that can only be read
            continue
        return _name_of(keyring), keyring.get_password(_SERVICE, entry) == text
    return _name_of(keyrings[0]), False


def _remove(keyrings: list[KeyringBackend], entry: str) -> None:
    for keyring in keyrings:
        if keyring.get_password(_SERVICE, entry) is not None:
            keyring.delete_password(_SERVICE, entry)


def _translated(error: BaseException, text: str) -> StoreError:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "KeyringLocked" in kinds:
        return StoreError(
            f"The keyring is locked: {text.rstrip('.!')}.",
            remedy=f"Unlock it and try again. {KEEP_IN_A_FILE}",
        )
    if "NoKeyringError" in kinds:
        return StoreError("There is no keyring that this process can use.", remedy=KEEP_IN_A_FILE)
    chosen = os.environ.get("PYTHON_KEYRING_BACKEND")
    cause = f" PYTHON_KEYRING_BACKEND is {chosen!r}." if chosen else ""
    return StoreError(
        f"The keyring cannot be used ({type(error).__name__}: {text}).{cause}",
        remedy=KEEP_IN_A_FILE,
    )
