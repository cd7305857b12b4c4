"""A scripted person with a browser: opens the sign-in page, fills it in, is sent back."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    import ssl

TIMEOUT = 10.0


class Browser:
    """A callable like ``webbrowser.open``: returns True at once, never prints.

    ``failures`` keeps what went wrong on the way, for a test to look at.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        login: str | None = None,
        denying: bool = False,
        failures: list[Exception],
    ) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            _StandStill(),
        )
        self._login = login
        self._denying = denying
        self.failures = failures

    def __call__(self, url: str) -> bool:
        """Open the page, on a thread of its own."""
        threading.Thread(target=self._try, args=(url,), name="emulated person", daemon=True).start()
        return True

    def _try(self, url: str) -> None:
        try:
            self.visit(url)
        except Exception as failure:  # noqa: BLE001 - a person's browser never raises at the program
            self.failures.append(failure)

    def visit(self, url: str) -> str:
        """Go all the way and return the last page; blocks."""
        page, place = self._sign_in(url)
        while place:
            page, place = self._load(urljoin(url, place), None)
        back = _Form.of(page)
        if back.action:
            page, _ = self._load(back.action, back.fields)
        return page

    def address_after(self, url: str) -> str:
        """Sign in and return where the page sends the browser, without going there; blocks."""
        return self._sign_in(url)[1]

    def _sign_in(self, url: str) -> tuple[str, str]:
        page, _ = self._load(url, None)
        form = _Form.of(page)
        hint = parse_qs(urlsplit(url).query).get("login_hint", [""])[0]
        form.fields["login"] = self._login or hint
        form.fields["action"] = "cancel" if self._denying else "sign_in"
        return self._load(urljoin(url, form.action), form.fields)

    def _load(self, url: str, fields: dict[str, str] | None) -> tuple[str, str]:
        """Return the page and where it redirects to."""
        data = None if fields is None else urlencode(fields).encode()
        request = urllib.request.Request(url, data=data)  # noqa: S310 - the emulator's own pages
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return response.read().decode(), ""
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.read().decode(), answer.headers.get("Location", "")


class _StandStill(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them: the next one goes to the loopback page."""

    def http_error_302(self, *_: Any) -> None:
        """Leave it to the caller, as an HTTPError."""


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    @classmethod
    def of(cls, page: str) -> _Form:
        """Read a page."""
        form = cls()
        form.feed(page)
        return form

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the form's address and its fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = values.get("action", "")
        elif tag == "input" and "name" in values:
            self.fields[values["name"]] = values.get("value", "")
