"""Mailbox: reads one mailbox over IMAP.

How data flows: a verb asks its ``ImapLine`` to run a command in a folder; the line connects
and signs in if need be. Messages come through a ``MessageIterator``, which works ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from mailoauth.checks import check_folder
from mailoauth.mail import criteria
from mailoauth.mail.access import TIMEOUT
from mailoauth.mail.changes import Changes
from mailoauth.mail.reading import MessageIterator
from mailoauth.mail.saving import Saving

if TYPE_CHECKING:
    from types import TracebackType

    from mailoauth.mail.criteria import Criteria, Search

__all__ = ["TIMEOUT", "Mailbox", "interrupted"]


def interrupted(kind: type[BaseException] | None) -> bool:
    """Whether a ``with`` block was left by Ctrl-C, the end of the program, or a cancelled task."""
    return kind is not None and not issubclass(kind, Exception)


class Mailbox(Changes, Saving):
    """One mailbox, for use from one thread; connects at the first verb.

    ``mailbox`` opens another mailbox than the account's own (a shared one; with an
    app any of the tenant) with the same token. ``timeout`` bounds one network step and
    ``deadline`` one whole call, both in seconds. Verbs raise ``SignInRequired``,
    ``TokenRefused``, ``MailboxUnavailable``, ``FolderNotFound``, ``Throttled``,
    ``ConnectionFailed``, and ``ConcurrentUse`` from a second thread or after a fork.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.settle(failed=kind is not None, hurried=interrupted(kind))

    def unseen(
        self,
        *,
        folder: str = "INBOX",
        mark_seen: bool = False,
        limit: int | None = None,
        newest_first: bool = False,
        headers_only: bool = False,
    ) -> MessageIterator:
        r"""Iterate over the messages without the flag \Seen, oldest first; does not mark them.

        With ``mark_seen`` a message is marked when the next one is asked for, or the
        loop ends by itself; leaving the loop leaves the message in hand unseen. With
        ``headers_only`` nothing but the headers is fetched: such a message has no text.
        """
        return self._iterate(
            criteria.compile(unseen=True),
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
            headers_only=headers_only,
        )

    def search(
        self,
        *,
        folder: str = "INBOX",
        mark_seen: bool = False,
        limit: int | None = None,
        newest_first: bool = False,
        headers_only: bool = False,
        **keywords: Unpack[Criteria],
    ) -> MessageIterator:
        """Iterate over the messages that meet every criterion; without one over all of them.

        Criteria are ``unseen seen flagged answered deleted`` (bool), ``since before on``
        (dates, whole days as the server dates them), ``sender to cc subject body text
        message_id`` (part of the field), ``header`` (a dict of names and parts),
        ``larger smaller`` (octets), ``uid``, ``not_`` (a dict of criteria), ``any_of`` (a list of
        them) and ``raw`` (a list of IMAP's own search keys). The rest is as in :meth:`unseen`.
        """
        return self._iterate(
            criteria.compile(**keywords),
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
            headers_only=headers_only,
        )

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
        for iterator in self._iterators():
            iterator.settle()
        try:
            if not self._line.closed:
                self._write_all_marks(failed=failed)
        finally:
            self._line.hang_up()
            self._line.close()

    def _iterate(
        self,
        search: Search,
        *,
        folder: str,
        mark_seen: bool,
        limit: int | None,
        newest_first: bool,
        headers_only: bool,
    ) -> MessageIterator:
        check_folder(folder)
        iterator = MessageIterator(
            self,
            search,
            folder=folder,
            mark_seen=mark_seen,
            limit=limit,
            newest_first=newest_first,
            headers_only=headers_only,
        )
        self._register(iterator)
        return iterator
