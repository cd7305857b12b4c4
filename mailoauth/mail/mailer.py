"""AsyncMailer: sends mail for one account, and says what happened to each recipient."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Self

from mailoauth.accounts import load_account
from mailoauth.checks import check_address, check_seconds
from mailoauth.errors import (
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
)
from mailoauth.mail.compose import compose, envelope, serialize
from mailoauth.mail.dialogue import Envelope
from mailoauth.mail.receipt import SendReceipt
from mailoauth.mail.smtp import SubmissionConnection
from mailoauth.network import Deadline
from mailoauth.tokens import token_source
from mailoauth.tokens.retry import sign_in_async

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from email.message import Message as EmailMessage
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.mail.addresses import Address
    from mailoauth.mail.compose import AttachmentSource, Recipients
    from mailoauth.mail.message import Message
    from mailoauth.tokens.token import AccessToken, TokenSource

_logger = logging.getLogger("mailoauth.mail")

#: Seconds for one wait on the network.
TIMEOUT = 60.0


class AsyncMailer:
    """Sends from any task of one event loop, one message after the other; connects at the first.

    ``mailbox`` sends from another mailbox than the account's own. ``timeout`` bounds one
    network step and ``deadline`` one whole call, in seconds.
    """

    def __init__(
        self,
        account: Account | str,
        *,
        mailbox: str | None = None,
        tokens: TokenSource | None = None,
        timeout: float = TIMEOUT,
        deadline: float | None = None,
    ) -> None:
        self.account = load_account(account) if isinstance(account, str) else account
        check_address("mailbox", mailbox)
        check_seconds(timeout=timeout, deadline=deadline)
        self.address = self.account.address if mailbox is None else mailbox
        self._tokens = tokens
        self._timeout = timeout
        self._deadline = deadline
        self._connection: SubmissionConnection | None = None
        self._token: AccessToken | None = None
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Future[SendReceipt] | None = None
        self._pid = os.getpid()
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(  # noqa: PLR0913 - a message has that many fields, each by name
        self,
        message: EmailMessage | bytes | None = None,
        *,
        sender: str | Address | None = None,
        to: Recipients = (),
        cc: Recipients = (),
        bcc: Recipients = (),
        reply_to: Recipients = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        attachments: Iterable[AttachmentSource] = (),
        inline: Mapping[str, AttachmentSource] | None = None,
        headers: Mapping[str, str] | None = None,
        in_reply_to: str | Message | None = None,
    ) -> SendReceipt:
        """Send a message that is given, or else one composed of the keywords.

        ``sender`` is the mailbox unless given. See ``compose`` for the keywords.
        Some recipients refused is a receipt; all refused is ``RecipientsRefused``. Raises
        ``ConfigError`` before anything is sent, ``SendingDisabled``, ``Throttled``,
        ``ConnectionFailed`` where nothing was sent, and ``DeliveryUnknown`` where that is
        not known: then nothing is sent a second time by itself.
        """
        parts = {
            "sender": sender,
            "to": to,
            "cc": cc,
            "bcc": bcc,
            "reply_to": reply_to,
            "subject": subject,
            "text": text,
            "html": html,
            "attachments": attachments,
            "inline": inline,
            "headers": headers,
            "in_reply_to": in_reply_to,
        }
        message = self._composed(message, {key: value for key, value in parts.items() if value})
        envelope_sender, recipients = envelope(message)
        data = serialize(message)
        message_id = _message_id(data)
        self._check()
        deadline = Deadline(self._deadline)
        self._loop = asyncio.get_running_loop()
        async with self._turn:
            self._check()
            return await self._interruptible(
                self._send(
                    Envelope(envelope_sender or self.address, recipients),
                    data,
                    message_id,
                    deadline,
                )
            )

    def shut(self) -> None:
        """End whatever is under way, for good; from any thread or signal handler, takes no lock.

        A message that had been handed over by then is ``DeliveryUnknown``.
        """
        self._closed = True
        if self._loop is not None and self._pid == os.getpid():
            with contextlib.suppress(
                RuntimeError
            ):  # the loop has ended, and with it the connection
                self._loop.call_soon_threadsafe(self._let_go)

    async def aclose(self) -> None:
        """Say goodbye and close; waits for a message that is being sent."""
        self._closed = True
        if self._pid != os.getpid():
            return  # the connection is the parent's, goodbyes included
        async with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.quit()

    async def _interruptible(self, work: Coroutine[Any, Any, SendReceipt]) -> SendReceipt:
        self._work = asyncio.ensure_future(work)
        try:
            return await self._work
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if not self._closed or (task is not None and task.cancelling()):
                raise
            known, error.__cause__ = error.__cause__, None  # no circle of causes
            if isinstance(known, DeliveryUnknown):
                raise known from error
            raise self._is_closed() from error
        finally:
            self._work = None

    def _let_go(self) -> None:
        if self._work is not None:
            self._work.cancel()
        if self._connection is not None:
            self._connection.close()

    def _composed(
        self, message: EmailMessage | bytes | None, parts: dict[str, Any]
    ) -> EmailMessage | bytes:
        from email import message as standard  # noqa: PLC0415 - email is slow to import

        if message is None:
            return compose(**{"sender": self.address, **parts})
        if parts:
            raise ConfigError(
                f"send() takes either a message or keywords, not both ({', '.join(sorted(parts))})."
            )
        if not isinstance(message, standard.Message | bytes | bytearray | memoryview):
            raise ConfigError(
                f"send() takes an email.message.Message or bytes, not {type(message).__name__}.",
                remedy="Give text=... for a text, and .raw of a message that was read.",
            )
        return message

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise ConcurrentUse(
                f"The mailer of {self.address} belongs to the process before the fork.",
                remedy="Make a new one in each process.",
                account=self.account.name,
            )
        if self._closed:
            raise self._is_closed()
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ConcurrentUse(
                f"The mailer of {self.address} belongs to another event loop.",
                remedy="Make one in each loop; a Mailer may be used from any thread.",
                account=self.account.name,
            )

    def _is_closed(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"The mailer of {self.address} is closed.",
            remedy="Make a new one.",
            account=self.account.name,
        )

    async def _send(
        self, message_envelope: Envelope, data: bytes, message_id: str, deadline: Deadline
    ) -> SendReceipt:
        connection = await self._ready(deadline)
        try:
            reply, refused = await connection.send(message_envelope, data, message_id)
        except ConnectionTimedOut:
            raise
        except ConnectionFailed as error:
            # Lost before the message was handed over, so once more is safe.
            _logger.info("%s: sending once more on a new connection: %s", self.address, error)
            connection = await self._ready(deadline)
            reply, refused = await connection.send(message_envelope, data, message_id)
        return SendReceipt(
            message_id=message_id,
            reply=str(reply),
            accepted=tuple(one for one in message_envelope.recipients if one not in refused),
            refused={address: str(answer) for address, answer in refused.items()},
        )

    async def _ready(self, deadline: Deadline) -> SubmissionConnection:
        """Return the connection at hand, or a new one that is signed in."""
        connection = self._connection
        if connection is not None and connection.usable:
            if self._token_lives():
                connection.deadline = deadline
                return connection
            await connection.quit()
        source = self._source()
        user = await asyncio.to_thread(self._user, source)

        async def attempt(token: AccessToken) -> SubmissionConnection:
            return await self._sign_in(token, user, deadline)

        self._connection = await sign_in_async(
            source, f"smtp {user}", attempt, remaining=deadline.remaining
        )
        return self._connection

    async def _sign_in(
        self, token: AccessToken, user: str, deadline: Deadline
    ) -> SubmissionConnection:
        self._token = token
        connection = SubmissionConnection(self.account, timeout=self._timeout, deadline=deadline)
        try:
            await connection.connect()
            await connection.sign_in(self.account.provider.sasl, user, token.value)
        except BaseException:
            await connection.discard()
            raise
        return connection

    def _token_lives(self) -> bool:
        # Servers look at the token only when it is used to sign in, but one that has
        # ended is no ground to go on sending for hours.
        ends = self._token.expires_at if self._token else None
        return ends is None or time.time() < ends

    def _user(self, source: TokenSource) -> str:
        """Who signs in: the user (a shared mailbox is only sent from); an app as the mailbox."""
        if self.account.sign_in == "app":
            return self.address
        username: str | None = getattr(source, "username", None)
        return username or self.account.user or self.address

    def _source(self) -> TokenSource:
        if self._tokens is None:
            self._tokens = token_source(self.account)
        return self._tokens


def _message_id(data: bytes) -> str:
    from email.parser import BytesHeaderParser  # noqa: PLC0415 - email is slow to import

    return str(BytesHeaderParser().parsebytes(data).get("Message-ID", "")).strip()
