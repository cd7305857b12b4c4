"""Dovecot and Postfix behind the face of the emulator: the second judge of our tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest

from mailoauth.accounts import Account, Endpoint, Provider
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService, Rotation, TokenRequest
from tests.real import dovecot, postfix
from tests.real.directory import Directory
from tests.real.dovecot import FOLDERS, Dovecot, mail_person
from tests.real.introspection import Introspection
from tests.real.maildir import Maildir, StoredMessage
from tests.real.people import OPEN_DOMAIN, People
from tests.real.postfix import Postfix
from tests.real.process import free_port
from tests.real.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import EmailMessage
    from types import TracebackType

    from mailoauth.emulator.records import Connection, Protocol

DOMAINS = ("example.com", OPEN_DOMAIN, "outlook.example")


def missing() -> str | None:
    """Return which server is missing on this machine and how to get it, None if none is."""
    return dovecot.missing() or postfix.missing()


@contextmanager
def running(**options: Any) -> Iterator[RealServers]:
    """Start the servers for a fixture; skip where one is missing, but fail in CI (``CI=true``)."""
    reason = missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the real servers: {reason}")
    if reason:
        pytest.skip(reason)
    with RealServers(**options) as servers:
        yield servers


class RealServers:
    """Identity service, Dovecot and Postfix on free loopback ports; a context manager.

    ``imap`` and ``smtp`` are Dovecot with implicit TLS and Postfix with STARTTLS, each
    behind a line that can be cut, stalled and delayed (``lines["imap"]``); the other
    two, ``imap_starttls`` and ``dovecot_smtp``, and ``imap_direct`` have none. A sender
    must own the address, a recipient must exist (or be at ``example.org``), a mailbox
    opens for its owner's token alone, under the address or the sign-in name.
    """

    def __init__(
        self,
        *,
        token_life: float = 3600,
        rotation: Rotation = "microsoft",
        token_size: int = 2600,
    ) -> None:
        self.certificates = Certificates()
        self.identity = IdentityService(
            self.certificates, token_life=token_life, rotation=rotation, token_size=token_size
        )
        self._people = People(self.identity)
        self._stack = ExitStack()
        # Short and open to all for passing through: Unix sockets lie in it, and
        # the servers' parts run as several users.
        self._folder = Path("/tmp")
        self._dovecot: Dovecot
        self._postfix: Postfix
        self.lines: dict[Protocol, FaultProxy] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(tempfile.mkdtemp(prefix="mo-", dir=_short_folder()))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder.chmod(0o755)
            stack.enter_context(self.certificates)
            stack.enter_context(self.identity)
            self._start_servers(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start_servers(self, stack: ExitStack) -> None:
        judges = [
            stack.enter_context(Introspection(judge))
            for judge in (self._people.judge_by_name, self._people.judge_by_address)
        ]
        directory = stack.enter_context(Directory(self._people.look_up))
        mail_folder = self._folder / "mail"
        mail_folder.mkdir()
        os.chown(mail_folder, *_owner())
        files = {
            "chain_file": self.certificates.chain_file,
            "key_file": self.certificates.key_file,
        }
        relay_port = free_port()
        self._dovecot = Dovecot(
            self._folder / "d",
            mail_folder=mail_folder,
            introspection_urls=[judge.url for judge in judges],
            relay_port=relay_port,
            **files,
        )
        self._postfix = Postfix(
            self._folder / "p",
            relay_port=relay_port,
            auth_socket=self._dovecot.auth_socket,
            delivery_socket=self._dovecot.delivery_socket,
            directory=directory.table,
            domains=DOMAINS,
            **files,
        )
        stack.enter_context(self._dovecot)
        stack.enter_context(self._postfix)
        ports: dict[Protocol, int] = {
            "imap": self._dovecot.imaps_port,
            "smtp": self._postfix.submission_port,
        }
        self.lines = {
            protocol: stack.enter_context(FaultProxy("127.0.0.1", port, protocol=protocol))
            for protocol, port in ports.items()
        }

    # What the emulator has too.

    @property
    def imap(self) -> Endpoint:
        """Dovecot with implicit TLS, through ``lines["imap"]``."""
        return Endpoint("localhost", self.lines["imap"].port, "implicit")

    @property
    def smtp(self) -> Endpoint:
        """Postfix with STARTTLS, through ``lines["smtp"]``."""
        return Endpoint("localhost", self.lines["smtp"].port, "starttls")

    @property
    def authority(self) -> str:
        """The identity service's address for accounts."""
        return self.identity.authority

    @property
    def ca_file(self) -> Path:
        """The root that all of them have in common."""
        return self.certificates.ca_file

    @property
    def token_requests(self) -> list[TokenRequest]:
        """What the identity service's token endpoint was asked."""
        return self.identity.token_requests

    def browser(self, url: str) -> bool:
        """Sign in on that page as its login_hint, for ``sign_in(open_url=...)``."""
        return self.identity.browser(url)

    def add_user(self, address: str, upn: str | None = None) -> None:
        """Give somebody a mailbox and let them sign in."""
        mailbox, name = self._people.add(address, upn)
        self._maildir(address).create()
        other = self._folder / "mail" / name
        if name != mailbox and not other.is_symlink():
            other.symlink_to(mailbox)

    def account(
        self,
        address: str,
        *,
        smtp: Literal["postfix", "dovecot"] | Endpoint = "postfix",
        imap: Endpoint | None = None,
        sasl: Literal["xoauth2", "oauthbearer"] = "xoauth2",
    ) -> Account:
        """Return an account of the user, not signed in; endpoints may lead through a proxy."""
        named = {"postfix": self.smtp, "dovecot": self.dovecot_smtp}
        provider = Provider(
            name="real",
            oauth="microsoft",
            authority=self.authority,
            scopes=OUTLOOK_SCOPES,
            imap=imap or self.imap,
            smtp=smtp if isinstance(smtp, Endpoint) else named[smtp],
            sasl=sasl,
            ca_file=self.ca_file,
            client_id="11111111-2222-4333-8444-555555555555",
        )
        mailbox = self._people.mailbox(address)
        name = self._people.name(mailbox)
        return Account(name=mailbox, user=name, mailbox=mailbox, provider=provider)

    def deliver(
        self,
        address: str,
        message: EmailMessage | bytes,
        folder: str = "INBOX",
        *,
        flags: Iterable[str] = (),
    ) -> int:
        """Put a message into the mailbox as a delivery agent does, past SMTP; return its UID."""
        return self._maildir(address).add(message, folder, flags)

    def messages(self, address: str, folder: str = "INBOX") -> list[StoredMessage]:
        """Return what is in the folder; Postfix delivers a moment after its 250.

        KeyError if there is no such folder; nothing yet for an address nobody has.
        """
        return self._maildir(address).messages(folder)

    def expire_tokens(self) -> None:
        """End all access tokens issued so far; sessions that are up go on (as Dovecot has it)."""
        self.identity.expire_tokens()

    def revoke(self, address: str) -> None:
        """End every sign-in of the user."""
        self.identity.revoke(address)

    def disconnect(self, protocol: Protocol | None = None) -> None:
        """Cut the live connections through ``lines``; None: of both protocols."""
        for each in self.lines if protocol is None else [protocol]:
            self.lines[each].cut()

    @property
    def connections(self) -> list[Connection]:
        """The connections through ``lines``; what was said on them, nobody can see."""
        found = [*self.lines["imap"].history, *self.lines["smtp"].history]
        return sorted(found, key=lambda connection: connection.opened_at)

    # What only the real servers have.

    @property
    def imap_direct(self) -> Endpoint:
        """Dovecot with implicit TLS and no line between: for measuring."""
        return Endpoint("localhost", self._dovecot.imaps_port, "implicit")

    @property
    def smtp_direct(self) -> Endpoint:
        """Postfix with STARTTLS and no line between: for measuring."""
        return Endpoint("localhost", self._postfix.submission_port, "starttls")

    @property
    def imap_starttls(self) -> Endpoint:
        """Dovecot, STARTTLS."""
        return Endpoint("localhost", self._dovecot.imap_port, "starttls")

    @property
    def dovecot_smtp(self) -> Endpoint:
        """Dovecot submission, STARTTLS, with Postfix behind it."""
        return Endpoint("localhost", self._dovecot.submission_port, "starttls")

    def issue_token(self, address: str) -> str:
        """Return an access token as if the user had signed in somewhere."""
        return self.identity.issue(address)[0]

    def clear(self, address: str) -> None:
        """Empty the mailbox; close the connections to it first, UIDVALIDITY changes."""
        self._maildir(address).clear()

    def proxy(self, endpoint: Endpoint) -> FaultProxy:
        """Return another line to an endpoint, to be entered; clients use its ``endpoint(tls)``."""
        return FaultProxy("127.0.0.1", endpoint.port)

    @property
    def logs(self) -> str:
        """What Dovecot and Postfix wrote."""
        files = (self._dovecot.log, self._postfix.log)
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def _maildir(self, address: str) -> Maildir:
        mailbox = self._people.mailbox(address)
        return Maildir(self._folder / "mail" / mailbox / "Maildir", _owner(), FOLDERS)


def _owner() -> tuple[int, int]:
    person = mail_person()
    return person.uid, person.gid


def _short_folder() -> str | None:
    """Return where paths stay short: a Unix socket's name has room for about 100 octets."""
    return "/tmp" if Path("/tmp").is_dir() else None
