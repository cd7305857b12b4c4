"""Keyrings to try: one that works, and all the ways in which one can fail to."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, ClassVar, NoReturn

import keyring
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import PasswordSetError

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


VALUE = bytes(range(32))
TEXT = base64.b64encode(VALUE).decode()


# keyring registers every class of a backend and uses the one of the highest priority:
# so these have one that is below all others.


class WorkingKeyring(KeyringBackend):
    priority: ClassVar[float] = -5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's own has no annotations
        self.entries: dict[tuple[str, str], str] = {}
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class DroppingKeyring(WorkingKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        del service, username, password


class CuttingKeyring(WorkingKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password[:20]


class PlaintextKeyring(WorkingKeyring):
    """Named as the one of keyrings.alt."""


class MyPlaintextKeyring(PlaintextKeyring):
    pass


class ReadOnlyKeyring(WorkingKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        del service, username, password
        raise NotImplementedError


class RaisingKeyring(WorkingKeyring):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> NoReturn:
        del service, username
        raise self.error


class LeakingKeyring(WorkingKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        del service, username
        raise PasswordSetError(f"cannot store {password}")


class HangingKeyring(WorkingKeyring):
    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        del service, username
        self.release.wait()
        return None


def no_keyring() -> KeyringBackend:
    return fail.Keyring()  # type: ignore[no-untyped-call]  # as above


def null_keyring() -> KeyringBackend:
    return null.Keyring()  # type: ignore[no-untyped-call]  # as above


class PyWinError(Exception):
    """As pywintypes.error: no KeyringError, three arguments."""


class Chained(chainer.ChainerBackend):
    """A chainer whose members a test chooses; the real one takes all that are viable."""

    priority: ClassVar[float] = -5
    backends: ClassVar[list[KeyringBackend]] = []


def chained(*backends: KeyringBackend) -> Chained:
    keyring = Chained()  # type: ignore[no-untyped-call]  # as above
    Chained.backends = list(backends)
    return keyring


def begin(home: Path, monkeypatch: pytest.MonkeyPatch) -> WorkingKeyring:
    """Make this the home, name no key anywhere, and put a working keyring in place."""
    monkeypatch.setenv("MAILOAUTH_HOME", str(home))
    for name in ("MAILOAUTH_KEY", "MAILOAUTH_KEY_FILE", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    backend = WorkingKeyring()
    keyring.set_keyring(backend)
    return backend
