"""What every connection has in common: the TLS context, the deadline, the socket's options."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError, ConnectionFailed, ConnectionTimedOut

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

_contexts: dict[tuple[str, int], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


def _new_lock_after_fork() -> None:
    global _contexts_lock  # noqa: PLW0603 - a thread of the parent may have held it
    _contexts_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_after_fork)


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return the context of all our connections: the system's roots and those of ``ca_file``.

    Certificates and host names are checked, TLS 1.2 is the least; nothing turns
    that off. The context is shared: do not change it. Raises ``ConfigError``.
    """
    key = ("", 0) if ca_file is None else (str(ca_file), _modified(ca_file))
    with _contexts_lock:
        context = _contexts.get(key)
        if context is None:
            # A file that was replaced leaves its old context behind: one at most.
            for old in [name for name in _contexts if name[0] == key[0]]:
                del _contexts[old]
            context = _contexts[key] = _make_context(ca_file)
        return context


def prepare_tls_context(ca_file: Path | None = None) -> None:
    """Begin to make the context on a thread, if there is none yet; does not block.

    Reading the system's roots takes as long as all else that comes before a connection.
    """
    with contextlib.suppress(RuntimeError):  # no thread to be had: it is made when it is needed
        if not any(
            name == ("" if ca_file is None else str(ca_file)) for name, _ in list(_contexts)
        ):
            # No daemon: an interpreter that ends while OpenSSL reads them would crash.
            threading.Thread(
                target=_prepare, args=(ca_file,), name="mailoauth-tls", daemon=False
            ).start()


def _prepare(ca_file: Path | None) -> None:
    with contextlib.suppress(ConfigError):  # whoever needs it will be told
        tls_context(ca_file)


def _modified(ca_file: Path) -> int:
    try:
        return ca_file.stat().st_mtime_ns
    except OSError as exc:
        raise _unusable(ca_file, exc.strerror or str(exc)) from exc


def _make_context(ca_file: Path | None) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - 20 ms that a session with a cached token may not need

    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if ca_file is not None:
        try:
            data = ca_file.read_bytes()
            if b"-----BEGIN" in data:
                context.load_verify_locations(cafile=ca_file)
            else:
                context.load_verify_locations(cadata=data)
        except (ssl.SSLError, ValueError) as exc:
            raise _unusable(ca_file, "it holds no certificate in PEM or DER form") from exc
        except OSError as exc:
            raise _unusable(ca_file, exc.strerror or str(exc)) from exc
    return context


def _unusable(ca_file: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"The ca_file {ca_file} cannot be used: {reason}.",
        remedy="It must be a readable file with the root certificates to trust, in PEM form.",
    )


class Deadline:
    """The end of a whole call, in seconds from now; None is never."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Return the seconds left, 0 at least; None without a deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.remaining() == 0.0

    def step(self, timeout: float) -> float:
        """Return how long one step may take: its own time-out, or less near the deadline.

        Raises ``ConnectionTimedOut`` when the deadline has passed.
        """
        remaining = self.remaining()
        if remaining is None:
            return timeout
        if remaining == 0.0:
            raise ConnectionTimedOut(
                f"The call was not done within its deadline of {self._seconds:g} seconds.",
                remedy="Try again later, or give it a longer deadline.",
            )
        return min(timeout, remaining)


def prepare_socket(sock: socket.socket) -> None:
    """Send small writes at once, and notice a peer that is gone.

    Without TCP_NODELAY 300 APPENDs take 14 seconds on loopback, with it half a second.
    Sockets that are not TCP are left alone.
    """
    for level, option in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ):
        try:
            sock.setsockopt(level, option, 1)
        except OSError:
            continue


def translate(exc: OSError | EOFError, *, what: str, account: str | None) -> ConnectionFailed:
    """Return our exception for one of the network or of TLS; raise it ``from exc``.

    ``what`` names the other side, as in "outlook.office365.com:993". One of ours
    comes back as it is.
    """
    import ssl  # noqa: PLC0415 - see above

    if isinstance(exc, ConnectionFailed):
        return exc
    if isinstance(exc, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"The certificate of {what} was refused: {exc.verify_message.rstrip('.')}.",
            remedy=_certificate_remedy(exc.verify_code),
            account=account,
        )
    if isinstance(exc, TimeoutError):
        return ConnectionTimedOut(
            f"{what} did not answer in time.",
            remedy="Check the network and its firewall (is the port open?), or try again later.",
            account=account,
        )
    message, remedy = _explain(exc, what)
    return ConnectionFailed(message, remedy=remedy, account=account)


def _certificate_remedy(code: int) -> str:
    # Numbers of X509_V_ERR_... in OpenSSL's x509_vfy.h; Python has no names for them.
    if code in {18, 19, 20, 21, 2}:
        return (
            "If it is a server or a proxy of your own, name its root certificate with ca_file"
            " in the provider's table; else somebody may be reading this connection."
        )
    if code in {9, 10}:
        return "Check this computer's clock; if it is right, the server's owner must renew it."
    if code in {62, 64}:
        return "Use the host name that the certificate is for; ca_file does not help against this."
    return "The server's owner must mend it; a root of your own can be named with ca_file."


def _explain(exc: OSError | EOFError, what: str) -> tuple[str, str]:
    import ssl  # noqa: PLC0415 - see above

    reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    if isinstance(exc, socket.gaierror):
        return (
            f"The host name of {what} cannot be resolved: {reason}.",
            "Check the name, the network and its DNS.",
        )
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError | EOFError):
        return f"{what} closed the connection.", "Try again later."
    if isinstance(exc, ssl.SSLError):
        return _explain_tls(exc.reason or reason, what)
    if isinstance(exc, ConnectionRefusedError):
        return (
            f"{what} refused the connection: nothing listens there.",
            "Check host and port, and whether a firewall is in the way.",
        )
    if isinstance(exc, BrokenPipeError | ConnectionAbortedError):
        return f"The connection to {what} was lost.", "Try again later."
    return f"The connection to {what} failed: {reason}.", "Check the network, or try again later."


# OpenSSL's words for it: what the other side says, and what ours says of an old answer.
_OLD_TLS = frozenset(("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"))


def _explain_tls(reason: str, what: str) -> tuple[str, str]:
    if reason in _OLD_TLS:
        return (
            f"No TLS with {what}: it speaks only versions before TLS 1.2 ({reason}).",
            "The server's owner must enable TLS 1.2 or later; a proxy in between may also be the cause.",
        )
    return (
        f"No TLS with {what}: {reason}.",
        (
            'Check host, port and tls: "implicit" (993, 465) begins with TLS,'
            ' "starttls" (587, 143) does not.'
        ),
    )
