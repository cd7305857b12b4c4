"""Troubles that a test orders: the identity service answers wrongly, late or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from mailoauth.emulator.identity_replies import refusal_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One trouble; ``hang`` alone is only late, and the true answer follows."""

    status: int | None = None
    body: str | None = None
    error: dict[str, Any] | None = None
    cut: bool = False
    hang: float = 0.0
    retry_after: str | None = None
    location: str | None = None
    path: str = "/token"

    @property
    def only_late(self) -> bool:
        """Whether the true answer follows."""
        return self.response() is None and not self.cut

    def response(self) -> Response | None:
        """Return what is answered instead, None for the true answer."""
        fields = {"Retry-After": self.retry_after, "Location": self.location}
        headers = {name: value for name, value in fields.items() if value is not None}
        if self.error is not None:
            content = json.dumps(refusal_body(self.error))
            return Response(content, self.status or 400, headers, "application/json")
        if self.body is not None:
            return Response(self.body, self.status or 200, headers, _kind_of(self.body))
        status = self.status or (307 if self.location else 429 if headers else None)
        if status is None:
            return None
        return Response("<html><body>Service unavailable</body></html>", status, headers)


def _kind_of(body: str) -> str:
    return "application/json" if body.lstrip()[:1] in {"{", "[", '"'} else "text/html"


@dataclass(slots=True)
class Troubles:
    """The faults to come and the connections to cut; safe from any thread."""

    faults: list[Fault] = field(default_factory=list)
    refusing: bool = False
    connections: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, path: str) -> Fault | None:
        """Return the next fault for a path, which is then gone."""
        with self.lock:
            for fault in self.faults:
                if path.endswith(fault.path):
                    self.faults.remove(fault)
                    return fault
        return None

    def cut(self, request: Request) -> None:
        """Reset the connection that the request came by."""
        client = request.client
        transport = self.connections.get((client.host, client.port)) if client else None
        if transport is not None:
            transport.abort()

    def refuse_connections(self, *, refusing: bool) -> None:
        """Reset what is open and whatever comes, until told otherwise."""
        self.refusing = refusing
        if refusing:
            self._on_loop(self.cut_all)

    def end(self) -> None:
        """End every lateness and cut every connection: the service stops."""
        self._on_loop(self.ending.set)
        self._on_loop(self.cut_all)

    async def be_late(self, seconds: float) -> None:
        """Wait, but not longer than the service lives."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)

    def _on_loop(self, call: Callable[[], object]) -> None:
        # RuntimeError: the loop has been closed already.
        with contextlib.suppress(RuntimeError):
            if self.loop is not None:
                self.loop.call_soon_threadsafe(call)

    def cut_all(self) -> None:
        """Reset every open connection; on the service's own loop only."""
        for transport in list(self.connections.values()):
            transport.abort()


def protocol_with(troubles: Troubles) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol class, which lets the troubles reach its connections."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            super().connection_made(transport)
            # The addresses hold codes, and the log is the process's own.
            self.access_log = False
            if self.client is not None:
                troubles.connections[self.client] = transport
            if troubles.refusing:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                troubles.connections.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol
