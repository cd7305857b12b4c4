"""The page to which the browser comes back."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from mailoauth.tokens.loopback import Loopback
from tests.identity_lab import (
    visit,
)

if TYPE_CHECKING:
    import pytest


class TestLoopbackPage:
    def test_only_the_root_of_localhost_is_served_and_only_to_get(self) -> None:
        with Loopback() as page:
            page.expect("ours")
            assert visit(page.redirect_uri, "/favicon.ico")[0] == 404
            assert visit(page.redirect_uri, "/elsewhere?code=c&state=ours")[0] == 404
            assert visit(page.redirect_uri, "/")[0] == 400
            assert visit(page.redirect_uri, "/?code=c&code=d&state=ours")[0] == 400
            assert visit(page.redirect_uri, "/?code=c&state=ours", method="POST")[0] == 501
            rebound = {"Host": f"evil.example:{page.port}"}
            assert visit(page.redirect_uri, "/?code=c&state=ours", headers=rebound)[0] == 404
            status, text = visit(page.redirect_uri, "/?code=c&state=ours")
            assert status == 200
            assert "close this window" in text
            assert page.wait(5)["code"] == "c"

    def test_what_an_error_says_is_escaped(self) -> None:
        with Loopback() as page:
            page.expect("ours")
            query = urlencode({"error": "x", "error_description": "<script>", "state": "ours"})
            status, text = visit(page.redirect_uri, f"/?{query}")
        assert status == 400
        assert "&lt;script&gt;" in text
        assert "<script>" not in text

    def test_an_idle_connection_holds_nobody_up(self) -> None:
        with Loopback() as page:
            page.expect("ours")
            with socket.create_connection(("127.0.0.1", page.port)):
                assert visit(page.redirect_uri, "/?code=c&state=ours")[0] == 200

    def test_the_code_is_in_no_log(
        self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with Loopback() as page:
            page.expect("ours")
            visit(page.redirect_uri, "/?code=marker&state=ours")
        assert "marker" not in caplog.text + "".join(capfd.readouterr())
