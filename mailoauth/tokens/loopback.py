"""The page on this computer to which the identity service sends the browser back (RFC 8252)."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import socketserver
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from mailoauth.errors import ConfigError, SignInFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

_ATTEMPTS = 10
_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Loopback:
    """Listens on http://localhost for the one answer that carries our ``state``.

    A context manager. Anything else that comes (a page of somebody else's making
    can send a browser here, too) is shown an error and does not end the wait.
    """

    def __init__(self, port: int | None = None) -> None:
        self._servers = _listen(port)
        self.port: int = self._servers[0].server_address[1]
        self._threads = [
            threading.Thread(
                target=server.serve_forever, args=(0.05,), name="mailoauth sign-in", daemon=True
            )
            for server in self._servers
        ]
        self._state = ""
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._answer: dict[str, str] = {}
        self._mismatched = False

    def __enter__(self) -> Self:
        for server in self._servers:
            server.loopback = self
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def redirect_uri(self) -> str:
        """What the identity service is told; it ignores the port of localhost."""
        return f"http://localhost:{self.port}"

    def expect(self, state: str) -> None:
        """Take the answer with this state from now on."""
        self._state = state

    def wait(self, timeout: float) -> dict[str, str]:
        """Return the answer's parameters; blocks.

        Raises ``SignInFailed`` with the reason "expired", or "state_mismatch" where
        only answers to another sign-in came.
        """
        if self._arrived.wait(timeout):
            return dict(self._answer)
        if self._mismatched:
            raise SignInFailed(
                "The browser came back with the answer to another sign-in.",
                reason="state_mismatch",
                remedy="Sign in again, in the window that opens last.",
            )
        raise SignInFailed(
            f"Nobody finished the sign-in in the browser within {timeout:g} seconds.",
            reason="expired",
            remedy="Sign in again. On a machine without a browser use --device-code or --no-browser.",
        )

    def receive(self, query: str) -> tuple[int, str, str]:
        """Take a query; return the status, title and text of the page to show."""
        answer = parameters(query)
        if answer is None:
            return 400, "Nothing to do here", "This address is for the end of a sign-in only."
        state = answer.get("state", "")
        if not self._state or not secrets.compare_digest(state.encode(), self._state.encode()):
            self._mismatched = True
            text = "It does not belong to the sign-in that is waiting. Use the latest window."
            return 400, "This is not our sign-in", text
        with self._lock:
            if not self._arrived.is_set():
                self._answer = answer
                self._arrived.set()
        if "error" in answer:
            said = answer.get("error_description") or answer["error"]
            return 400, "You are not signed in", said[:300]
        return 200, "You are signed in", "You can close this window."


def parameters(query: str) -> dict[str, str] | None:
    """Return the parameters of an answer, None if it is none (RFC 6749 section 4.1.2)."""
    try:
        fields: Mapping[str, list[str]] = parse_qs(query, max_num_fields=50)
    except ValueError:
        return None
    # Twice the same parameter is not allowed, and would let one check see another code.
    if any(len(values) > 1 for values in fields.values()):
        return None
    answer = {name: values[0] for name, values in fields.items()}
    return answer if ("code" in answer) != ("error" in answer) else None


class _Page(BaseHTTPRequestHandler):
    """Serves GET / and nothing else."""

    server: _Server
    # A browser may open a connection and say nothing for a while.
    timeout = 30.0
    server_version = "mailoauth"
    sys_version = ""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        host = self.headers.get("Host", "").rpartition(":")
        # A name that points here by DNS only (rebinding) is not our page.
        if address.path not in {"", "/"} or host[0] not in _NAMES or self.server.loopback is None:
            self._show(404, "Not found", "There is nothing here.")
            return
        self._show(*self.server.loopback.receive(address.query))

    def _show(self, status: int, title: str, text: str) -> None:
        page = _PAGE.format(title=escape(title), text=escape(text)).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
            ("Cache-Control", "no-store"),
            # The address holds the code: no other page is to learn it.
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write no log: the address holds the code."""


class _Server(ThreadingHTTPServer):
    """One of the two loopback addresses; a thread each, so that an idle connection blocks nobody."""

    daemon_threads = True
    block_on_close = False
    # On Windows it would let another program take the port over.
    allow_reuse_address = os.name == "posix"
    loopback: Loopback | None = None

    def server_bind(self) -> None:
        """Bind without the name look-up of the library, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a browser that went away."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _listen(port: int | None) -> list[_Server]:
    for _ in range(_ATTEMPTS):
        try:
            servers = [_Server(("127.0.0.1", port or 0), _Page)]
        except (OSError, OverflowError) as exc:
            raise _taken(port, exc) from exc
        try:
            servers.append(_Server6(("::1", servers[0].server_address[1]), _Page))
        except OSError as exc:
            if exc.errno not in {errno.EADDRINUSE, errno.EACCES}:
                return servers  # no IPv6 here
            # Somebody else has the port there, and the browser may prefer that address.
            servers[0].server_close()
            if port is not None:
                raise _taken(port, exc) from exc
            continue
        return servers
    raise _taken(port, None)


def _taken(port: int | None, exc: Exception | None) -> ConfigError:
    reason = getattr(exc, "strerror", None) or str(exc or "every port was in use")
    return ConfigError(
        f"The sign-in cannot listen on port {port or 0} of this computer: {reason}.",
        remedy="Choose another --port, or sign in with --no-browser or --device-code.",
    )
