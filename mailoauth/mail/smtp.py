"""SubmissionConnection: one signed-in submission connection; the only importer of aiosmtplib.

aiosmtplib's exceptions become ours in :func:`_translated`. A connection on which
anything but a plain refusal happened is closed and never used again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
from typing import TYPE_CHECKING, cast

import aiosmtplib

from mailoauth.diagnosis import diagnose
from mailoauth.errors import (
    ConnectionFailed,
    MailOAuthError,
    SendingDisabled,
    ServerError,
    Throttled,
    TokenRefused,
)
from mailoauth.mail import outcomes
from mailoauth.mail.dialogue import Envelope, Reply, mail_options
from mailoauth.mail.refusal import refusal_error
from mailoauth.mail.sasl import mechanism
from mailoauth.mail.watches import FlowWatch, PlaintextWatch
from mailoauth.network import Deadline, tls_context, translate

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Iterator

    from mailoauth.accounts import Account
    from mailoauth.mail.sasl import Mechanism, MechanismName

_logger = logging.getLogger("mailoauth.mail")

_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

#: How much of a message is written at a time, each within one time-out.
_PIECE = 65_536

#: Bytes a second of a slow line: what is written is in the system's buffers, not yet at the
#: server, so that much longer than the time-out its reply may take (RFC 5321 section 4.5.3.2.6
#: allows ten minutes).
_SLOWEST = 50_000

#: More steps of the loop than a TLS connection takes to end.
_STEPS = 20


class SubmissionConnection:
    """One connection to a submission service (RFC 6409); every verb awaits the network.

    ``timeout`` is for each wait, in seconds; ``deadline`` for the call it is used in.
    """

    def __init__(self, account: Account, *, timeout: float, deadline: Deadline) -> None:
        self.endpoint = endpoint = account.smtp
        self.account = account.name
        self._user = account.user or account.name
        self.deadline = deadline
        self.usable = False
        self._used = False
        self._socket: TransportSocket | None = None
        self._timeout = timeout
        self._smtp = aiosmtplib.SMTP(
            hostname=endpoint.host,
            port=endpoint.port,
            use_tls=endpoint.tls == "implicit",
            start_tls=False,  # done in connect(), where nothing sent in clear text is believed
            tls_context=tls_context(account.provider.ca_file),
            local_hostname="localhost",  # RFC 5321's address literal would tell the machine's own
        )

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.endpoint.host}:{self.endpoint.port}"

    async def connect(self) -> None:
        """Connect and start TLS; nothing secret has been sent when this fails."""
        with self._translated("CONNECT"):
            await self._smtp.connect(timeout=self._step())
            if self.endpoint.tls == "starttls":
                await self._start_tls()
            await self._smtp.ehlo(timeout=self._step())
        transport = cast("asyncio.Transport", self._smtp.transport)
        self._flow = FlowWatch(cast("asyncio.Protocol", self._smtp.protocol))
        transport.set_protocol(self._flow)
        self.usable = True

    async def _start_tls(self) -> None:
        """Start TLS, and hang up on whoever sends more in clear text than the answer to it.

        RFC 3207 section 4.2 has the client forget what came before TLS; that bytes come
        *between* the answer and TLS shows that somebody put them there.
        """
        await self._smtp.ehlo(timeout=self._step())
        if not self._smtp.supports_extension("starttls"):
            raise outcomes.tls_missing(self.place, self.account)
        transport = cast("asyncio.Transport", self._smtp.transport)
        watched = PlaintextWatch(cast("asyncio.Protocol", self._smtp.protocol))
        transport.set_protocol(watched)
        try:
            await self._smtp.starttls(timeout=self._step())
        except aiosmtplib.SMTPResponseException as exc:
            if exc.code < 200:  # noqa: PLR2004 - aiosmtplib's -1: not a reply at all
                raise
            reply = Reply(exc.code, exc.message)
            raise outcomes.tls_refused(str(reply), self.place, self.account) from exc
        if not watched.exactly_one_reply:
            raise outcomes.tampered(self.place, self.account)

    async def sign_in(self, sasl: MechanismName, user: str, token: str) -> None:
        """Authenticate; ``TokenRefused`` where the server refused the token."""
        exchange = mechanism(sasl, user, token, self.endpoint)
        if exchange.name.lower() not in self._smtp.server_auth_methods:
            await self._require_auth(exchange.name)
        try:
            with self._translated("AUTH"):
                reply = await self._authenticate(exchange)
        except MailOAuthError as error:
            exchange.redact_error(error)
            raise
        reply = reply._replace(text=exchange.redact(reply.text))
        if reply.code == 235:  # noqa: PLR2004 - RFC 4954 section 6: authentication succeeded
            return
        refusal = self._refusal(reply, user, signing_in=True)
        if isinstance(refusal, TokenRefused):
            refusal.detail = dict(exchange.refusal)
        raise refusal

    async def _require_auth(self, name: str) -> None:
        self.close()
        raise ConnectionFailed(
            f"{self.place} does not offer AUTH {name}.",
            remedy="Check host and port: is this the provider's submission service?",
            account=self.account,
        )

    async def _authenticate(self, exchange: Mechanism) -> Reply:
        """Run the SASL exchange, in two steps where the line would exceed 512 octets.

        RFC 4954 section 4. Postfix and Dovecot cut longer lines and then complain of
        invalid base64, which looks like a bad token.
        """
        name = exchange.name.encode()
        two_steps = exchange.needs_two_steps()
        first = base64.b64encode(exchange.initial_response())
        if two_steps:
            reply = await self._command(b"AUTH", name)
            if reply.code != 334:  # noqa: PLR2004 - RFC 4954 section 4: go ahead
                return reply
            reply = await self._command(first)
        else:
            reply = await self._command(b"AUTH", name, first)
        if reply.code == 334:  # noqa: PLR2004 - now it is the refusal's challenge
            challenge = _decoded(reply.text)
            reply = await self._command(base64.b64encode(exchange.answer(challenge)))
        return reply

    async def send(
        self, envelope: Envelope, data: bytes, message_id: str
    ) -> tuple[Reply, dict[str, Reply]]:
        """Submit one message; return the reply to it and the recipients that were refused.

        ``data`` has CRLF line ends. ``RecipientsRefused`` if all are; ``ConnectionFailed``
        only while the message has not been written; from then on ``DeliveryUnknown``.
        """
        try:
            refused = await self._open_transaction(envelope, data)
            with self._translated("DATA"):
                reply = await self._command(b"DATA")
            if reply.code != 354:  # noqa: PLR2004 - RFC 5321 section 4.1.1.4: start mail input
                raise self._refusal(reply, envelope.sender)
        except TokenRefused:
            # The server has forgotten who signed in; the next message signs in anew.
            self.close()
            raise
        except ServerError:
            await self.reset()
            raise
        reply = await self._hand_over(data, message_id)
        if 200 <= reply.code < 300:  # noqa: PLR2004 - RFC 5321 section 4.2.1: completed
            return reply, refused
        if reply.code < 400:  # noqa: PLR2004 - not an answer to a message at all
            self.close()
            raise outcomes.delivery_unknown(message_id, self.place, self.account)
        refusal = self._refusal(reply, envelope.sender)
        await self.reset()
        raise refusal

    async def _open_transaction(self, envelope: Envelope, data: bytes) -> dict[str, Reply]:
        options = mail_options(envelope, data, self._smtp.supports_extension, self.place)
        encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        refused: dict[str, Reply] = {}
        await self._mail(envelope.sender, options, encoding)
        for recipient in envelope.recipients:
            try:
                with self._translated("RCPT"):
                    await self._smtp.rcpt(recipient, encoding=encoding, timeout=self._step())
            except ServerError as error:
                if not self.usable:  # 421: it is the connection that was refused
                    raise
                refused[recipient] = Reply(int(error.code or 550), error.text)
                last = error
        if len(refused) < len(envelope.recipients):
            return refused
        if isinstance(last, SendingDisabled):
            # Postfix says only now that it does not take the sender (smtpd_delay_reject).
            raise self._refusal(refused[envelope.recipients[-1]], envelope.sender) from last
        if isinstance(last, Throttled):
            raise last
        replies = {address: str(reply) for address, reply in refused.items()}
        raise outcomes.all_refused(replies, last, self.endpoint.host)

    async def _mail(self, sender: str, options: list[str], encoding: str) -> None:
        used, self._used = self._used, True
        try:
            with self._translated("MAIL", who=sender):
                await self._smtp.mail(
                    sender, options=options, encoding=encoding, timeout=self._step()
                )
        except ServerError as error:
            if used and error.code == "421" and not isinstance(error, Throttled):
                # RFC 5321 section 3.8: so a server ends a connection that was idle too long.
                raise outcomes.line_ended("MAIL", self.place, self.account) from error
            raise

    async def _hand_over(self, data: bytes, message_id: str) -> Reply:
        """Write the message and await the reply to it: the one stretch that is never repeated."""
        protocol = self._smtp.protocol
        if protocol is None:
            raise outcomes.line_ended("DATA", self.place, self.account)
        body = _LEADING_DOT.sub(b"..", data)
        ending = b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"
        body += ending
        try:
            with self._translated("DATA"):
                for start in range(0, len(body), _PIECE):
                    protocol.write(body[start : start + _PIECE])
                    await self._flow.drained(self._step())
                patience = self.deadline.step(self._timeout + len(body) / _SLOWEST)
                return Reply(*await protocol.read_response(timeout=patience))
        except ConnectionFailed as error:
            raise outcomes.delivery_unknown(message_id, self.place, self.account) from error
        except asyncio.CancelledError as error:
            # The task ends all the same; whoever catches it finds out what is known.
            raise error from outcomes.delivery_unknown(message_id, self.place, self.account)

    async def reset(self) -> None:
        """Abort the transaction (RSET), so that the connection can be used for another."""
        if self.usable:
            try:
                with self._translated("RSET"):
                    await self._smtp.rset(timeout=min(self._step(), 10.0))
            except MailOAuthError:
                self.close()

    async def quit(self) -> None:
        """Say goodbye and close; not waited for long."""
        if self.usable:
            self.usable = False
            transport = self._smtp.transport
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError):
                await self._smtp.quit(timeout=2.0)
            self._abort(transport)
        await self.discard()

    async def discard(self) -> None:
        """Close without a goodbye, and let the loop take the socket down.

        It takes a few steps; a loop that ends before leaves it to the garbage collector.
        """
        self.close()
        for _ in range(_STEPS):
            if self._socket is None or self._socket.fileno() < 0:
                return
            await asyncio.sleep(0)

    def close(self) -> None:
        """Close without a goodbye, and without waiting for TLS to say its own."""
        self.usable = False
        transport = self._smtp.transport
        self._smtp.close()
        self._abort(transport)

    def _abort(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None:
            # close() alone waits for the peer's close_notify: a silent peer would keep
            # the socket open beyond the end of the program's event loop.
            self._socket = transport.get_extra_info("socket")
            cast("asyncio.Transport", transport).abort()

    async def _command(self, *words: bytes) -> Reply:
        return Reply(*await self._smtp.execute_command(*words, timeout=self._step()))

    def _step(self) -> float:
        return self.deadline.step(self._timeout)

    @contextlib.contextmanager
    def _translated(self, command: str, *, who: str = "") -> Iterator[None]:
        try:
            yield
        except aiosmtplib.SMTPRecipientRefused as exc:
            raise self._refusal(Reply(exc.code, exc.message), exc.recipient) from exc
        except aiosmtplib.SMTPResponseException as exc:
            if exc.code < 200:  # noqa: PLR2004 - aiosmtplib's -1: not a reply at all
                self.close()
                raise outcomes.not_smtp(command, self.place, self.account) from exc
            raise self._refusal(Reply(exc.code, exc.message), who or self.account) from exc
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:
            self.close()
            if isinstance(exc, MailOAuthError):
                raise
            raise self._trouble(exc, command) from exc
        except BaseException:
            # A deadline, or a cancelled task, leaves half a conversation behind.
            self.close()
            raise

    def _trouble(self, exc: Exception, command: str) -> ConnectionFailed:
        """Return our error for what aiosmtplib, the network or TLS raised."""
        cause = exc.__cause__ if isinstance(exc, aiosmtplib.SMTPConnectError) else exc
        if isinstance(exc, aiosmtplib.SMTPTimeoutError):
            return outcomes.no_answer(command, self.place, self.account)
        if isinstance(cause, OSError) and not isinstance(cause, aiosmtplib.SMTPException):
            return translate(cause, what=self.place, account=self.account)
        if isinstance(exc, aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPConnectError):
            return outcomes.line_ended(command, self.place, self.account)
        return outcomes.not_smtp(command, self.place, self.account)

    def _refusal(self, reply: Reply, who: str, *, signing_in: bool = False) -> MailOAuthError:
        text = str(reply)
        _logger.debug("%s answered %d", self.place, reply.code)
        if signing_in or reply.code == 421:  # noqa: PLR2004 - RFC 5321: closing the channel
            self.close()
        error = refusal_error(
            text,
            diagnose(text, protocol="smtp"),
            who=who,
            user=self._user,
            server=self.endpoint.host,
            account=self.account,
            signing_in=signing_in,
        )
        if isinstance(error, ServerError):
            error.code, error.text = str(reply.code), reply.text
        return error


def _decoded(challenge: str) -> bytes:
    try:
        return base64.b64decode(challenge, validate=True)
    except ValueError:
        return challenge.encode()
