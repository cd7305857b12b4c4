"""The submission server: aiosmtpd with STARTTLS, bearer tokens and the faults."""

from __future__ import annotations

import asyncio
import base64
import collections
import logging
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import SMTP

from mailoauth.emulator.faults import Cut, Reply, Silent
from mailoauth.emulator.loop import stop_listening
from mailoauth.emulator.records import Connection
from mailoauth.emulator.signin import parse_claim

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from mailoauth.emulator.faults import Action, Faults
    from mailoauth.emulator.personality import Personality
    from mailoauth.emulator.post import PostOffice
    from mailoauth.emulator.signin import Directory, SignedIn

log = logging.getLogger("mailoauth.emulator")
# aiosmtpd logs whole messages at DEBUG and every session at INFO.
logging.getLogger("mail.log").setLevel(logging.ERROR)

_SCOPE = "SMTP.Send"
_LINE_LIMIT = 1 << 16
_STRICT_LINE = 512  # RFC 5321 section 4.5.3.1.4, with CRLF

# Parameters of DSN (RFC 3461), which aiosmtpd does not know. They change nothing here.
_DSN = re.compile(r"\s(?:RET|ENVID|NOTIFY|ORCPT)=\S+", re.IGNORECASE)

# What aiosmtpd says, and what Exchange says in its place.
_WORDS = {
    "354 End data with <CR><LF>.<CR><LF>": "354 Start mail input; end with <CRLF>.<CRLF>",
    "220 Ready to start TLS": "220 2.0.0 SMTP server ready",
    "250 OK": "250 2.0.0 OK",
    "221 Bye": "221 2.0.0 Service closing transmission channel",
    "503 Error: need MAIL command": "503 5.5.2 Need mail command",
    "503 Error: need RCPT command": "503 5.5.2 Need rcpt command",
    "503 Error: send EHLO first": "503 5.5.2 Send hello first",
    "503 Error: send HELO first": "503 5.5.2 Send hello first",
}


class SmtpServer:
    """Accepts submission sessions."""

    def __init__(
        self,
        *,
        personality: Personality,
        directory: Directory,
        post: PostOffice,
        faults: Faults,
        connections: list[Connection],
        strict_auth_line: bool,
    ) -> None:
        self.personality = personality
        self.directory = directory
        self.post = post
        self.faults = faults
        self.strict_auth_line = strict_auth_line
        self.connections = connections
        self.live: set[SmtpSession] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Iterable[socket.socket], context: ssl.SSLContext) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        for listener in sockets:
            server = await loop.create_server(
                partial(SmtpSession, self, context, loop), sock=listener
            )
            self._servers.append(server)

    def disconnect(self) -> None:
        """Cut every live session."""
        for session in tuple(self.live):
            session.cut()

    async def stop(self) -> None:
        """Stop listening and cut every live session."""
        await stop_listening(self._servers)
        self.disconnect()


