"""SubmissionConnection: one signed-in submission connection; the only importer of aiosmtplib.

aiosmtplib's exceptions become ours in :func:`_translated`. A connection on which
anything but a plain refusal happened is closed and never used again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from typing import TYPE_CHECKING, cast

import aiosmtplib

from mailoauth.errors import ConnectionFailed, MailOAuthError, TokenRefused
from mailoauth.mail.sasl import mechanism
from mailoauth.mail.submission import dialogue, outcomes
from mailoauth.mail.submission.dialogue import Reply
from mailoauth.mail.submission.outcomes import Service
from mailoauth.mail.submission.transaction import Transaction
from mailoauth.mail.submission.watches import PlaintextWatch, ReplyWatch
from mailoauth.network import Deadline, tls_context, translate

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from mailoauth.accounts import Account
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.sasl import Mechanism, MechanismName

_logger = logging.getLogger("mailoauth.mail")

#: More steps of the loop than a TLS connection takes to end.
_STEPS = 20


class SubmissionConnection:
    """One connection to a submission service (RFC 6409); every verb awaits the network.

    ``timeout`` is for each wait, in seconds; ``deadline`` for the call it is used in.
    """

    def __init__(self, account: Account, *, timeout: float, deadline: Deadline) -> None:
        self.endpoint = endpoint = account.smtp
        self.deadline = deadline
        self._service = Service(
            endpoint.host, endpoint.port, account.name, account.user or account.name
        )
        self._extensions: Mapping[str, str] = {}
        self._watch: ReplyWatch | None = None
        self._connected = False
        self._used = False
        self._open = False
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
    def usable(self) -> bool:
        """Whether a message can be sent: it is up, and the server said no goodbye meanwhile."""
        return self._connected and self._watch is not None and self._watch.usable

    async def connect(self) -> None:
        """Connect and start TLS; nothing secret has been sent when this fails."""
        with self._translated("CONNECT"):
            await self._smtp.connect(timeout=self._step())
            if self.endpoint.tls == "starttls":
                await self._start_tls()
            await self._smtp.ehlo(timeout=self._step())
        transport = cast("asyncio.Transport", self._smtp.transport)
        self._socket = transport.get_extra_info("socket")
        # aiosmtplib forgets them when the line ends.
        self._extensions = dict(self._smtp.esmtp_extensions)
        self._watch = ReplyWatch(cast("asyncio.Protocol", self._smtp.protocol), transport)
        transport.set_protocol(self._watch)
        self._connected = True

    async def _start_tls(self) -> None:
        """Start TLS, and hang up on whoever sends more in clear text than the answer to it.

        RFC 3207 section 4.2 has the client forget what came before TLS; that bytes come
        *between* the answer and TLS shows that somebody put them there.
        """
        await self._smtp.ehlo(timeout=self._step())
        if not self._smtp.supports_extension("starttls"):
            raise outcomes.tls_missing(self._service)
        transport = cast("asyncio.Transport", self._smtp.transport)
        watched = PlaintextWatch(cast("asyncio.Protocol", self._smtp.protocol))
        transport.set_protocol(watched)
        try:
            await self._smtp.starttls(timeout=self._step())
        except aiosmtplib.SMTPResponseException as exc:
            if exc.code < 200:  # noqa: PLR2004 - aiosmtplib's -1: not a reply at all
                raise
            reply = Reply(exc.code, exc.message)
            raise outcomes.tls_refused(str(reply), self._service) from exc
        if not watched.exactly_one_reply:
            raise outcomes.tampered(self._service)

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
            f"{self._service.place} does not offer AUTH {name}.",
            remedy="Check host and port: is this the provider's submission service?",
            account=self._service.account,
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
        self, parcel: Parcel, *, before_data: Callable[[], Awaitable[None]] | None = None
    ) -> tuple[Reply, dict[str, Reply]]:
        """Submit one message; return the reply to it and the recipients that were refused.

        ``before_data`` is awaited when the server waits for the message and nothing of it is
        written; what it raises ends the connection. ``ConfigError`` for a message that is
        larger than the server takes (RFC 1870); ``RecipientsRefused`` if all are;
        ``ConnectionFailed`` only while nothing was written; from then on ``DeliveryUnknown``.
        """
        if self._watch is None or not self.usable:
            raise outcomes.line_ended("MAIL", self._service)
        said = dialogue.commands(parcel, self._extensions, self._service.place)
        if self._open:
            said.insert(0, dialogue.RSET)
        used, self._used = self._used, True
        transaction = Transaction(
            self._watch, self._service, timeout=self._timeout, deadline=self.deadline
        )
        try:
            refused = await transaction.introduce(
                parcel, said, pipelining="pipelining" in self._extensions, used=used
            )
            if before_data is not None:
                await before_data()
            return await transaction.hand_over(parcel), refused
        finally:
            self._open = transaction.left == "open"
            if transaction.left == "broken" or not self.usable:
                self.close()

    async def quit(self) -> None:
        """Say goodbye and close; not waited for long."""
        if self._watch is not None and self.usable:
            self._connected = False
            transport = self._smtp.transport
            with (
                self._watch.lent(),
                contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError),
            ):
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
        self._connected = False
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
    def _translated(self, command: str) -> Iterator[None]:
        lent = contextlib.nullcontext() if self._watch is None else self._watch.lent()
        try:
            with lent:
                yield
        except aiosmtplib.SMTPResponseException as exc:
            if exc.code < 200:  # noqa: PLR2004 - aiosmtplib's -1: not a reply at all
                self.close()
                raise outcomes.not_smtp(command, self._service) from exc
            raise self._refusal(Reply(exc.code, exc.message), self._service.account) from exc
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
            return outcomes.no_answer(command, self._service)
        if isinstance(cause, OSError) and not isinstance(cause, aiosmtplib.SMTPException):
            return translate(cause, what=self._service.place, account=self._service.account)
        if isinstance(exc, aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPConnectError):
            return outcomes.line_ended(command, self._service)
        return outcomes.not_smtp(command, self._service)

    def _refusal(self, reply: Reply, who: str, *, signing_in: bool = False) -> MailOAuthError:
        _logger.debug("%s answered %d", self._service.place, reply.code)
        if signing_in or reply.code == 421:  # noqa: PLR2004 - RFC 5321: closing the channel
            self.close()
        return outcomes.refused(reply, who, self._service, signing_in=signing_in)


def _decoded(challenge: str) -> bytes:
    try:
        return base64.b64decode(challenge, validate=True)
    except ValueError:
        return challenge.encode()
