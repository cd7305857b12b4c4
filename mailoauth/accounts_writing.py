"""Changes of the accounts file: under a lock, durably, with people's comments and order kept."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth import accounts_file, paths
from mailoauth.accounts_file import ACCOUNT_KEYS, PROVIDER_KEYS
from mailoauth.errors import ConfigError, StoreError
from mailoauth.presets import Endpoint, Provider, presets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Longer than anybody writes the file; whoever holds the lock longer has been stopped.
_LOCK_TIMEOUT = 10.0


def write_account(path: Path, name: str, row: Mapping[str, Any], provider: Provider) -> None:
    """Write an account's table, and its provider's unless that is a preset.

    ``row`` has the keys that are not as they would be without being named; of an
    existing table only what differs is touched. Raises ``ConfigError``.
    """
    with _locked(path):
        current = accounts_file.read(path)
        draft = _Draft(path, accounts_file.read_text(path))
        if _is_new(current, provider):
            draft.change("providers", provider.name, _provider_row(provider))
        name = same_name(name, current.accounts) or name
        old = dict(current.accounts.get(name, {}))
        if old:
            old["provider"] = old["provider"].name
        draft.change("accounts", name, _differing(name, row, old))
        draft.save()


def remove_account(path: Path, name: str) -> bool:
    """Remove an account's table; False if there is none. Raises ``ConfigError``."""
    if not path.exists():
        return False
    with _locked(path):
        found = same_name(name, accounts_file.read(path).accounts)
        if found is not None:
            draft = _Draft(path, accounts_file.read_text(path))
            draft.remove("accounts", found)
            draft.save()
        return found is not None


def same_name(name: str, names: Mapping[str, object]) -> str | None:
    """Return the name as the file has it; addresses are the same in any case."""
    if name in names:
        return name
    folded = name.casefold() if "@" in name else name
    return next((known for known in names if "@" in known and known.casefold() == folded), None)


def _is_new(current: accounts_file.AccountsFile, provider: Provider) -> bool:
    known = {**presets(), **current.providers}.get(provider.name)
    if known is None:
        return True
    if known == provider or _provider_row(known) == _provider_row(provider):
        return False
    raise ConfigError(
        f"The provider {provider.name!r} of this account is not the one of that name"
        f" {'that mailoauth brings along' if provider.name in presets() else f'in {current.path}'}.",
        remedy="Give the provider another name.",
    )


