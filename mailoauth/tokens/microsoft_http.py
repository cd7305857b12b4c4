"""The HTTP client that MSAL is given: our TLS, our time-out, no surprises in the answers.

MSAL has traps that end here: it follows redirects, waits for ever, lets
REQUESTS_CA_BUNDLE replace the roots, and stumbles over answers that are not JSON
objects. The only importer of requests.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3

from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    MailOAuthError,
    Throttled,
)
from mailoauth.network import Deadline, tls_context, translate
from mailoauth.tokens.microsoft_wire import (
    Untouched,
    chain,
    json_object,
    keep_loggers_quiet,
    proxies,
    quiet,
    retry_after,
    with_numbers,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

BODY_LIMIT = 1 << 20
#: Seconds for one address of the identity service to take the connection.
_CONNECT = 10.0
DISCOVERY_LIFE = 24 * 3600.0
_SERVER_FAILURE = 500
_TOO_MANY_REQUESTS = 429

#: Discovery documents by address, each with the time it was fetched.
Documents = dict[str, tuple[float, str]]


class Reply:
    """An answer in the shape that MSAL reads; ``text`` is always a JSON object."""

    def __init__(self, text: str, status_code: int = 200) -> None:
        self.text = text
        self.status_code = status_code
        # No headers: MSAL reads Retry-After only, to keep an error and serve it again.
        self.headers: dict[str, str] = {}

    def raise_for_status(self) -> None:
        """Do nothing: an answer that is a failure was raised before."""


class DiscoveryRefused(Exception):
    """Discovery answered with a refusal; :attr:`answer` is its JSON object."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("discovery refused")
        self.answer = answer


