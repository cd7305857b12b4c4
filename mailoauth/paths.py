"""Where things lie: everything under ``MAILOAUTH_HOME``, else in the platform's own folders."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from mailoauth.errors import ConfigError, StoreError

_SET_HOME = "Set MAILOAUTH_HOME to a folder that this process may write."


def home() -> Path | None:
    """Return the folder that MAILOAUTH_HOME names, or None; creates nothing, as all of these."""
    value = os.environ.get("MAILOAUTH_HOME", "")
    if not value:
        return None
    try:
        return Path(value).expanduser().absolute()
    except (RuntimeError, KeyError, OSError) as exc:
        raise ConfigError(
            f"MAILOAUTH_HOME is {value!r}, and that folder cannot be found: {exc}.",
            remedy="Set MAILOAUTH_HOME to an absolute path.",
        ) from exc


def accounts_file() -> Path:
    """Return where the accounts file is or would be."""
    return (home() or _platform_folder("config")) / "accounts.toml"


def data_folder() -> Path:
    """Return the folder that holds records, locks and states."""
    return home() or _platform_folder("data")


def records_folder() -> Path:
    """Return the folder of the sealed token records."""
    return data_folder() / "records"


def locks_folder() -> Path:
    """Return the folder of the lock files.

    It is not the platform's runtime folder: a cron job and a desktop session of
    one user have different ones, and would not exclude each other.
    """
    return data_folder() / "locks"


def limits_folder() -> Path:
    """Return the folder where the processes of a machine share an account's limits."""
    return data_folder() / "limits"


def states_folder() -> Path:
    """Return the folder where long-running commands keep how far they are."""
    return data_folder() / "states"


def make_private_folder(path: Path) -> None:
    """Make the folder and its missing parents, for this user only (0700 whatever the umask).

    A folder that exists is left as it is. Raises ``StoreError``.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            # Another process may be making it at this moment.
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
        if not path.is_dir():
            raise NotADirectoryError(None, "it is a file")
    except OSError as exc:
        raise StoreError(
            f"The folder {path} cannot be made: {exc.strerror or exc}.",
            remedy=f"Make it writable for this user, or: {_SET_HOME}",
        ) from exc


def write_durably(path: Path, data: bytes) -> None:
    """Replace the file so that after a crash it is the old or the new one, whole (mode 0600).

    The data is on the disk when this returns. Raises ``OSError``; the old file
    is then untouched and no temporary one is left. The folder must exist.
    """
    import tempfile  # noqa: PLC0415 - slow to import, and whoever only reads needs none

    # mkstemp makes the file 0600 at most from the start.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            Path(name).chmod(0o600)  # whatever the umask took away
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(name, path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _replace(temporary: str, path: Path, *, attempts: int = 20) -> None:
    for _ in range(attempts - 1):
        try:
            os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
        except PermissionError:
            if sys.platform != "win32":
                raise
            # On Windows a file cannot be replaced in the instant that another process reads it.
            time.sleep(0.025)
        else:
            return
    os.replace(temporary, path)  # noqa: PTH105 - see above


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be opened there; NTFS journals the rename
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network and FUSE file systems refuse to sync a folder; the rename has happened.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _platform_folder(kind: Literal["config", "data"]) -> Path:
    import platformdirs  # noqa: PLC0415 - not needed to import mailoauth, nor with MAILOAUTH_HOME

    find = platformdirs.user_config_path if kind == "config" else platformdirs.user_data_path
    try:
        folder = find("mailoauth", appauthor=False)
    except (RuntimeError, KeyError, OSError) as exc:
        raise _no_home(kind) from exc
    if not folder.is_absolute() or "~" in folder.parts or _in_nobodys_home(folder):
        raise _no_home(kind)
    return folder


def _in_nobodys_home(folder: Path) -> bool:
    # Without HOME the password database is asked; for services and containers
    # it says "/" or a folder that is not there.
    if sys.platform == "win32" or os.environ.get("HOME"):
        return False
    try:
        user_home = Path.home()
    except (RuntimeError, KeyError):
        return False
    if not folder.is_relative_to(user_home):
        return False  # an XDG variable names it
    hidden = folder.relative_to(user_home).parts[0] in {".config", ".local", "Library"}
    return hidden and (user_home == Path(user_home.anchor) or not user_home.is_dir())


def _no_home(kind: str) -> ConfigError:
    return ConfigError(
        f"This process has no home folder (HOME is not set), so there is no {kind} folder.",
        remedy=_SET_HOME,
    )