def _differing(name: str, row: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    # What a person wrote though it goes without saying stays.
    unsaid = {"tenant": "common", "sign_in": "user", "user": name}
    keys = [key for key in ACCOUNT_KEYS if row.get(key) != old.get(key)]
    return {
        key: row.get(key)
        for key in keys
        if not (key in unsaid and row.get(key) is None and old.get(key) == unsaid[key])
    }


def _provider_row(provider: Provider) -> dict[str, Any]:
    row = {key: _plain(getattr(provider, key)) for key in PROVIDER_KEYS}
    usual = Provider(name="usual", oauth="oauth2", issuer="https://example.com", scopes=("usual",))
    needed = {"oauth", "issuer", "scopes"}
    return {
        key: value
        for key, value in row.items()
        if value not in (None, "") and (key in needed or value != _plain(getattr(usual, key)))
    }


class _Draft:
    """The file's text while it changes, table by table.

    TOML libraries count the comment above a table as the end of the table before
    it, and would remove or misplace it; so each table is cut out by its lines, and
    what follows its last key stays where it is.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._old = text
        self._lines = text.replace("\r\n", "\n").rstrip("\n").split("\n") if text.strip() else []
        self._before = accounts_file.parse(path, text)
        self._expected = accounts_file.parse(path, text)

    def change(self, group: str, name: str, values: Mapping[str, Any]) -> None:
        """Set keys of a table, which is made if there is none; None removes a key."""
        import tomlkit  # noqa: PLC0415 - only writing needs it

        place = self._find(group, name)
        document: Any = {group: {name: {}}}
        if place is not None:
            try:
                document = tomlkit.parse("\n".join((*self._lines[slice(*place)], "")))
            except tomlkit.exceptions.TOMLKitError as exc:
                raise self._unchangeable() from exc
        expected = self._expected.setdefault(group, {}).setdefault(name, {})
        for key, value in values.items():
            if value is None:
                expected.pop(key, None)
                document[group][name].pop(key, None)
            else:
                expected[key] = _plain(value)
                document[group][name][key] = _inline(expected[key])
        changed = tomlkit.dumps(document).rstrip("\n").split("\n")
        if place is not None:
            self._lines[slice(*place)] = changed
        else:
            self._lines += ["", *changed] if self._lines else changed

    def remove(self, group: str, name: str) -> None:
        """Remove a table, and a blank line that it leaves behind."""
        del self._expected[group][name]
        if (place := self._find(group, name)) is not None:
            start, end = place
            del self._lines[start:end]
            around = self._lines[max(0, start - 1) : start + 1]
            if around and not any(around):
                del self._lines[start - 1 if start else 0]

    def _find(self, group: str, name: str) -> tuple[int, int] | None:
        headers = [i for i, line in enumerate(self._lines) if line.lstrip().startswith("[")]
        for start, end in pairwise((*headers, len(self._lines))):
            if _header_of(self._lines[start]) == {group: {name: {}}}:
                while not self._lines[end - 1].strip() or self._lines[end - 1].strip()[0] == "#":
                    end -= 1  # noqa: PLW2901 - it is this header's own end
                return start, end
        return None

    def save(self) -> None:
        """Replace the file, if the new text says what it should; raises ``ConfigError``."""
        if self._expected == self._before:
            return
        text = "\n".join((*self._lines, "")) if self._lines else ""
        if "\r\n" in self._old:
            text = text.replace("\n", "\r\n")
        try:
            found = accounts_file.parse(self._path, text)
        except ConfigError as exc:
            raise self._unchangeable() from exc
        # Removing the last account leaves an empty group or none.
        if {k: v for k, v in found.items() if v} != {k: v for k, v in self._expected.items() if v}:
            raise self._unchangeable()
        _replace(self._path, text)

    def _unchangeable(self) -> ConfigError:
        return ConfigError(
            f"The accounts file {self._path} is written in a form that mailoauth cannot change.",
            remedy='Give each account a table of its own: [accounts."ada@example.com"].',
        )


def _header_of(line: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - as in accounts_file

    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return {}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Endpoint):
        return {"host": value.host, "port": value.port, "tls": value.tls}
    return value


def _inline(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    import tomlkit  # noqa: PLC0415 - see above

    table = tomlkit.inline_table()
    table.update(value)
    return table


def _replace(path: Path, text: str) -> None:
    # Who keeps the file elsewhere behind a link wants that one changed.
    target = path.resolve()
    try:
        if target.exists() and not target.stat().st_mode & 0o222:
            raise PermissionError(None, "the file is read-only")
        paths.make_private_folder(target.parent)
        paths.write_durably(target, text.encode())
    except (OSError, StoreError) as exc:
        raise _unwritable(path, exc) from exc


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import filelock  # noqa: PLC0415 - only writing needs it

    folder = paths.locks_folder()
    try:
        paths.make_private_folder(folder)
        lock = filelock.FileLock(folder / "accounts.lock", timeout=_LOCK_TIMEOUT, mode=0o600)
        lock.acquire()
    except filelock.Timeout as exc:
        raise ConfigError(
            f"The accounts file {path} cannot be written: another process is writing it"
            f" for {_LOCK_TIMEOUT:g} seconds.",
            remedy="Try again when it has ended.",
        ) from exc
    except (OSError, StoreError) as exc:
        raise _unwritable(path, exc) from exc
    try:
        yield
    finally:
        lock.release()


def _unwritable(path: Path, exc: OSError | StoreError) -> ConfigError:
    reason = exc.message.rstrip(".") if isinstance(exc, StoreError) else exc.strerror or str(exc)
    if isinstance(exc, OSError) and exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ConfigError(
            f"The accounts file {path} cannot be written: {reason}.",
            remedy="Free some space or raise the quota; what was there before is untouched.",
        )
    return ConfigError(
        f"The accounts file {path} cannot be written: {reason}.",
        remedy="Make it writable, or write the account's table into it by other means;"
        " an account can also come wholly from the environment (MAILOAUTH_ADDRESS and others).",
    )
