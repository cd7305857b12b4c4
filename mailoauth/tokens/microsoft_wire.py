"""What keeps MSAL's HTTP in order, without HTTP: TLS context, loggers, proxies, answers."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import urllib.request
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_NUMBERS = ("expires_in", "ext_expires_in", "refresh_in", "interval")


class Untouched:
    """The shared TLS context, which urllib3 would set up for HTTP.

    It sets ALPN to http/1.1; mail servers that look at ALPN would then refuse us.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        object.__setattr__(self, "_context", context)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_context"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Leave the context as it is: verified, host names checked."""

    def set_alpn_protocols(self, protocols: list[str]) -> None:
        """Leave ALPN unset."""


class _Quiet(threading.local, logging.Filter):
    """Drops urllib3's records of the threads that are in one of our requests."""

    entered = False

    def __enter__(self) -> None:
        self.entered = True

    def __exit__(self, *exc_info: object) -> None:
        self.entered = False

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging's signature
        return not self.entered


quiet = _Quiet()


def keep_loggers_quiet() -> None:
    """Silence MSAL, and urllib3 where it works for us."""
    # MSAL logs answers and accounts; urllib3 belongs to other users of it as well.
    logging.getLogger("msal").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").addFilter(quiet)


def proxies(host: str) -> dict[str, str]:
    """Return the proxy that the environment or the system names for a host."""
    known = urllib.request.getproxies()
    proxy = known.get("https") or known.get("all")
    return {"https": proxy} if proxy and not urllib.request.proxy_bypass(host) else {}


def retry_after(value: str | None) -> float | None:
    """Return the seconds to wait of a Retry-After field: a number or a date (RFC 9110)."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the object, None if it is something else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def with_numbers(answer: dict[str, Any]) -> dict[str, Any]:
    """Make the known numbers integers; what is none is dropped (MSAL would stumble)."""
    result = dict(answer)
    for name in _NUMBERS:
        if name in result:
            number = _whole_number(result.pop(name))
            if number is not None:
                result[name] = number
    return result


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        return None
    return number if number >= 0 else None


def chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what lies below it, in urllib3's ways of nesting."""
    seen: set[int] = set()
    waiting: list[object] = [exc]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
