"""The key that seals the records, and two of the places where it can be: environment and file.

The third, the keyring, is in :mod:`mailoauth.tokens.store`.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mailoauth import accounts, paths
from mailoauth.errors import StoreError
from mailoauth.tokens import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

KeySource = Literal["environment", "key file", "keyring"]

KEY_VARIABLE = "MAILOAUTH_KEY"
KEY_FILE_VARIABLE = "MAILOAUTH_KEY_FILE"
KEY_SIZE = 32
KEEP_IN_A_FILE = (
    "Keep the key in a file instead: `mailoauth keys --create FILE`, then set "
    f"{KEY_FILE_VARIABLE}=FILE (or key_file under [store] in the accounts file)."
)

_IN_ENVIRONMENT: tuple[Literal["environment"], str] = ("environment", KEY_VARIABLE)
_LONGEST_FILE = 4096
_log = logging.getLogger("mailoauth.tokens")
_read_before: dict[Path, tuple[tuple[Path, int, int, int], Key]] = {}
_named_before: dict[tuple[Path, int, int, int], Path | None] = {}


@dataclass(frozen=True, slots=True)
class Key:
    """The key and where it was found; ``detail`` is the variable, the path or the keyring's name."""

    value: bytes = field(repr=False)
    source: KeySource
    detail: str

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell keys apart and say nothing about them."""
        import hashlib  # noqa: PLC0415 - not needed to import mailoauth

        return hashlib.sha256(b"mailoauth key fingerprint\0" + self.value).hexdigest()[:16]

    @property
    def place(self) -> str:
        """Where it is, as sealed records and messages say it."""
        match self.source:
            case "environment":
                return f"environment variable {self.detail}"
            case "key file":
                return f"key file {self.detail}"
            case "keyring":
                return f"keyring: {self.detail}"


def encode(value: bytes) -> str:
    """Return the key as the variable, the file and the keyring hold it."""
    return base64.b64encode(value).decode()


def decode(text: str, holder: str) -> bytes:
    """Return the key that ``holder`` (named in errors; the text never is) has as base64."""
    remedy = (
        f"It must be {KEY_SIZE} random bytes in base64, 44 characters on one line: "
        "`mailoauth keys --create FILE` makes a file of that."
    )
    if not text.strip():
        raise StoreError(f"{holder} is empty.", remedy=remedy)
    value = _from_base64(text.strip())
    if value is None:
        raise StoreError(f"{holder} is not base64.", remedy=remedy)
    if len(value) != KEY_SIZE:
        raise StoreError(
            f"{holder} holds a key of {len(value)} bytes instead of {KEY_SIZE}.", remedy=remedy
        )
    return value


def named_key(*, again: bool = False) -> Key | None:
    """Return the key that the environment or the configuration names, None if neither does.

    A key that is named and unusable is a ``StoreError``. A file is read once, and
    when it has changed, or ``again``.
    """
    text = os.environ.get(KEY_VARIABLE)
    if text is not None:
        return Key(decode(text, f"The environment variable {KEY_VARIABLE}"), *_IN_ENVIRONMENT)
    path = _named_file()
    if path is None:
        return None
    version = _version(path)
    known = _read_before.get(path)
    # A file that has gone leaves a running process its key; one that was replaced does not.
    if known is None or again or (version != known[0] and path.exists()):
        known = _read_before[path] = (version, read_key_file(path))
    return known[1]


def named_place() -> tuple[KeySource, str] | None:
    """Return what :func:`named_key` would read, without reading it."""
    if KEY_VARIABLE in os.environ:
        return _IN_ENVIRONMENT
    path = _named_file()
    return None if path is None else ("key file", str(path))


def read_key_file(path: Path) -> Key:
    """Read a file of one line of base64; warns where other users can read it too."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE)
    except OSError as exc:
        raise StoreError(
            f"The key file {path} cannot be read: {exc.strerror or exc}.",
            remedy=f"Mend {KEY_FILE_VARIABLE} or [store] key_file, or put the file back. Without "
            "this key the records that it sealed cannot be opened.",
        ) from exc
    # Latin-1 cannot fail; what is not ASCII is then refused as not base64.
    key = Key(decode(content.decode("latin-1"), f"The key file {path}"), "key file", str(path))
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        _log.warning(
            "The key file %s can be read by other users (mode %04o): chmod 600 '%s'.",
            path,
            mode & 0o777,
            path,
        )
    return key


def create_key_file(path: Path, value: bytes | None = None) -> None:
    """Write a new key (or a given one) to a file that must not exist yet; mode 0600, durable."""
    paths.make_private_folder(path.absolute().parent)
    content = encode(secrets.token_bytes(KEY_SIZE) if value is None else value) + "\n"
    try:
        durable.create(path.absolute(), content.encode())
    except FileExistsError as exc:
        raise StoreError(
            f"{path} exists already and is left as it is.",
            remedy="Name another file; if it is a key that nothing needs, remove it first.",
        ) from exc
    except OSError as exc:
        raise durable.trouble("written", path, exc) from exc


def child_environment(
    base: Mapping[str, str] | None = None, *, drop: Iterable[str] = ()
) -> dict[str, str]:
    """Return the environment for a child process: without the key, its file's name, and ``drop``.

    ``drop`` has the variables that a ``client_secret_env`` names.
    """
    withheld = {KEY_VARIABLE, KEY_FILE_VARIABLE, *drop}
    environment = os.environ if base is None else base
    return {name: value for name, value in environment.items() if name not in withheld}


@contextlib.contextmanager
def key_withheld() -> Iterator[None]:
    """Take the key's variables out of this process's environment for a moment.

    For libraries that start a child and let nobody choose its environment. Other
    threads that need the key in that moment go without: only for sign-ins.
    """
    withheld = {
        name: os.environ.pop(name)
        for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)
        if name in os.environ
    }
    try:
        yield
    finally:
        os.environ.update(withheld)


def _named_file() -> Path | None:
    if KEY_FILE_VARIABLE in os.environ:
        return accounts.key_file()
    # Each record asks: an accounts file of thousands is not parsed each time.
    version = _version(paths.accounts_file())
    if version not in _named_before:
        _named_before[version] = accounts.key_file()
    return _named_before[version]


def _version(path: Path) -> tuple[Path, int, int, int]:
    """Return what changes with a file's content, as far as the file system tells."""
    try:
        status = path.stat()
    except OSError:
        return (path, 0, 0, 0)
    return (path, status.st_mtime_ns, status.st_size, status.st_ino)


def _from_base64(text: str) -> bytes | None:
    # None and no exception: a UnicodeError holds on to the text that it could not read.
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return None
