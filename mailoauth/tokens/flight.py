"""Flight: one refresh under way, which any number of callers wait for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.tokens.record import TokenRecord


class Flight:
    """One refresh under way, which any number of callers wait for."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.done = threading.Event()
        self.record: TokenRecord | None = None
        self.error: BaseException | None = None

    def start(self, renew: Callable[[], TokenRecord]) -> None:
        """Run ``renew`` on a thread that the interpreter waits for at exit."""

        def run() -> None:
            try:
                self.record = renew()
            except BaseException as error:  # noqa: BLE001 - raised again in every caller that waits
                self.error = error
            finally:
                self.done.set()

        try:
            threading.Thread(target=run, name="mailoauth-refresh", daemon=False).start()
        except RuntimeError:  # the interpreter is shutting down and starts no more threads
            run()
