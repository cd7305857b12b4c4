"""MailSession: a mailbox and a mailer for one account, for one thread; it blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mailoauth.lending import LentLater, lent
from mailoauth.mail.access import TIMEOUT
from mailoauth.mail.mailbox import Mailbox, interrupted

if TYPE_CHECKING:
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.mailer import Mailer
    from mailoauth.tokens.token import TokenSource


def _mailer() -> type[Mailer]:
    from mailoauth.mailer import Mailer  # noqa: PLC0415 - whoever only reads needs none

    return Mailer


class MailSession:
    """Reads and sends mail for one account, from one thread; connects at the first verb.

    ::

        with MailSession("ada@example.com") as mail:
            for message in mail.unseen():
                print(message.subject)
            mail.send(to="bob@example.com", subject="Report", text="...")

    ``mailbox`` opens another mailbox with the same token; ``tokens`` is any object with
    ``get(rejected=None)``. ``timeout`` bounds one network step, ``deadline`` one whole
    call, in seconds.
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
        self.mailbox = Mailbox(
            account, mailbox=mailbox, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self.account = self.mailbox.account
        self._options: dict[str, Any] = {
            "mailbox": mailbox,
            "tokens": tokens,
            "timeout": timeout,
            "deadline": deadline,
        }
        self._mailer: Mailer | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mailbox.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.mailbox.settle(failed=kind is not None, hurried=interrupted(kind))
        finally:
            self._closed = True
            if self._mailer is not None:
                self._mailer.close()

    @property
    def mailer(self) -> Mailer:
        """What sends for it; made when it is first needed."""
        if self._mailer is None:
            from mailoauth.mailer import Mailer  # noqa: PLC0415 - whoever only reads needs none

            self._mailer = Mailer(self.account, **self._options)
            if self._closed:
                self._mailer.shut()
        return self._mailer

    unseen = lent(Mailbox.unseen)
    search = lent(Mailbox.search)
    mark_seen = lent(Mailbox.mark_seen)
    mark_unseen = lent(Mailbox.mark_unseen)
    flag = lent(Mailbox.flag)
    unflag = lent(Mailbox.unflag)
    move = lent(Mailbox.move)
    copy = lent(Mailbox.copy)
    delete = lent(Mailbox.delete)
    append = lent(Mailbox.append)
    folders = lent(Mailbox.folders)
    special = lent(Mailbox.special)
    create_folder = lent(Mailbox.create_folder)
    rename_folder = lent(Mailbox.rename_folder)
    delete_folder = lent(Mailbox.delete_folder)
    subscribe = lent(Mailbox.subscribe)
    unsubscribe = lent(Mailbox.unsubscribe)
    save = lent(Mailbox.save)
    attachments = lent(Mailbox.attachments)
    save_attachment = lent(Mailbox.save_attachment)
    if TYPE_CHECKING:
        send = lent(Mailer.send, by="mailer")
        send_many = lent(Mailer.send_many, by="mailer")
        settle = lent(Mailer.settle, by="mailer")
    else:
        send = LentLater(_mailer, by="mailer")
        send_many = LentLater(_mailer, by="mailer")
        settle = LentLater(_mailer, by="mailer")

    def close(self) -> None:
        """End whatever is under way; from any thread or signal handler. See ``Mailbox.close``."""
        self._closed = True
        self.mailbox.close()
        if self._mailer is not None:
            self._mailer.shut()
