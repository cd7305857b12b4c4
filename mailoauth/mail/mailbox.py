"""Mailbox: reads one mailbox over IMAP.

How data flows: a verb asks its ``ImapLine`` to run a command in a folder; the line connects
and signs in if need be. Messages come through a ``MessageIterator``, batch by batch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self, TypeVar, Unpack
from weakref import WeakSet

from mailoauth.accounts import load_account
from mailoauth.checks import check_address, check_folder, check_seconds
from mailoauth.errors import ConfigError, MailOAuthError
from mailoauth.mail import criteria
from mailoauth.mail.line import ImapLine
from mailoauth.mail.marks import Marks
from mailoauth.mail.reading import MessageIterator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from mailoauth.accounts import Account
    from mailoauth.mail.criteria import Criteria, Search
    from mailoauth.mail.imap import ImapConnection
    from mailoauth.mail.message import Message
    from mailoauth.network import Deadline
    from mailoauth.tokens.token import TokenSource

_logger = logging.getLogger("mailoauth.mail")

T = TypeVar("T")

#: Seconds for one wait on the network.
TIMEOUT = 60.0


def interrupted(kind: type[BaseException] | None) -> bool:
    """Whether a ``with`` block was left by Ctrl-C, the end of the program, or a cancelled task."""
    return kind is not None and not issubclass(kind, Exception)


class Mailbox:
    """One mailbox, for use from one thread; connects at the first verb.

    ``mailbox`` opens another mailbox than the account's own (a shared one; with an
    app any of the tenant) with the same token. ``timeout`` bounds one network step and
    ``deadline`` one whole call, both in seconds. Verbs raise ``SignInRequired``,
    ``TokenRefused``, ``MailboxUnavailable``, ``FolderNotFound``, ``Throttled``,
    ``ConnectionFailed``, and ``ConcurrentUse`` from a second thread or after a fork.
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
        self._line = ImapLine(
            self.account, self.address, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self._marks = Marks()
        # Weak: a loop that was left needs no settling, and its messages no memory.
        self._iterators: WeakSet[MessageIterator] = WeakSet()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.settle(failed=kind is not None, hurried=interrupted(kind))

    # What people do with a mailbox.

    def unseen(
        self,
        *,
        folder: str = "INBOX",
        mark_seen: bool = False,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> MessageIterator:
        r"""Iterate over the messages without the flag \Seen, oldest first; does not mark them.

        With ``mark_seen`` a message is marked when the next one is asked for, or the
        loop ends by itself; leaving the loop leaves the message in hand unseen.
        """
        return self._iterate(
            criteria.compile(unseen=True),
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
        )

    def search(
        self,
        *,
        folder: str = "INBOX",
        mark_seen: bool = False,
        limit: int | None = None,
        newest_first: bool = False,
        **keywords: Unpack[Criteria],
    ) -> MessageIterator:
        """Iterate over the messages that meet every criterion; without one over all of them.

        Criteria are ``unseen seen flagged`` (bool), ``since before`` (dates, whole days as
        the server dates them), ``sender to subject body text message_id`` (part of the
        field), ``larger smaller`` (octets), ``uid``, ``not_`` (a dict of criteria) and
        ``any_of`` (a list of them). ``mark_seen`` is as in :meth:`unseen`.
        """
        return self._iterate(
            criteria.compile(**keywords),
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
        )

    def mark_seen(self, messages: Message | Iterable[Message]) -> None:
        r"""Set the flag \Seen on a message, or on many; done when it returns."""
        self._store(messages, "\\Seen", add=True)

    def mark_unseen(self, messages: Message | Iterable[Message]) -> None:
        r"""Remove the flag \Seen from a message, or from many."""
        self._store(messages, "\\Seen", add=False)

    def flag(self, messages: Message | Iterable[Message]) -> None:
        r"""Set the flag \Flagged (a star, or a follow-up mark) on a message, or on many."""
        self._store(messages, "\\Flagged", add=True)

    def unflag(self, messages: Message | Iterable[Message]) -> None:
        r"""Remove the flag \Flagged from a message, or from many."""
        self._store(messages, "\\Flagged", add=False)

    def close(self) -> None:
        """End whatever is under way and the connection; from any thread or signal handler.

        Marks that are still outstanding are not written: leave the ``with`` block, or
        let the loop end, for that.
        """
        self._line.close()

    def interrupt(self) -> None:
        """End the call that is under way, and its connection; the next verb makes a new one.

        Takes no lock: for other threads and signal handlers.
        """
        self._line.interrupt()

    def settle(self, *, failed: bool = False, hurried: bool = False) -> None:
        """Write what is outstanding, log out and close; what cannot be written is raised.

        After a failure of the caller's own the connection is only closed once the
        marks are out, and a second failure does not hide the first. ``hurried``, after
        Ctrl-C, does not wait long for any of it.
        """
        if hurried:
            self._line.hurry()
        for iterator in list(self._iterators):
            iterator.settle()
        try:
            if not self._line.closed:
                self._write_all_marks(failed=failed)
        finally:
            self._line.hang_up()
            self._line.close()

    # What the iterators need.

    def begin(self) -> Deadline:
        """Return the deadline of a verb that begins now; see ``ImapLine.begin``."""
        return self._line.begin()

    def in_folder(
        self,
        folder: str,
        verb: Callable[[ImapConnection], T],
        *,
        validity: int | None = None,
        deadline: Deadline | None = None,
    ) -> T:
        """Run a harmless command in a folder; see ``ImapLine.run``."""
        return self._line.run(folder, verb, validity=validity, deadline=deadline)

    def mark_later(self, folder: str, validity: int, uid: int) -> None:
        """Mark a message with the next batch, at the end of the loop, or of the session."""
        self._marks.add(folder, validity, uid)

    def write_marks(
        self, folder: str, validity: int | None = None, deadline: Deadline | None = None
    ) -> None:
        """Mark what was put off in a folder; kept for another try where that fails."""
        while (batch := self._marks.take(folder, validity)) is not None:
            try:
                self._set_flags(batch.folder, batch.validity, batch.uids, deadline=deadline)
            except BaseException:
                self._marks.put_back(batch)
                raise

    # Inside.

    def _iterate(
        self,
        search: Search,
        *,
        folder: str,
        mark_seen: bool,
        limit: int | None,
        newest_first: bool,
    ) -> MessageIterator:
        check_folder(folder)
        iterator = MessageIterator(
            self,
            search,
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
        )
        self._iterators.add(iterator)
        return iterator

    def _store(self, messages: Message | Iterable[Message], flag: str, *, add: bool) -> None:
        from mailoauth.mail.message import Message  # noqa: PLC0415 - email is slow to import

        many = [messages] if isinstance(messages, Message) else list(messages)
        if not all(message.uid and message.folder for message in many):
            raise ConfigError(
                "A message that was not read from a mailbox is in no folder and has no flags.",
                remedy="Give messages that unseen() or search() returned.",
                account=self.account.name,
            )
        places = dict.fromkeys((message.folder, message.uid_validity) for message in many)
        for folder, validity in places:
            uids = [one.uid for one in many if (one.folder, one.uid_validity) == (folder, validity)]
            self._set_flags(folder, validity, uids, flag, add=add)
            if flag == "\\Seen":
                # What the caller decided by hand is not decided again by the loop.
                self._marks.discard(folder, validity, uids)
                for iterator in list(self._iterators):
                    iterator.leave(folder, validity, uids)

    def _set_flags(
        self,
        folder: str,
        validity: int,
        uids: list[int],
        flag: str = "\\Seen",
        *,
        add: bool = True,
        deadline: Deadline | None = None,
    ) -> None:
        self.in_folder(
            folder,
            lambda connection: connection.store(uids, [flag], add=add),
            validity=validity,
            deadline=deadline,
        )

    def _write_all_marks(self, *, failed: bool) -> None:
        """Mark what is left, in every folder that lets us; raise the first failure, if any."""
        first: MailOAuthError | None = None
        for folder in self._marks.folders():
            try:
                self.write_marks(folder)
            except MailOAuthError as error:
                first = first or error
                _logger.warning(
                    "messages in %s of %s could not be marked as seen: %s",
                    folder,
                    self.address,
                    error,
                )
        if first is not None and not failed:
            raise first
