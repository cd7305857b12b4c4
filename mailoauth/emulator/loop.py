"""The thread on which the mail servers live, and the sockets on which they listen."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

_Result = TypeVar("_Result")

_ATTEMPTS = 20
_BACKLOG = 1024


class LoopThread:
    """A daemon thread with an event loop of its own; its verbs are for other threads."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Call a function there, between the steps of the servers; here once they are gone."""

        async def work() -> _Result:
            return function()

        return self.run(work()) if self._thread.is_alive() else function()

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


def loopback_sockets() -> list[socket.socket]:
    """Listen on one free port of 127.0.0.1, and of ::1 where there is IPv6.

    Clients that try ::1 first wait for its refusal otherwise, two seconds on Windows;
    and the port must not be somebody else's there.
    """
    for _ in range(_ATTEMPTS):
        first = _listener(socket.AF_INET, "127.0.0.1", 0)
        try:
            return [first, _listener(socket.AF_INET6, "::1", first.getsockname()[1])]
        except OSError:
            if not _has_ipv6():
                return [first]
            first.close()
    message = "No port is free on both loopback addresses."
    raise OSError(message)


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY on what it accepts only where the protocol is spelled
    # out; without it every sign-in takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _has_ipv6() -> bool:
    try:
        _listener(socket.AF_INET6, "::1", 0).close()
    except OSError:
        return False
    return True


async def _cancel_all() -> None:
    # Once without cancelling, so that connections that were cut can say goodbye to their tasks.
    await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
