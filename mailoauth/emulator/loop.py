"""The thread on which the mail servers live, and the sockets on which they listen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

_Result = TypeVar("_Result")

_ATTEMPTS = 20
_BACKLOG = 1024


class Listener(socket.socket):
    """A listening socket that knows what it has accepted."""

    accepted: list[socket.socket]

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it as long as it is open."""
        connection, address = super().accept()
        self.accepted = [one for one in self.accepted if one.fileno() >= 0]
        self.accepted.append(connection)
        return connection, address


async def stop_listening(servers: Iterable[asyncio.Server]) -> None:
    """Close the servers once what they have accepted is attached to them.

    asyncio cannot attach a connection to a server that was closed in between, and then
    leaves its socket open (an assertion in ``Server._attach`` of CPython 3.11).
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    for server in servers:
        server.close()


async def all_closed(listeners: Iterable[Listener]) -> None:
    """Let the loop go on until no accepted connection is open; TLS ends in several steps.

    A loop that stops before leaves sockets to the garbage collector, which complains.
    Connections whose TLS is not set up yet, or that the client has half closed, are known
    to no server: they are ended here. asyncio keeps a list of them, but not in public.
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):  # it spins: only a machine that is busy needs so long
            # One that was accepted a moment ago gets its transport only in the next step.
            while any(one.fileno() >= 0 for listener in listeners for one in listener.accepted):
                for transport in list(getattr(loop, "_transports", {}).values()):
                    transport.abort()
                await asyncio.sleep(0)


class LoopThread:
    """A daemon thread with an event loop of its own; its verbs are for other threads."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._listeners: list[Listener] = []
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def listen(self) -> list[Listener]:
        """Return listening sockets for a server of this loop; see :func:`loopback_sockets`."""
        listeners = loopback_sockets()
        self._listeners += listeners
        return listeners

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
        # The connections first: a task that is cancelled before it began leaves its socket open.
        self.run(all_closed(self._listeners))
        self.run(_cancel_all())
        # What the tasks closed on their way out takes its steps, too.
        self.run(all_closed(self._listeners))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


def loopback_sockets() -> list[Listener]:
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


def _listener(family: socket.AddressFamily, host: str, port: int) -> Listener:
    # asyncio sets TCP_NODELAY on what it accepts only where the protocol is spelled
    # out; without it every sign-in takes 40 ms longer.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.accepted = []
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
