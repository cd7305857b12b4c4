"""An ASGI application over HTTPS on a free loopback port, on a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import uvicorn

from mailoauth.emulator.identity_faults import protocol_with
from mailoauth.emulator.loop import all_closed, loopback_sockets

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from mailoauth.emulator.certificates import Certificates
    from mailoauth.emulator.identity_faults import Troubles
    from mailoauth.emulator.loop import Listener

STOP_TIMEOUT = 10.0


class HttpsServer:
    """uvicorn on a daemon thread; an unstopped one does not keep the process alive."""

    def __init__(
        self, application: Starlette, certificates: Certificates, troubles: Troubles
    ) -> None:
        self._troubles = troubles
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                http=protocol_with(troubles),
                ssl_certfile=certificates.chain_file,
                ssl_keyfile=certificates.key_file,
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen, and return the port; who connects at once waits until the thread is up."""
        sockets = loopback_sockets()
        port: int = sockets[0].getsockname()[1]
        self._thread = threading.Thread(
            target=asyncio.run,
            args=(self._serve(sockets),),
            name="emulated identity service",
            daemon=True,
        )
        self._thread.start()
        return port

    def stop(self) -> None:
        """Cut every connection and wait for the thread."""
        self._server.should_exit = self._server.force_exit = True
        self._troubles.end()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)

    async def _serve(self, sockets: list[Listener]) -> None:
        self._troubles.loop = asyncio.get_running_loop()
        await self._server.serve(list(sockets))
        await all_closed(sockets)
