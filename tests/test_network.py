from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from mailoauth import network
from mailoauth.errors import ConfigError, ConnectionFailed, ConnectionTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@contextmanager
def _server(leaf: trustme.LeafCert | None) -> Iterator[int]:
    """Listen on loopback, speak TLS with one caller (or garbage) and go."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)  # a test that fails before it calls must not hang

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        with connection:
            connection.settimeout(10)
            if leaf is None:
                connection.sendall(b"220 no TLS here\r\n")
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf.configure_cert(context)
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(10)
        listener.close()


def _connect(port: int, ca_file: Path | None, name: str = "localhost") -> None:
    context = network.tls_context(ca_file)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name),
    ):
        pass


def _failure(port: int, ca_file: Path | None, name: str = "localhost") -> ConnectionFailed:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - whatever TLS raises is to be translated
        _connect(port, ca_file, name)
    return network.translate(caught.value, what=f"{name}:{port}", account="ada@example.com")


def test_a_server_of_the_ca_file_is_trusted(authority: trustme.CA, ca_file: Path) -> None:
    with _server(authority.issue_cert("localhost")) as port:
        _connect(port, ca_file)


def test_a_ca_file_in_der_form_is_taken(
    authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    der = tmp_path / "ca.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(ca_file.read_text()))
    with _server(authority.issue_cert("localhost")) as port:
        _connect(port, der)


def test_an_unknown_certificate_is_refused_and_ca_file_is_named(authority: trustme.CA) -> None:
    with _server(authority.issue_cert("localhost")) as port:
        error = _failure(port, None)
    assert f"The certificate of localhost:{port} was refused" in str(error)
    assert "ca_file" in error.remedy
    assert error.account == "ada@example.com"


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    with _server(authority.issue_cert("other.example")) as port:
        error = _failure(port, ca_file)
    assert "localhost" in str(error)
    assert "host name that the certificate is for" in error.remedy


def test_an_expired_certificate_is_refused_and_the_clock_is_named(
    authority: trustme.CA, ca_file: Path
) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    with _server(authority.issue_cert("localhost", not_after=past)) as port:
        error = _failure(port, ca_file)
    assert "expired" in str(error)
    assert "clock" in error.remedy


def test_nothing_below_tls_1_2_and_nothing_unchecked_is_spoken(ca_file: Path) -> None:
    context = network.tls_context(ca_file)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_server_without_tls_is_told_from_one_with_it(ca_file: Path) -> None:
    with _server(None) as port:
        error = _failure(port, ca_file)
    assert f"No TLS with localhost:{port}" in str(error)
    assert "starttls" in error.remedy


def test_the_context_is_made_once_and_again_for_a_changed_file(ca_file: Path) -> None:
    first = network.tls_context(ca_file)
    assert network.tls_context(ca_file) is first
    assert network.tls_context() is network.tls_context()
    assert network.tls_context() is not first
    trustme.CA().cert_pem.write_to_path(ca_file)
    os.utime(ca_file, ns=(1, 1))
    assert network.tls_context(ca_file) is not first


def prepared(ca_file: Path) -> None:
    """Begin to make a context, and wait for the thread that does."""
    network.prepare_tls_context(ca_file)
    for thread in threading.enumerate():
        if thread.name == "mailoauth-tls":
            thread.join(20)


def test_a_context_that_was_prepared_is_the_one_that_is_used(
    ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(ca_file)

    def again() -> ssl.SSLContext:
        raise AssertionError("it is made a second time")

    monkeypatch.setattr(ssl, "create_default_context", again)
    context = network.tls_context(ca_file)
    prepared(ca_file)
    assert network.tls_context(ca_file) is context


def test_a_context_that_cannot_be_prepared_is_an_error_only_for_who_needs_it(
    tmp_path: Path,
) -> None:
    prepared(tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        network.tls_context(tmp_path / "missing.pem")


@pytest.mark.parametrize(
    "content",
    [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
)
def test_a_ca_file_without_a_certificate_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ca\.pem cannot be used: it holds no certificate"):
        network.tls_context(path)


def test_a_ca_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.pem cannot be used: No such file"):
        network.tls_context(tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match="cannot be used: Is a directory"):
        network.tls_context(tmp_path)


def test_a_deadline_shortens_a_step_and_then_ends_it() -> None:
    far = network.Deadline(1000)
    assert far.step(5) == 5
    assert 900 < far.step(2000) <= 1000
    assert not far.passed
    over = network.Deadline(0)
    assert over.passed
    assert over.remaining() == 0
    with pytest.raises(ConnectionTimedOut, match="deadline of 0 seconds"):
        over.step(5)


def test_no_deadline_never_ends() -> None:
    never = network.Deadline(None)
    assert (never.remaining(), never.passed, never.step(7)) == (None, False, 7)


def test_a_socket_sends_at_once_and_is_kept_alive() -> None:
    with socket.socket() as sock:
        network.prepare_socket(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_socket_that_is_not_tcp_is_left_alone() -> None:
    one, other = socket.socketpair()
    with one, other:
        network.prepare_socket(one)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), ConnectionFailed, "cannot be resolved"),
        (ConnectionRefusedError(111, "Connection refused"), ConnectionFailed, "nothing listens"),
        (TimeoutError("timed out"), ConnectionTimedOut, "did not answer in time"),
        (ConnectionResetError(104, "reset"), ConnectionFailed, "closed the connection"),
        (EOFError(), ConnectionFailed, "closed the connection"),
        (ssl.SSLEOFError(8, "EOF"), ConnectionFailed, "closed the connection"),
        (BrokenPipeError(32, "Broken pipe"), ConnectionFailed, "was lost"),
        (OSError(101, "Network is unreachable"), ConnectionFailed, "Network is unreachable"),
        (OSError(), ConnectionFailed, "failed: OSError"),
    ],
)
def test_a_network_error_is_said_in_plain_words(
    error: OSError, kind: type[ConnectionFailed], words: str
) -> None:
    found = network.translate(error, what="imap.example.com:993", account="ada@example.com")
    assert type(found) is kind
    assert words in str(found)
    assert "imap.example.com:993" in found.message
    assert found.message.endswith(".")
    assert found.remedy.endswith(".")
    assert found.account == "ada@example.com"


def test_an_error_of_ours_is_not_translated_again() -> None:
    ours = ConnectionTimedOut("Late.")
    assert network.translate(ours, what="x:1", account=None) is ours
