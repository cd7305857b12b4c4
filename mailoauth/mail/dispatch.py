"""Dispatch: takes packed messages to the server, within the account's limits.

How data flows: the quota lets a parcel go, the pool lends a connection that is signed in,
the server's answer becomes a receipt. A connection lost before anything was handed over
is replaced once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from mailoauth import paths
from mailoauth.errors import (
    ConcurrentUse,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    MailOAuthError,
    OutcomeUnknown,
)
from mailoauth.mail.limits.quota import Quota
from mailoauth.mail.limits.slots import Slots
from mailoauth.mail.pool import Line, Pool
from mailoauth.mail.receipt import SendReceipt
from mailoauth.mail.smtp import SubmissionConnection
from mailoauth.network import Deadline, prepare_tls_context
from mailoauth.tokens.retry import sign_in_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mailoauth.accounts import Account
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.submission.dialogue import Reply
    from mailoauth.tokens.token import AccessToken, TokenSource

_logger = logging.getLogger("mailoauth.mail")

#: Seconds before the end of its token that a connection is given up; of a short-lived token
#: this part of its life.
_MARGIN: Final = 60.0
_MARGIN_PART: Final = 0.1


class Dispatch:
    """The sending side of one account, for the tasks of one event loop."""

    def __init__(
        self,
        account: Account,
        address: str,
        source: Callable[[], TokenSource],
        *,
        timeout: float,
        deadline: float | None,
        connections: int,
    ) -> None:
        self._account = account
        self._address = address
        self._source = source
        self._timeout = timeout
        self._deadline = deadline
        self._pool = Pool(self._open_line, self._make_slots, connections, account)
        self._quota: Quota | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: set[asyncio.Future[Any]] = set()
        self._early: set[asyncio.Future[Any]] = set()  # of those, who waits for the rate yet
        self._pid = os.getpid()
        self._prepared = False
        self._closed = False

    async def submit(
        self,
        parcel: Parcel,
        *,
        before_data: Callable[[], Awaitable[None]] | None = None,
        patiently: bool = False,
    ) -> SendReceipt:
        """Send a parcel; see ``AsyncMailer.submit``."""
        self.prepare()
        self._loop = asyncio.get_running_loop()
        return await self._interruptible(self._submit(parcel, before_data, patiently=patiently))

    def prepare(self) -> None:
        """Begin what takes long before the first connection; raises as :meth:`check`."""
        self.check()
        if not self._prepared:
            self._prepared = True
            prepare_tls_context(self._account.provider.ca_file)

    def left_today(self) -> int | None:
        """Return how many recipients the provider takes today, None without a limit."""
        return self._allowance().left_today()

    def check(self) -> None:
        """Raise ``ConcurrentUse`` after a fork or in another loop, ``ConnectionFailed`` when closed."""
        self.check_open()
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ConcurrentUse(
                f"The mailer of {self._address} belongs to another event loop.",
                remedy="Make one in each loop; a Mailer may be used from any thread.",
                account=self._account.name,
            )

    def check_open(self) -> None:
        """Raise ``ConcurrentUse`` after a fork, ``ConnectionFailed`` when closed."""
        if self.forked:
            raise ConcurrentUse(
                f"The mailer of {self._address} belongs to the process before the fork.",
                remedy="Make a new one in each process.",
                account=self._account.name,
            )
        if self._closed:
            raise self.closed()

    @property
    def forked(self) -> bool:
        """Whether this is another process than the one it was made in."""
        return self._pid != os.getpid()

    def shut(self) -> None:
        """End whatever is under way; from any thread or signal handler, takes no lock."""
        self._closed = True
        if self._loop is not None and not self.forked:
            # The loop may have ended, and with it the connections.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._let_go)

    async def aclose(self) -> None:
        """Say goodbye and close; waits for the messages that are being sent."""
        self._closed = True
        if self.forked:
            return  # the connections are the parent's, goodbyes included
        self._pool.refuse(self.closed)
        for work in list(self._early):
            work.cancel()
        if self._work:
            await asyncio.wait(list(self._work))
        await self._pool.aclose()

    async def _interruptible(self, work: Coroutine[Any, Any, SendReceipt]) -> SendReceipt:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        try:
            return await task
        except asyncio.CancelledError as error:
            if task.done() and not task.cancelled():
                # It ended in the same moment: whoever catches this finds out what is known.
                raise error from task.exception() or was_sent(task.result())
            caller = asyncio.current_task()
            if not self._closed or (caller is not None and caller.cancelling()):
                raise
            known, error.__cause__ = error.__cause__, None  # no circle of causes
            if isinstance(known, DeliveryUnknown):
                raise known from error
            raise self.closed() from error

    def _let_go(self) -> None:
        self._pool.refuse(self.closed)
        for work in list(self._work):
            work.cancel()
        self._pool.drop()

    def closed(self) -> ConnectionFailed:
        """Return the error for whoever still wants to send."""
        return ConnectionFailed(
            f"The mailer of {self._address} is closed.",
            remedy="Make a new one.",
            account=self._account.name,
        )

    async def _submit(
        self,
        parcel: Parcel,
        before_data: Callable[[], Awaitable[None]] | None,
        *,
        patiently: bool,
    ) -> SendReceipt:
        deadline = Deadline(self._deadline)
        await self._wait_for_the_rate(parcel, Deadline(None) if patiently else deadline)
        if patiently:
            deadline = Deadline(self._deadline)
        line = await self._pool.take(deadline)
        try:
            reply, refused = await self._send(line, parcel, before_data)
        except ConnectionTimedOut:
            raise
        except ConnectionFailed as error:
            if self._closed:
                raise
            # Lost before the message was handed over, so once more is safe.
            _logger.info("%s: sending once more on a new connection: %s", self._address, error)
            line = await self._pool.take(deadline, fresh=True)
            reply, refused = await self._send(line, parcel, before_data)
        return SendReceipt(
            message_id=parcel.message_id,
            reply=str(reply),
            accepted=tuple(one for one in parcel.recipients if one not in refused),
            refused={address: str(answer) for address, answer in refused.items()},
        )

    async def _wait_for_the_rate(self, parcel: Parcel, deadline: Deadline) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._early.add(task)
        try:
            await self._allowance().take(len(parcel.recipients), deadline)
        except MailOAuthError as error:
            error.account = error.account or self._account.name
            raise
        finally:
            if task is not None:
                self._early.discard(task)

    async def _send(
        self, line: Line, parcel: Parcel, before_data: Callable[[], Awaitable[None]] | None
    ) -> tuple[Reply, dict[str, Reply]]:
        try:
            return await line.connection.send(parcel, before_data=before_data)
        finally:
            self._pool.give_back(line)

    async def _open_line(self) -> Line:
        source = self._source()
        user = await asyncio.to_thread(self._user, source)

        async def attempt(token: AccessToken) -> Line:
            return await self._sign_in(token, user)

        return await sign_in_async(source, f"smtp {user}", attempt)

    async def _sign_in(self, token: AccessToken, user: str) -> Line:
        connection = SubmissionConnection(
            self._account, timeout=self._timeout, deadline=Deadline(None)
        )
        try:
            await connection.connect()
            await connection.sign_in(self._account.provider.sasl, user, token.value)
        except BaseException:
            await connection.discard()
            raise
        return Line(connection, _end(token))

    def _user(self, source: TokenSource) -> str:
        """Who signs in: the user (a shared mailbox is only sent from); an app as the mailbox."""
        if self._account.sign_in == "app":
            return self._address
        username: str | None = getattr(source, "username", None)
        return username or self._account.user or self._address

    def _make_slots(self) -> Slots:
        return Slots(
            self._limits_name(), self._account.provider.max_connections, paths.limits_folder()
        )

    def _allowance(self) -> Quota:
        if self._quota is None:
            provider = self._account.provider
            self._quota = Quota(
                self._limits_name(),
                messages_per_minute=provider.messages_per_minute,
                recipients_per_day=provider.recipients_per_day,
                folder=paths.limits_folder(),
            )
        return self._quota

    def _limits_name(self) -> str:
        """Name whose limits these are: of who signs in at which server, whatever it is called here."""
        app = self._account.sign_in == "app"
        user = self._address if app else self._account.user or self._account.address
        whose = f"{self._account.smtp} {user.casefold()}"
        return hashlib.sha256(whose.encode()).hexdigest()[:32]


def was_sent(receipt: SendReceipt) -> OutcomeUnknown:
    """Return what stands behind an interruption that came when the message was sent already."""
    return OutcomeUnknown(
        f"The call was interrupted when the message {receipt.message_id} had been sent.",
        remedy="Do not send it again.",
    )


def _end(token: AccessToken) -> float | None:
    """Return when a connection that signed in with a token is to be given up."""
    if token.expires_at is None:
        return None
    life = token.expires_at - time.time()
    return token.expires_at - min(_MARGIN, max(0.0, life) * _MARGIN_PART)
