"""The embedded Outlook: identity service, IMAP and SMTP over one mail store."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from email.message import Message
from email.policy import SMTP as SMTP_POLICY
from typing import TYPE_CHECKING, Self

from mailoauth.accounts import Account, Endpoint, Provider
from mailoauth.emulator.certificates import Certificates
from mailoauth.emulator.identity import OUTLOOK_SCOPES, IdentityService
from mailoauth.emulator.identity_replies import TENANT
from mailoauth.emulator.imap import ImapServer
from mailoauth.emulator.loop import LoopThread
from mailoauth.emulator.mailstore import Mailstore
from mailoauth.emulator.personality import PERSONALITIES
from mailoauth.emulator.post import PostOffice
from mailoauth.emulator.signin import Directory
from mailoauth.emulator.smtp_server import SmtpServer
from mailoauth.emulator.switches import PROTOCOLS, Switches

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.emulator.identity import Rotation, TokenRequest
    from mailoauth.emulator.personality import PersonalityName
    from mailoauth.emulator.records import Connection, Protocol, SentMessage, StoredMessage


class OutlookEmulator(Switches):
    """Outlook in this process, for tests; a context manager.

    It listens on free loopback ports under the name "localhost", with a throw-away
    root (:attr:`ca_file`). ``token_life`` is in seconds, ``token_size`` in
    characters; ``rotation`` is "microsoft" (a refresh leaves the old refresh token
    good), "strict" (its re-use ends the sign-in) or "none". ``strict_auth_line``
    makes SMTP refuse AUTH lines over 512 octets, as RFC 4954 has it and most servers
    but Outlook do, or over so many (2047: Postfix as shipped). Every verb may be called
    from any thread.
    """

    def __init__(
        self,
        *,
        personality: PersonalityName = "outlook",
        token_life: float = 3600.0,
        rotation: Rotation = "microsoft",
        token_size: int = 1800,
        strict_auth_line: bool | int = False,
    ) -> None:
        super().__init__()
        self._personality = PERSONALITIES[personality]
        self._certificates = Certificates()
        self.identity = IdentityService(
            self._certificates, token_life=token_life, rotation=rotation, token_size=token_size
        )
        self._directory = Directory(self.identity)
        self._store = Mailstore(self._personality)
        self._post = PostOffice(self._personality, self._directory, self._store)
        self._connections: list[Connection] = []
        self._imap = ImapServer(
            personality=self._personality,
            directory=self._directory,
            store=self._store,
            faults=self._faults,
            connections=self._connections,
            expire_tokens=self.identity.expire_tokens,
        )
        self._smtp = SmtpServer(
            personality=self._personality,
            directory=self._directory,
            post=self._post,
            faults=self._faults,
            limits=self._limits,
            connections=self._connections,
            strict_auth_line=strict_auth_line,
        )
        self._upns: dict[str, str] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._certificates)
            stack.enter_context(self.identity)
            self._thread = LoopThread("emulated mail servers")
            stack.callback(self._thread.close)
            self._ports: dict[Protocol, int] = {}
            for protocol in PROTOCOLS:
                server = self._server(protocol)
                sockets = self._thread.listen()
                self._ports[protocol] = sockets[0].getsockname()[1]
                stack.callback(self._stop, server)
                self._thread.run(server.start(sockets, self._certificates.server_context()))
            self._open = stack.pop_all()
        return self

    def _stop(self, server: ImapServer | SmtpServer) -> None:
        self._thread.run(server.stop())

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    # Where it is, and with what to get in.

    @property
    def imap(self) -> Endpoint:
        """Where IMAP listens."""
        return Endpoint("localhost", self._ports["imap"], "implicit")

    @property
    def smtp(self) -> Endpoint:
        """Where SMTP submission listens."""
        return Endpoint("localhost", self._ports["smtp"], "starttls")

    @property
    def authority(self) -> str:
        """The identity service's address for people, as MSAL is given it."""
        return self.identity.authority

    @property
    def ca_file(self) -> Path:
        """The root to trust."""
        return self._certificates.ca_file

    def browser(self, url: str) -> bool:
        """Sign in on that page like a person, for ``sign_in(account, open_url=...)``."""
        return self.identity.browser(url)

    def add_user(self, address: str, upn: str | None = None) -> None:
        """Make a mailbox and who owns it; ``upn`` is the name that signs in, if another."""
        self._directory.add(address, upn)
        self._upns[address] = upn or address
        self.identity.add_user(address, upn)
        self._thread.call(lambda: self._store.add(address))

    def account(self, address: str) -> Account:
        """Return the account of a user, not signed in."""
        mailbox = self._directory.known(address)
        upn = self._upns[mailbox]
        return Account(
            name=mailbox,
            user=upn,
            mailbox=None if upn == mailbox else mailbox,
            provider=self._provider(self.authority),
        )

    def app_account(self, client_id: str = "emulator-app", secret: str | None = None) -> Account:
        """Return the account of an app of its own, which may open every mailbox.

        The secret, a new one unless given, is in a file of mode 0600 that goes with
        the emulator.
        """
        secret = secret or secrets.token_urlsafe(30)
        self.identity.add_client(client_id, secret)
        secret_file = self._certificates.folder / f"secret-{secrets.token_hex(4)}"
        descriptor = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret)
        return Account(
            name=client_id,
            client_id=client_id,
            tenant=TENANT,
            sign_in="app",
            client_secret_file=secret_file,
            provider=self._provider(self.identity.authority_of("{tenant}")),
        )

    def share(self, mailbox: str, with_user: str) -> None:
        """Let a user open somebody else's mailbox and send as it."""
        self._directory.share(mailbox, with_user)

    def deny_app(self, mailbox: str) -> None:
        """Close a mailbox to apps."""
        self._directory.deny_app(mailbox)

    # Mail.

    def deliver(self, address: str, message: bytes | Message, folder: str = "INBOX") -> int:
        """Put a message into a folder, made if need be, and return its UID."""
        raw = message.as_bytes(policy=SMTP_POLICY) if isinstance(message, Message) else message
        mailbox = self._directory.known(address)
        return self._thread.call(lambda: self._store.deliver(mailbox, raw, folder))

    def messages(self, address: str, folder: str = "INBOX") -> list[StoredMessage]:
        """Return what is in a folder, oldest first; KeyError if there is no such folder."""
        mailbox = self._directory.known(address)
        return self._thread.call(lambda: self._store.folders(mailbox).folder(folder).stored())

    @property
    def sent(self) -> list[SentMessage]:
        """What SMTP took, in order."""
        return list(self._post.sent)

    @property
    def outbox(self) -> list[SentMessage]:
        """What of that went to people who have no mailbox here; their addresses alone."""
        return list(self._post.outbox)

    # What was seen.

    @property
    def token_requests(self) -> list[TokenRequest]:
        """What the token endpoint was asked, in order."""
        return self.identity.token_requests

    @property
    def connections(self) -> list[Connection]:
        """The connections that clients made, in order, the live ones included."""
        return list(self._connections)

    def _provider(self, authority: str) -> Provider:
        return Provider(
            name="emulator",
            oauth="microsoft",
            authority=authority,
            scopes=OUTLOOK_SCOPES,
            app_scopes=("https://outlook.office365.com/.default",),
            imap=self.imap,
            smtp=self.smtp,
            ca_file=self.ca_file,
            saves_sent=True,
            client_id="emulator-client",
        )
