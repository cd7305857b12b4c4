"""A throw-away certificate authority for the emulator's servers."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """A private root and one server certificate for ``localhost``, in files of mode 0600.

    Nothing is written before the context is entered; leaving it removes the folder.
    """

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="mailoauth emulator")
        self._server = self._authority.issue_cert(*NAMES)
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        # mkdtemp makes the folder with mode 0700.
        self._folder = Path(tempfile.mkdtemp(prefix="mailoauth-emulator-"))
        self._write("ca.pem", self._authority.cert_pem.bytes())
        chain = b"".join(blob.bytes() for blob in self._server.cert_chain_pems)
        self._write("chain.pem", chain)
        self._write("key.pem", self._server.private_key_pem.bytes())
        return self

    def __exit__(self, *exc_info: object) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where the files are; other throw-away files of a test may join them."""
        if self._folder is None:
            message = "Certificates has to be entered first: with Certificates() as certificates."
            raise RuntimeError(message)
        return self._folder

    @property
    def ca_file(self) -> Path:
        """The root, for ``Provider.ca_file``."""
        return self.folder / "ca.pem"

    @property
    def chain_file(self) -> Path:
        """The server's certificate with what leads to the root."""
        return self.folder / "chain.pem"

    @property
    def key_file(self) -> Path:
        """The server's private key."""
        return self.folder / "key.pem"

    def server_context(self) -> ssl.SSLContext:
        """Return a new server-side context with the certificate for ``localhost``."""
        return _server_context(self._server)

    def client_context(self) -> ssl.SSLContext:
        """Return a new client-side context that trusts this root alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def expired_context(self) -> ssl.SSLContext:
        """Return a server-side context whose certificate ran out yesterday."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        return _server_context(self._authority.issue_cert(*NAMES, not_after=yesterday))

    def other_name_context(self) -> ssl.SSLContext:
        """Return a server-side context whose certificate is for another host."""
        return _server_context(self._authority.issue_cert("mail.example.org"))

    def stranger_context(self) -> ssl.SSLContext:
        """Return a server-side context whose certificate is from a root nobody trusts."""
        return _server_context(trustme.CA().issue_cert(*NAMES))

    def _write(self, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(self.folder / name, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.configure_cert(context)
    return context