class SmtpSession(SMTP):
    """One session."""

    line_length_limit = _LINE_LIMIT

    def __init__(
        self, server: SmtpServer, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop
    ) -> None:
        personality = server.personality
        now = format_datetime(datetime.now(UTC))
        super().__init__(
            _Hooks(self, server),
            hostname=personality.smtp_host,
            ident=f"{personality.smtp_greeting} {now}",
            data_size_limit=personality.smtp_size,
            enable_SMTPUTF8=True,
            tls_context=context,
            auth_required=True,
            loop=loop,
        )
        # aiosmtpd keeps one table for all sessions, and 512 octets for AUTH in it.
        self.command_size_limits = collections.defaultdict(lambda: _LINE_LIMIT)
        self._smtp_methods = {
            verb: partial(self._run, verb, method) for verb, method in self._smtp_methods.items()
        }
        self._server = server
        self.record = Connection("smtp", datetime.now(UTC))
        self.signed_in: SignedIn | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and once more when TLS is set up."""
        if self not in self._server.live:
            self._server.live.add(self)
            self._server.connections.append(self.record)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._server.live.discard(self)
        self.record.open = False
        super().connection_lost(error)

    def cut(self) -> None:
        """Close the line without a word."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        if isinstance(self._original_transport, asyncio.Transport):
            self._original_transport.abort()

    async def push(self, status: AnyStr) -> None:
        """Send a reply."""
        await super().push(_WORDS.get(status, status) if isinstance(status, str) else status)

    async def act(self, action: Action) -> None:
        """Do what a test asked for; a session that is cut or silent waits for its end here."""
        if isinstance(action, Reply):
            await self.push(action.text)
            if not action.text.startswith("421"):
                return
            if self.transport is not None:
                self.transport.close()
        elif isinstance(action, Cut):
            self.cut()
        # connection_lost() and eof_received() cancel the task that waits here.
        await self.loop.create_future()

    async def check_auth_needed(self, caller_method: str) -> bool:  # noqa: ARG002 - aiosmtpd's signature
        """Refuse a client that has not signed in."""
        if self.signed_in is None:
            await self.push("530 5.7.57 Client not authenticated to send mail.")
            return True
        return False

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Take the sender; DSN parameters change nothing."""
        await super().smtp_MAIL(arg and _DSN.sub("", arg))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Take a recipient; DSN parameters change nothing."""
        await super().smtp_RCPT(arg and _DSN.sub("", arg))

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Sign in with a bearer token, in one step or two (RFC 4954 section 4)."""
        mechanism, _, initial = (arg or "").partition(" ")
        mechanism = mechanism.upper()
        if self._server.strict_auth_line and len(f"AUTH {arg}\r\n") > _STRICT_LINE:
            await self.push("500 5.5.2 Line too long")
        elif await self.check_helo_needed("EHLO"):
            pass
        elif self._tls_protocol is None:
            await self.push("530 5.7.0 Must issue a STARTTLS command first")
        elif self.signed_in is not None:
            await self.push("503 5.5.2 Already authenticated")
        elif mechanism not in self._server.personality.mechanisms:
            await self.push("504 5.7.4 Unrecognized authentication type")
        else:
            await self._sign_in(mechanism, initial.strip().encode() or await self._answer(b""))

    async def _sign_in(self, mechanism: str, encoded: bytes) -> None:
        server = self._server
        refusal = server.faults.refusal("smtp")
        if refusal is not None:
            await self.act(Reply(refusal))
            return
        signed_in = server.directory.admit(parse_claim(mechanism, encoded), _SCOPE)
        if signed_in is None:
            challenge = server.personality.challenge.get(mechanism)
            if challenge is not None:
                await self._answer(challenge)
            await self.push(server.personality.smtp_refusal)
            return
        self.signed_in = signed_in
        self.record.signed_in_as = signed_in.mailbox
        await self.push(server.personality.smtp_signed_in)

    async def _answer(self, challenge: bytes) -> bytes:
        await self.push(b"334 " + base64.b64encode(challenge))
        return (await self._reader.readuntil()).strip()

    async def _run(
        self, verb: str, method: Callable[..., Awaitable[None]], arg: str | None
    ) -> None:
        self.record.commands.append(verb)
        action = self._server.faults.action("smtp", verb)
        if action is None:
            await method(arg)
        else:
            await self.act(action)

    async def _handle_client(self) -> None:
        try:
            greeting = self._server.faults.action("smtp", "CONNECT")
            if greeting is not None:
                await self.act(greeting)
            await super()._handle_client()
        except ConnectionError:
            # The line is closed already; aiosmtpd leaves the exception in the task.
            pass


class _Hooks:
    """What aiosmtpd asks about senders, recipients and messages."""

    def __init__(self, session: SmtpSession, server: SmtpServer) -> None:
        self._session = session
        self._server = server

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SMTP, session: Any, _envelope: Any, host: str, _responses: list[str]
    ) -> list[str]:
        personality = self._server.personality
        session.host_name = host
        security = personality.smtp_authentication if session.ssl else "STARTTLS"
        extensions = personality.smtp_extensions.format(security=security).split("/")
        lines = [
            f"{personality.smtp_host} Hello [{session.peer[0]}]",
            f"SIZE {personality.smtp_size}",
            *extensions,
        ]
        return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SMTP, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        signed_in = self._session.signed_in
        if signed_in is None or not self._server.directory.may_send_as(signed_in, address):
            return self._server.post.sender_refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SMTP, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        refusal = self._server.faults.recipient_refusal(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, _smtp: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        session = self._session
        session.record.commands.append(".")
        action = self._server.faults.action("smtp", ".")
        if isinstance(action, Reply) and not action.text.startswith("421"):
            return action.text
        lost = isinstance(action, Cut | Silent) and not action.carried_out
        if session.signed_in is None or lost or isinstance(action, Reply):
            await session.act(action or Cut())
        assert session.signed_in is not None  # noqa: S101 - MAIL was refused otherwise
        reply = self._server.post.take(session.signed_in, envelope)
        if action is not None:
            await session.act(action)
        return reply
