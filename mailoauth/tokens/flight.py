"""Flight: one refresh under way, which any number of callers wait for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.tokens.record import TokenRecord


class Flight:
    """One refresh under way, which any number of callers wait for."""

    def __init__(self, floor: int, *, forced: bool = False) -> None:
        self.floor = floor
        self.forced = forced
        self.done = threading.Event()
        self.record: TokenRecord | None = None
        self.error: BaseException | None = None

    def serves(self, floor: int, *, forced: bool) -> bool:
        """Say whether a caller that wants a later generation than ``floor`` may join."""
        return not self.done.is_set() and self.floor >= floor and (self.forced or not forced)

    def start(self, renew: Callable[[], TokenRecord]) -> bool:
        """Run ``renew`` on a thread that the interpreter waits for at exit.

        False where there are no more threads to be had, at the end of the program for
        one: then the caller must run it itself.
        """
        thread = threading.Thread(
            target=self.run, args=(renew,), name="mailoauth-refresh", daemon=False
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        return True

    def run(self, renew: Callable[[], TokenRecord]) -> None:
        """Run ``renew`` and keep what came of it for those who wait."""
        try:
            self.record = renew()
        except BaseException as error:  # noqa: BLE001 - raised again in every caller that waits
            self.error = error
        finally:
            self.done.set()