class IdentityHttp:
    """MSAL's ``http_client``: raises our errors for everything that is not an answer.

    ``timeout`` bounds all requests together, from the last :meth:`restart` on.
    ``documents`` keeps discovery for a day, for the next client as well.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None,
        timeout: float,
        account: str,
        documents: Documents | None = None,
    ) -> None:
        keep_loggers_quiet()
        self._account = account
        self._timeout = timeout
        self._deadline = Deadline(timeout)
        #: The last error raised; MSAL replaces those that are ValueErrors by its own.
        self.failure: MailOAuthError | None = None
        self._documents: Documents = {} if documents is None else documents
        self._session = requests.Session()
        # Neither REQUESTS_CA_BUNDLE, which replaces the roots, nor ~/.netrc.
        self._session.trust_env = False
        self._session.mount("https://", _Adapter(tls_context(ca_file)))

    def restart(self) -> None:
        """Begin the time-out anew."""
        self._deadline = Deadline(self._timeout)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Reply:
        """Fetch a discovery document, or the one that is still fresh."""
        fetched_at, text = self._documents.get(url, (0.0, ""))
        if text and 0 <= time.time() - fetched_at < DISCOVERY_LIFE:
            return Reply(text)
        status, answer = self._request("GET", url, params=params, headers=headers)
        if status != 200:  # noqa: PLR2004 - HTTP's OK
            # Not a ValueError, which MSAL would replace with one of its own.
            raise DiscoveryRefused(answer)
        self._documents[url] = time.time(), json.dumps(answer)
        return Reply(json.dumps(answer))

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Reply:
        """Post a form."""
        status, answer = self._request("POST", url, params=params, data=data, headers=headers)
        return Reply(json.dumps(with_numbers(answer)), status)

    def _request(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        place = urlsplit(url)
        if place.scheme != "https":
            raise ConfigError(
                f"The identity service names {url} as its address, which is not https.",
                remedy="Nothing was sent. Check the authority of the provider.",
                account=self._account,
            )
        what = f"the identity service {place.netloc.rpartition('@')[2]}"
        self._session.proxies = proxies(place.hostname or "")
        try:
            with quiet:
                return self._exchange(method, url, what, **more)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            if isinstance(exc, ConnectionFailed):
                raise
            error, cause = self._translated(exc, what)
        self.failure = error
        # Outside of the except block: requests' exceptions carry the request, whose
        # body holds the refresh token, and would stay attached as the context.
        raise error from cause

    def _exchange(
        self, method: str, url: str, what: str, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        step = self._deadline.step(self._timeout)
        # A name may have several addresses, and each may be a hole.
        limit = urllib3.Timeout(connect=min(step, _CONNECT), total=step)
        with self._session.request(
            method,
            url,
            stream=True,
            # A redirected POST would carry the refresh token to somebody else.
            allow_redirects=False,
            timeout=limit,  # type: ignore[arg-type]  # requests passes urllib3's own on
            **more,
        ) as response:
            body = self._read(response, what)
            status, headers = response.status_code, response.headers
        self._check_status(status, headers, body, what)
        answer = json_object(body)
        if answer is None:
            raise ConnectionFailed(
                f"{what[:1].upper()}{what[1:]} answered {status} with something that is not a"
                " JSON object.",
                remedy="A proxy or a sign-in page of the network may be in the way; try again later.",
                account=self._account,
            )
        return status, answer

    def _read(self, response: requests.Response, what: str) -> bytes:
        body = bytearray()
        # read1 returns what one packet brought, so that the deadline is looked at between.
        while chunk := response.raw.read1(65536, decode_content=True):
            body += chunk
            self._deadline.step(self._timeout)
            if len(body) > BODY_LIMIT:
                raise ConnectionFailed(
                    f"{what[:1].upper()}{what[1:]} answered with more than a mebibyte.",
                    remedy="A proxy or a sign-in page of the network may be in the way.",
                    account=self._account,
                )
        return bytes(body)

    def _check_status(
        self, status: int, headers: Mapping[str, str], body: bytes, what: str
    ) -> None:
        wait = retry_after(headers.get("Retry-After"))
        if status == _TOO_MANY_REQUESTS or (status >= _SERVER_FAILURE and wait is not None):
            raise Throttled.after(
                f"The account {self._account} has to wait: {what} answered {status}.",
                wait,
                code=str(status),
                remedy="Try again later." if wait is None else f"Try again in {wait:.0f} seconds.",
                account=self._account,
            )
        if 200 <= status < 300 or 400 <= status < _SERVER_FAILURE:  # noqa: PLR2004 - HTTP's classes
            return
        if status < _SERVER_FAILURE:
            remedy = "A proxy or a sign-in page of the network may be in the way."
            raise ConnectionFailed(
                f"The account {self._account} got no token: {what} answered {status}, a redirect,"
                " which is not followed.",
                remedy=remedy,
                account=self._account,
            )
        said = (json_object(body) or {}).get("error")
        text = f"{status} ({said})" if isinstance(said, str) and said.isidentifier() else status
        raise ConnectionFailed(
            f"The account {self._account} got no token: {what} answered {text}.",
            remedy="The service has trouble of its own; try again later.",
            account=self._account,
        )

    def _translated(self, exc: Exception, what: str) -> tuple[MailOAuthError, BaseException]:
        """Return our error and what may be shown as its cause."""
        roots = list(chain(exc))
        plain = [root for root in roots if type(root).__module__.split(".")[0] in _STANDARD]
        if isinstance(exc, requests.exceptions.InvalidSchema | requests.exceptions.InvalidProxyURL):
            remedy = "A socks proxy needs the extra: pip install 'mailoauth[proxy]'."
            message = "The proxy that the environment names cannot be used."
            return ConfigError(message, remedy=remedy, account=self._account), ValueError(message)
        if any(isinstance(root, urllib3.exceptions.ProxyError) for root in roots):
            what = f"{what}, reached through a proxy,"
        # urllib3 calls every connection that could not be made a time-out.
        never = urllib3.exceptions.NewConnectionError
        if any(isinstance(root, _TIMEOUTS) and not isinstance(root, never) for root in roots):
            message = f"{what[:1].upper()}{what[1:]} did not answer in {self._timeout:g} seconds."
            remedy = "Check the network and its proxy (HTTPS_PROXY), or try again later."
            timed_out = ConnectionTimedOut(message, remedy=remedy, account=self._account)
            return timed_out, plain[-1] if plain else TimeoutError(type(exc).__name__)
        for root in reversed(plain):
            if isinstance(root, OSError):
                return translate(root, what=what, account=self._account), root
        cut = ConnectionResetError(type(roots[-1]).__name__)
        return translate(cut, what=what, account=self._account), cut


_STANDARD = frozenset({"builtins", "ssl", "socket", "http"})
_TIMEOUTS = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


class _Adapter(requests.adapters.HTTPAdapter):
    """Uses one TLS context for everything, proxies that speak TLS included."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = Untouched(context)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **more)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        contexts = {"ssl_context": self._context, "proxy_ssl_context": self._context}
        return super().proxy_manager_for(proxy, **contexts, **more)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - requests' signature
        # requests would add its own roots to the context here.
        conn.cert_reqs = "CERT_REQUIRED"
