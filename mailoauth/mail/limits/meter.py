"""A ledger that the processes of this machine share: in a small file, changed under a lock."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from mailoauth.errors import ConnectionTimedOut, StoreError
from mailoauth.mail.limits.ledger import Ledger
from mailoauth.mail.limits.lock_files import Lock, guard, try_lock
from mailoauth.mail.limits.slots import tell_alone
from mailoauth.mail.limits.twin_files import TwinFiles
from mailoauth.tokens.locks import LOCK_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailoauth.network import Deadline

_logger = logging.getLogger("mailoauth.mail")
_Result = TypeVar("_Result")

#: Seconds between two tries for the lock, which is held for less than one of them.
_PAUSE: Final = (0.001, 0.005)
_TRIES_AT_ONCE: Final = 5
#: What could not be written to the file of that name, and counts instead of it.
_unwritten: dict[str, bytes] = {}


class Meter:
    """The ledger in the file; ``in_doubt`` makes the one that replaces a damaged one."""

    def __init__(self, path: Path, in_doubt: Callable[[], Ledger]) -> None:
        self._path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._name = str(path)
        self._files = TwinFiles(path)
        self._in_doubt = in_doubt
        self._trouble: Exception | None = None
        self._damage: ValueError | None = None

    async def change(self, decide: Callable[[Ledger], _Result], deadline: Deadline) -> _Result:
        """Let a function change the ledger, and return what it returns; waits for others.

        What it changes is kept when it raises, too. Raises ``ConnectionTimedOut``.
        """
        lock = await self._lock(deadline)
        try:
            return self._change(decide, lock)
        finally:
            self._tell()

    def change_at_once(self, decide: Callable[[Ledger], object]) -> None:
        """Do the same without waiting; not at all where others are in the way."""
        for _ in range(_TRIES_AT_ONCE):
            try:
                lock = try_lock(self._lock_path)
            except (OSError, StoreError):
                self._change(decide, None)
                return
            if lock is not None:
                self._change(decide, lock)
                return
            time.sleep(_PAUSE[0] / _TRIES_AT_ONCE)

    def read(self) -> Ledger:
        """Return what the ledger says now, an empty one if it cannot be read; never raises."""
        for _ in range(_TRIES_AT_ONCE):
            # Without the lock both files can be met in the middle of being written, but for once.
            with suppress(OSError, ValueError), guard:
                data = _unwritten.get(self._name) or self._files.read()
                return Ledger() if data is None else Ledger.decode(data)
        return Ledger()

    async def _lock(self, deadline: Deadline) -> Lock | None:
        until = time.monotonic() + LOCK_WAIT
        while True:
            try:
                lock = try_lock(self._lock_path)
            except (OSError, StoreError) as error:
                self._trouble = error
                return None
            if lock is not None:
                return lock
            if deadline.passed or time.monotonic() > until:
                raise ConnectionTimedOut(
                    "Another process of this machine was counting its messages all the time: "
                    "nothing was sent.",
                    remedy=f"Try again; if it stays so, see which process holds {self._lock_path}.",
                )
            await asyncio.sleep(random.uniform(*_PAUSE))  # noqa: S311 - no secret

    def _change(self, decide: Callable[[Ledger], _Result], lock: Lock | None) -> _Result:
        try:
            with guard:
                ledger, before = self._load()
                try:
                    return decide(ledger)
                finally:
                    after = ledger.encode()
                    if after != before:
                        self._save(after, lock)
        finally:
            if lock is not None:
                lock.release()

    def _load(self) -> tuple[Ledger, bytes | None]:
        pending = _unwritten.get(self._name)
        data = None
        try:
            data = self._files.read()  # also where it does not count: the next write follows it
            data = data if pending is None else pending
            return (Ledger() if data is None else Ledger.decode(data)), data
        except OSError as error:
            self._trouble = error
        except ValueError as error:  # torn, damaged
            if pending is None:
                self._damage = error
                return self._in_doubt(), None
        return (Ledger() if pending is None else Ledger.decode(pending)), pending

    def _save(self, data: bytes, lock: Lock | None) -> None:
        try:
            if lock is None:
                _unwritten[self._name] = data
                return
            self._files.write(data)
        except OSError as error:
            self._trouble = error
            _unwritten[self._name] = data
        else:
            _unwritten.pop(self._name, None)

    def _tell(self) -> None:
        """Log what was met; not before, see ``guard``."""
        trouble, self._trouble = self._trouble, None
        tell_alone(self._path.parent, trouble)
        damage, self._damage = self._damage, None
        if damage is not None:
            _logger.warning(
                "The count of what was sent lately, %s, was damaged (%s). To be safe the next "
                "message waits for a minute; the recipients of the last day are counted anew.",
                self._path,
                damage,
            )
