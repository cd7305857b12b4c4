"""One submission session: aiosmtpd with STARTTLS, bearer tokens, BDAT and the faults."""

from __future__ import annotations

import asyncio
import base64
import collections
import logging
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, AnyStr

from aiosmtpd.smtp import SMTP

from mailoauth.emulator.faults import Cut, Reply, carries_out
from mailoauth.emulator.records import Connection
from mailoauth.emulator.signin import parse_claim
from mailoauth.emulator.smtp_hooks import SmtpHooks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from mailoauth.emulator.faults import Action
    from mailoauth.emulator.signin import SignedIn
    from mailoauth.emulator.smtp_server import SmtpServer

log = logging.getLogger("mailoauth.emulator")
# aiosmtpd logs whole messages at DEBUG and every session at INFO.
logging.getLogger("mail.log").setLevel(logging.ERROR)

_SCOPE = "SMTP.Send"
_LINE_LIMIT = 1 << 16

#: What asks for a message.
_GO_AHEAD = "354 Start mail input; end with <CRLF>.<CRLF>"

# Parameters of DSN (RFC 3461), which aiosmtpd does not know. They change nothing here.
_DSN = re.compile(r"\s(?:RET|ENVID|NOTIFY|ORCPT)=\S+", re.IGNORECASE)
_PIECE = re.compile(r"(\d{1,9})(?:\s+LAST)?", re.IGNORECASE)
_LAST = re.compile(r"\sLAST$", re.IGNORECASE)
# RFC 3030 section 3; aiosmtpd knows the other two.
_BINARY = re.compile(r"\sBODY=BINARYMIME\b", re.IGNORECASE)

# What aiosmtpd says, and what Exchange says in its place.
_WORDS = {
    "354 End data with <CR><LF>.<CR><LF>": _GO_AHEAD,
    "220 Ready to start TLS": "220 2.0.0 SMTP server ready",
    "250 OK": "250 2.0.0 OK",
    "221 Bye": "221 2.0.0 Service closing transmission channel",
    "503 Error: need MAIL command": "503 5.5.2 Need mail command",
    "503 Error: need RCPT command": "503 5.5.2 Need rcpt command",
    "503 Error: send EHLO first": "503 5.5.2 Send hello first",
    "503 Error: send HELO first": "503 5.5.2 Send hello first",
}


class SmtpSession(SMTP):
    """One session."""

    line_length_limit = _LINE_LIMIT

    def __init__(
        self, server: SmtpServer, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop
    ) -> None:
        personality = server.personality
        now = format_datetime(datetime.now(UTC))
        super().__init__(
            SmtpHooks(self, server),
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
        # What becomes of the next answer, and of the line with it.
        self.ending: Action | None = None
        self._piece: bytes | None = None
        self._binary = False

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
        """Send a reply, or let it end as a test asked for."""
        reply = _WORDS.get(status, status) if isinstance(status, str) else status
        if self.ending is not None:
            await self._end_with(reply.encode() if isinstance(reply, str) else reply)
        await super().push(reply)
        if reply == _GO_AHEAD:
            await self._interrupt_message(self._server.faults.action("smtp", "MESSAGE"))

    async def _end_with(self, reply: bytes) -> None:
        ending, self.ending = self.ending, None
        if isinstance(ending, Cut) and ending.in_reply:
            self._writer.write(reply[: len(reply) // 2])
        await self.act(ending or Cut())

    async def _interrupt_message(self, action: Action | None) -> None:
        if action is not None:
            await self._reader.read(1)  # the client has begun
            await self.act(action)

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
        known, binary = _BINARY.subn("", _DSN.sub("", arg or ""))
        await super().smtp_MAIL(known or None)
        self._binary = binary > 0

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Take a recipient; DSN parameters change nothing."""
        await super().smtp_RCPT(arg and _DSN.sub("", arg))

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Take a message line by line; not what is binary, or has begun to come in pieces."""
        if self._binary or (self.envelope is not None and self.envelope.content is not None):
            await self.push("503 5.5.1 Bad sequence of commands")  # RFC 3030 sections 2 and 3
        else:
            await super().smtp_DATA(arg or "")

    async def smtp_BDAT(self, arg: str | None) -> None:  # noqa: N802 - as aiosmtpd's names
        """Take a piece of a message (RFC 3030 section 2); the last one is its end."""
        piece, envelope = self._piece, self.envelope
        if piece is None or envelope is None:
            await self.push("501 5.5.4 Unrecognized parameter")
        elif await self.check_auth_needed("BDAT"):
            pass
        elif not envelope.rcpt_tos:
            await self.push(_WORDS["503 Error: need RCPT command"])
        else:
            before = envelope.content if isinstance(envelope.content, bytes) else b""
            envelope.content = before + piece
            await self.push(await self._taken(envelope.content, last=_LAST.search(arg or "")))

    async def _taken(self, content: bytes, *, last: object) -> str:
        if len(content) > self._server.personality.smtp_size:
            status = "552 5.3.4 Message size exceeds fixed maximum message size"
        elif last:
            status = str(await self._call_handler_hook("DATA"))
        else:
            return "250 2.0.0 OK"
        self.envelope = self._create_envelope()
        return status

    async def _read_piece(self, arg: str | None) -> None:
        """Read what follows BDAT, whatever the answer will be; it comes without being asked for."""
        self._piece = None
        match = _PIECE.fullmatch(arg or "")
        if match is not None:
            await self._interrupt_message(self._server.faults.action("smtp", "MESSAGE"))
            self._piece = await self._reader.readexactly(int(match[1]))

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Sign in with a bearer token, in one step or two (RFC 4954 section 4)."""
        mechanism, _, initial = (arg or "").partition(" ")
        mechanism = mechanism.upper()
        if 0 < self._server.longest_auth_line < len(f"AUTH {arg}\r\n"):
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
        excess = server.limits.sign_in(server.signed_in(signed_in.mailbox))
        if excess is not None:
            await self.push(excess)
            return
        self.signed_in = signed_in
        self.record.signed_in_as = signed_in.mailbox
        await self.push(server.personality.smtp_signed_in)

    async def _answer(self, challenge: bytes) -> bytes:
        ending, self.ending = self.ending, None  # it is meant for what comes of it
        await self.push(b"334 " + base64.b64encode(challenge))
        answer = (await self._reader.readuntil()).strip()
        self.ending = ending
        return answer

    async def _run(
        self, verb: str, method: Callable[..., Awaitable[None]], arg: str | None
    ) -> None:
        self.record.commands.append(verb)
        if verb == "BDAT":
            await self._read_piece(arg)
        action = self._server.faults.action("smtp", verb)
        if carries_out(action):
            self.ending = action
            await method(arg)
        else:
            await self.act(action or Cut())
            if verb == "BDAT":
                # The pieces that follow must not pass for the whole (RFC 3030 section 2).
                self.envelope = self._create_envelope()

    async def _handle_client(self) -> None:
        try:
            greeting = self._server.faults.action("smtp", "CONNECT")
            if greeting is not None and not carries_out(greeting):
                await self.act(greeting)
            else:
                self.ending = greeting
            await super()._handle_client()
        except ConnectionError:
            # The line is closed already; aiosmtpd leaves the exception in the task.
            pass
