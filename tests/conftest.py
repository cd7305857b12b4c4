"""What all tests share: a home and a key of their own, and sockets to loopback only."""

from __future__ import annotations

import base64
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.real.servers import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judges import Judge

# A shell's background jobs, and what some runners start, ignore these; the programs that tests
# start would inherit that, and obey no Ctrl-C.
for _signal, _usual in (
    ("SIGINT", signal.default_int_handler),
    ("SIGTERM", signal.SIG_DFL),
    ("SIGHUP", signal.SIG_DFL),
):
    _number = getattr(signal, _signal, None)
    if _number is not None and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)

for _name in [name for name in os.environ if name.startswith("MAILOAUTH_")]:
    if _name not in {"MAILOAUTH_SOAK", "MAILOAUTH_MATRIX"}:
        del os.environ[_name]


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the developer's own accounts, records and keys."""
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(os.urandom(32)).decode())


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Fail a test that would reach beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test tried to connect to {host}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def real_servers() -> Iterator[Judge]:
    """Dovecot and Postfix, started once; skipped where they are missing, a failure in CI."""
    with running() as servers:
        servers.add_user("ada@example.com")
        servers.add_user("bob@example.com")
        yield servers


@pytest.fixture(
    params=[
        "outlook",
        "gmail",
        pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("real")]),
    ]
)
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    """Each server that the same test runs against."""
    if request.param == "real":
        servers = request.getfixturevalue("real_servers")
        servers.lines["imap"].resume()
        servers.lines["smtp"].resume()
        servers.clear("ada@example.com")
        yield servers
        return
    with OutlookEmulator(personality=request.param) as emulator:
        emulator.add_user("ada@example.com")
        emulator.add_user("bob@example.com")
        yield emulator
