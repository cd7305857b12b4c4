"""Signals that end the process, as exceptions: a command that is told to end unwinds."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_USUAL: Final = (signal.SIG_DFL, signal.default_int_handler)
#: The signal that came, if any.
_heard: list[int] = []


class Terminated(BaseException):
    """The process was told to end, by the signal of this number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def termination_raised() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise :class:`Terminated`, and SIGINT ``KeyboardInterrupt``.

    Only where signals can be heard, in the main thread. What the process was started to
    ignore (`nohup`, a job in the background) stays ignored, and whoever calls this with
    handlers of their own keeps them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    _heard.clear()
    for name in _NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in _USUAL:
            before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _heard.clear()


def check() -> None:
    """Raise once more for a signal that has come.

    An exception that is raised while a destructor runs is only printed: a loop that asks
    here between its steps ends all the same.
    """
    if _heard:
        _raise(_heard[-1])


def _stop(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)
    _raise(number)


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)
