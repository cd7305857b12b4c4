"""Where the key is, and how it moves to another place: what `mailoauth keys` shows and does."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailoauth import accounts
from mailoauth.errors import StoreError
from mailoauth.tokens.keys import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    Key,
    create_key_file,
    named_place,
    read_key_file,
)
from mailoauth.tokens.store import Sealer

if TYPE_CHECKING:
    from mailoauth.tokens.keys import KeySource
    from mailoauth.tokens.token import TokenStore


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """A place for the key: ``detail`` is the variable, the path or the keyring's name.

    ``fingerprint`` is None where there is no key yet: a keyring gets one at the
    first sign-in. ``problem`` says why it is not ``usable``, and what to do.
    """

    source: KeySource
    detail: str
    fingerprint: str | None = None
    usable: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KeyMove:
    """What moving the key did; ``next_steps`` are sentences for the person who asked for it.

    ``opened`` counts the records that the key opens, ``unopened`` those that need
    another key, are damaged, or come from a later mailoauth.
    """

    old: KeyPlace
    new: KeyPlace
    removed: bool
    opened: int
    unopened: int
    next_steps: tuple[str, ...]


def where(sealer: Sealer | None = None) -> KeyPlace:
    """Return where this process finds the key; makes none; may block while the keyring asks."""
    sealer = sealer or Sealer()
    source, detail = named_place() or ("keyring", "")
    try:
        key = sealer.find(again=True)
        if key is None:
            return KeyPlace("keyring", sealer.keyring.keyring_name())
    except StoreError as exc:
        return KeyPlace(source, detail, usable=False, problem=str(exc))
    return _place_of(key)


def move_key(
    to: Path | Literal["keyring"],
    records: TokenStore,
    *,
    remove: bool = True,
    sealer: Sealer | None = None,
) -> KeyMove:
    """Copy the key to a file or the keyring, prove the copy, and remove the old one last.

    Killed at any point the key is in at least one place, and the same call goes
    on from there. Another key that is at the new place already is never replaced.
    A key in the environment cannot be removed.
    """
    sealer = sealer or Sealer()
    with sealer.keyring.changing():
        old = sealer.find(again=True)
        if old is None:
            raise StoreError(
                "There is no key yet that could be moved.",
                remedy="Make one in a file: `mailoauth keys --create FILE`.",
            )
        opened, unopened = _count(sealer, records)
        new = _copy_to_keyring(sealer, old) if to == "keyring" else _copy_to_file(Path(to), old)
        # Both copies have just been read back and compared: only now may one go.
        moved = not _is_same_place(old, new)
        removed = remove and moved and _remove(sealer, old)
    steps = _next_steps(old, new, left_behind=moved and not removed)
    return KeyMove(_place_of(old), _place_of(new), removed, opened, unopened, steps)


def _place_of(key: Key) -> KeyPlace:
    return KeyPlace(key.source, key.detail, key.fingerprint)


def _is_same_place(old: Key, new: Key) -> bool:
    if old.source == new.source == "key file":
        # Two names of one file, by a link, are one place: removing it would lose the key.
        return Path(old.detail).samefile(new.detail)
    return old.source == new.source


def _count(sealer: Sealer, records: TokenStore) -> tuple[int, int]:
    names = records.list()
    opened = 0
    for name in names:
        with suppress(StoreError):
            data = records.load(name)
            opened += data is not None and sealer.open(name, data) is not None
    return opened, len(names) - opened


def _copy_to_file(path: Path, key: Key) -> Key:
    path = path.expanduser().absolute()
    if path.exists():
        # What a move that was killed here left behind.
        there = read_key_file(path)
        if there.value == key.value:
            return there
    create_key_file(path, key.value)
    there = read_key_file(path)
    if there.value != key.value:
        raise StoreError(f"{path} does not give back the key that was written; the old one stays.")
    return there


def _copy_to_keyring(sealer: Sealer, key: Key) -> Key:
    there = sealer.keyring.read(again=True)
    if there is None:
        sealer.keyring.write(key.value)
        there = sealer.keyring.read(again=True)
    if there is None or there.value != key.value:
        raise StoreError(
            "The keyring holds another key for this data folder, and records may need it.",
            remedy="Nothing was changed. If no record needs it, remove the entry of the service "
            "'mailoauth' in the keyring yourself.",
        )
    return there


def _remove(sealer: Sealer, key: Key) -> bool:
    match key.source:
        case "environment":
            return False
        case "keyring":
            sealer.keyring.remove()
        case "key file":
            try:
                Path(key.detail).unlink(missing_ok=True)
            except OSError:
                return False  # a mounted secret, most likely: the next steps say it
    return True


def _next_steps(old: Key, new: Key, *, left_behind: bool) -> tuple[str, ...]:
    steps = []
    if new.source == "key file" and accounts.key_file() != Path(new.detail):
        steps.append(
            f"Set {KEY_FILE_VARIABLE}={new.detail} for every process that uses mailoauth, or "
            f"write key_file = {new.detail!r} under [store] in the accounts file."
        )
    if new.source == "keyring" and accounts.key_file() is not None:
        named = KEY_FILE_VARIABLE in os.environ
        what = KEY_FILE_VARIABLE if named else "key_file under [store] in the accounts file"
        steps.append(f"Take away {what}: it goes before the keyring.")
    if old.source == "environment":
        steps.append(
            f"Take {KEY_VARIABLE} out of the environment: it goes before all other places."
        )
    elif left_behind:
        steps.append(f"The key is still in the {old.place.removeprefix('keyring: ')} as well.")
    return tuple(steps)
