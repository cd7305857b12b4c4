"""AsyncMailer: sends mail for one account, and says what happened to each recipient."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from mailoauth.accounts import load_account
from mailoauth.checks import check_address, check_seconds
from mailoauth.errors import ConfigError
from mailoauth.mail.dispatch import Dispatch
from mailoauth.mail.parcel import pack
from mailoauth.tokens import token_source

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
    from email.message import Message as EmailMessage
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.errors import DeliveryUnknown
    from mailoauth.mail.addresses import Address
    from mailoauth.mail.compose import Recipients
    from mailoauth.mail.many import AsyncReceipts, Progress
    from mailoauth.mail.message import Message
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.mail.writing.loading import AttachmentSource
    from mailoauth.tokens.token import TokenSource

#: Seconds for one wait on the network.
TIMEOUT = 60.0


class AsyncMailer:
    """Sends from any task of one event loop; connects at the first message.

    One a process is enough, for its whole life: it keeps up to ``connections`` open (the
    provider's limit unless given), closes those that nobody uses, and keeps the account's
    limits together with all other processes of the machine. ``mailbox`` sends from another
    mailbox than the account's own. ``timeout`` bounds one network step and ``deadline`` one
    whole call, in seconds.
    """

    def __init__(
        self,
        account: Account | str,
        *,
        mailbox: str | None = None,
        tokens: TokenSource | None = None,
        timeout: float = TIMEOUT,
        deadline: float | None = None,
        connections: int | None = None,
    ) -> None:
        self.account = load_account(account) if isinstance(account, str) else account
        check_address("mailbox", mailbox)
        check_seconds(timeout=timeout, deadline=deadline)
        self.address = self.account.address if mailbox is None else mailbox
        #: How many connections it may have at a time.
        self.connections = self._checked(connections, self.account.provider.max_connections)
        self._tokens = tokens
        self._dispatch = Dispatch(
            self.account,
            self.address,
            self._source,
            timeout=timeout,
            deadline=deadline,
            connections=self.connections,
        )
        self._runs: weakref.WeakSet[AsyncReceipts] = weakref.WeakSet()

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
        recipients: Iterable[str] | None = None,
        envelope_sender: str | None = None,
        save_sent: bool = False,
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
        ``recipients`` and ``envelope_sender`` stand in for what the message's headers say of
        who gets it and where it comes from (RFC 5321 section 2.3.1). ``save_sent`` puts a
        copy into the Sent folder unless the provider does that by itself; that it could not
        be put there is no error: see ``SendReceipt.saved``.

        Some recipients refused is a receipt; all refused is ``RecipientsRefused``. Raises
        ``ConfigError`` before anything is sent, ``SendingDisabled``, ``Throttled``,
        ``ConnectionFailed`` where nothing was sent, and ``DeliveryUnknown`` where that is
        not known: then nothing is sent a second time by itself (see :meth:`settle`).
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
        self._dispatch.prepare()
        content = _content(message, {key: value for key, value in parts.items() if value})
        if recipients is not None and not isinstance(recipients, str):
            recipients = tuple(recipients)  # looked at twice
        keep_copy = save_sent and not self.account.provider.saves_sent
        if keep_copy and isinstance(content, dict):
            from mailoauth.mail.compose import compose  # noqa: PLC0415 - email is slow to import

            content = compose(**{"sender": self.address, **content})  # once: files, date and id
        parcel = pack(
            content, address=self.address, recipients=recipients, envelope_sender=envelope_sender
        )
        if not keep_copy:
            return await self.submit(parcel)
        from mailoauth.mail import sent  # noqa: PLC0415 - needs IMAP

        copy = pack(  # before anything is sent: what is wrong with it must not be said too late
            content,
            address=self.address,
            recipients=recipients,
            message_id=parcel.message_id,
            keep_bcc=True,
        )
        receipt = await self.submit(parcel)
        return await sent.with_copy(receipt, copy.data, self.account, self.address, self._source())

    def send_many(
        self,
        messages: Iterable[EmailMessage | bytes | Mapping[str, Any]]
        | AsyncIterable[EmailMessage | bytes | Mapping[str, Any]],
        *,
        connections: int | None = None,
        on_progress: Callable[[Progress], Any] | None = None,
        journal: str | os.PathLike[str] | None = None,
        key: Callable[[Any], str | None] | None = None,
    ) -> AsyncReceipts:
        """Send messages over several connections; iterate over the result for their receipts.

        A message is an email message, its bytes, or a mapping of ``compose``'s keywords.
        Each has one receipt, in the order in which they end; what went wrong is in its
        ``error``. Throttling is waited out. With a ``journal`` (the path of a file) a run
        that was stopped is continued by giving the same messages again: each is sent once,
        known by what ``key`` says of it, else by its Message-ID, else by its position.
        """
        from mailoauth.mail.many import AsyncReceipts  # noqa: PLC0415 - needed by few

        self._dispatch.check_open()
        run = AsyncReceipts(
            self,
            messages,
            connections=self._checked(connections, self.connections),
            on_progress=on_progress,
            journal=journal,
            key=key,
        )
        self._runs.add(run)
        return run

    async def submit(
        self,
        parcel: Parcel,
        *,
        before_data: Callable[[], Awaitable[None]] | None = None,
        patiently: bool = False,
    ) -> SendReceipt:
        """Send a message that is packed; raises as :meth:`send`.

        ``before_data`` is awaited when the server is ready for the message and nothing of
        it has been written. ``patiently`` has the deadline begin only when the account's
        rate lets the message go.
        """
        return await self._dispatch.submit(parcel, before_data=before_data, patiently=patiently)

    async def settle(self, unknown: DeliveryUnknown, *, wait: float = 30.0) -> bool:
        """Say whether a message of unknown outcome was sent, by looking into the Sent folder.

        It may get there late: it is looked for again until ``wait`` seconds are over, and
        only then False says that it was not sent. ``ConfigError`` where the provider keeps
        no copies.
        """
        from mailoauth.mail import sent  # noqa: PLC0415 - needs IMAP

        check_seconds(wait=wait)
        self._dispatch.check()
        return await sent.settle(self.account, self.address, self._source(), unknown, wait=wait)

    def left_today(self) -> int | None:
        """Return how many more recipients the provider takes today, None if it sets no limit."""
        return self._dispatch.left_today()

    def shut(self) -> None:
        """End whatever is under way, for good; from any thread or signal handler, takes no lock.

        A message that had been handed over by then is ``DeliveryUnknown``.
        """
        for run in list(self._runs):
            run.shut(self._dispatch.closed())
        self._dispatch.shut()

    async def aclose(self) -> None:
        """Say goodbye and close; waits for the messages that are being sent."""
        if not self._dispatch.forked:
            for run in list(self._runs):
                await run.aclose(self._dispatch.closed())
        await self._dispatch.aclose()

    def _source(self) -> TokenSource:
        if self._tokens is None:
            self._tokens = token_source(self.account)
        return self._tokens

    def _checked(self, connections: int | None, most: int) -> int:
        if connections is None:
            return most
        if type(connections) is not int or connections < 1:
            raise ConfigError(f"connections is {connections!r}.", remedy="It is 1 or more.")
        if connections > most:
            raise ConfigError(
                f"connections is {connections}, and {self.account.provider.name} allows {most} of "
                "them at a time.",
                remedy=f"Give at most {most}, or max_connections in a provider of your own.",
                account=self.account.name,
            )
        return connections


def _content(
    message: EmailMessage | bytes | None, parts: dict[str, Any]
) -> EmailMessage | bytes | dict[str, Any]:
    if message is None:
        return parts
    if parts:
        raise ConfigError(
            f"send() takes either a message or keywords, not both ({', '.join(sorted(parts))})."
        )
    from email import message as standard  # noqa: PLC0415 - email is slow to import

    if not isinstance(message, standard.Message | bytes | bytearray | memoryview):
        raise ConfigError(
            f"send() takes an email.message.Message or bytes, not {type(message).__name__}.",
            remedy="Give text=... for a text, and .raw of a message that was read.",
        )
    return message
