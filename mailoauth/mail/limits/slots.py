"""Slots: so many of something at a time among all processes of this machine."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError, ConnectionTimedOut
from mailoauth.mail.limits.turns import turns_of

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.mail.limits.turns import Turns
    from mailoauth.network import Deadline

_logger = logging.getLogger("mailoauth.mail")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_told: set[str] = set()


class Slot:
    """One of the slots; also free when its process dies, however that happens.

    A forked child neither holds nor frees it.
    """

    def __init__(self, turns: Turns, index: int) -> None:
        self._turns: Turns | None = turns
        self._index = index
        self._process = os.getpid()

    def release(self) -> None:
        """Give it back; once more does nothing."""
        turns, self._turns = self._turns, None
        if turns is not None and self._process == os.getpid():
            turns.free(self._index)

    def __del__(self) -> None:
        # A task that was cancelled in the moment of its success drops what it has just got.
        with suppress(Exception):
            self.release()


class Slots:
    """At most ``count`` holders among all processes that use the same folder and name.

    Where others have another count, the smaller is the stricter one. Where the folder
    cannot be written they are shared within this process only, which is said once at INFO.
    Nothing is touched before the first take. After a fork it begins anew in the child.
    """

    def __init__(self, name: str, count: int, folder: Path) -> None:
        check_name(name)
        if count < 1:
            raise ConfigError(f"count is {count!r}.", remedy="At least 1 is needed.")
        self._count = count
        self._folder = folder.absolute()
        self._turns = turns_of(self._folder, name)

    async def take(self, deadline: Deadline) -> Slot:
        """Wait for a turn and return its slot; ``ConnectionTimedOut`` when the deadline is over.

        Whoever waits longest in this process comes first, and processes take turns.
        """
        turns = self._turns
        ticket = turns.join(self)
        index = None
        try:
            while True:
                index = turns.attempt(ticket, self._count)
                tell_alone(self._folder, turns.trouble)
                if index is not None:
                    return Slot(turns, index)
                if deadline.passed:
                    raise self._too_late()
                pause = turns.patience(ticket)
                remaining = deadline.remaining()
                await ticket.pause(pause if remaining is None else min(pause, remaining))
        finally:
            turns.leave(ticket, served=index is not None)

    def wanted(self) -> bool:
        """Say whether another process, or another object of this one, is next to get a slot.

        Then it helps to give one back. Cheap, and never blocks.
        """
        return self._turns.wanted_by_others(self)

    def _too_late(self) -> ConnectionTimedOut:
        return ConnectionTimedOut(
            f"All {self._count} connections that the account may have at a time were in use, here "
            "or in other processes of this machine, until the deadline: nothing was sent.",
            remedy="Try again later, or allow more time.",
        )


def check_name(name: str) -> None:
    """Raise ``ConfigError`` unless the text can be part of a file's name on every system."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name limits.", remedy="Letters, digits and ._- can, 100 at most."
        )


def tell_alone(folder: Path, trouble: Exception | None) -> None:
    """Say once a folder that limits are kept within this process only, and why."""
    if trouble is None or str(folder) in _told:
        return
    _told.add(str(folder))
    _logger.info(
        "The limits of accounts are kept within this process only, not with others of this "
        "machine: %s",
        trouble,
    )
