"""Ctrl-C for long runs: the first asks to finish what is under way, the second ends at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")


class Finishing:
    """Whether a run was told to end; ``number`` is the signal's, 0 while none came."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.number = 0
        self._tell = tell
        self._before: dict[int, Any] = {}

    def take_over(self) -> None:
        """Hear the signals that would end the process; those that are ignored stay ignored."""
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and callable(signal.getsignal(number)):
                self._before[number] = signal.signal(number, self._hear)

    def give_back(self) -> None:
        """Let the signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            self._before[number](number, frame)  # raises
            return
        self.number = number
        self._tell()


@contextlib.contextmanager
def finishing(tell: Callable[[], None]) -> Iterator[Finishing]:
    """Note the first signal instead of raising for it; ``tell`` says so to a person.

    Only where signals can be heard, in the main thread. The second does what it would
    have done before.
    """
    state = Finishing(tell)
    if threading.current_thread() is threading.main_thread():
        state.take_over()
    try:
        yield state
    finally:
        state.give_back()
