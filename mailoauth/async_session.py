"""AsyncMailSession: a mailbox and a mailer for one account, for programs that await.

It takes calls from any task of its loop, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mailoauth.accounts import load_account
from mailoauth.lending import lent
from mailoauth.mail.access import TIMEOUT
from mailoauth.mail.async_mailbox import AsyncMailbox
from mailoauth.mail.mailbox import interrupted
from mailoauth.mail.mailer import AsyncMailer

if TYPE_CHECKING:
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.tokens.token import TokenSource


class AsyncMailSession:
    """Reads and sends mail for one account, from any task of one event loop.

    The verbs of ``MailSession``, awaited; the options are the same::

        async with AsyncMailSession("ada@example.com") as mail:
            async for message in mail.unseen():
                print(message.subject)
            await mail.send(to="bob@example.com", subject="Report", text="...")
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
        self.mailbox = AsyncMailbox(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self.mailer = AsyncMailer(
            self.account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mailbox.address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.mailbox.settle(failed=kind is not None, hurried=interrupted(kind))
        finally:
            await self.mailer.aclose()

    unseen = lent(AsyncMailbox.unseen)
    search = lent(AsyncMailbox.search)
    mark_seen = lent(AsyncMailbox.mark_seen)
    mark_unseen = lent(AsyncMailbox.mark_unseen)
    flag = lent(AsyncMailbox.flag)
    unflag = lent(AsyncMailbox.unflag)
    move = lent(AsyncMailbox.move)
    copy = lent(AsyncMailbox.copy)
    delete = lent(AsyncMailbox.delete)
    append = lent(AsyncMailbox.append)
    folders = lent(AsyncMailbox.folders)
    special = lent(AsyncMailbox.special)
    create_folder = lent(AsyncMailbox.create_folder)
    rename_folder = lent(AsyncMailbox.rename_folder)
    delete_folder = lent(AsyncMailbox.delete_folder)
    subscribe = lent(AsyncMailbox.subscribe)
    unsubscribe = lent(AsyncMailbox.unsubscribe)
    save = lent(AsyncMailbox.save)
    attachments = lent(AsyncMailbox.attachments)
    save_attachment = lent(AsyncMailbox.save_attachment)
    send = lent(AsyncMailer.send, by="mailer")
    send_many = lent(AsyncMailer.send_many, by="mailer")
    settle = lent(AsyncMailer.settle, by="mailer")

    def close(self) -> None:
        """End whatever is under way; from any thread or signal handler. See ``Mailbox.close``."""
        self.mailbox.close()
        self.mailer.shut()
