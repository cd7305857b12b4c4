"""MessageIterator: the messages that a search found, and which of them are marked when.

How data flows: SEARCH gives the UIDs, ``Fetching`` their messages; a message that the
caller has finished with is marked with the next batch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from mailoauth.errors import ConnectionFailed, ServerError
from mailoauth.mail.fetching import Fetching
from mailoauth.mail.verdicts import Rebuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.mailbox import Mailbox
    from mailoauth.mail.matching import LocalSearch
    from mailoauth.mail.message import Message
    from mailoauth.network import Deadline

_logger = logging.getLogger("mailoauth.mail")


class MessageIterator:
    """Messages in UID order; nothing is asked of the server before the first ``next()``.

    Each message is yielded once, whatever happens to the connection meanwhile. Other
    verbs of the session may be used inside the loop. A message that the server cannot
    give keeps none of the others back: its ``ServerError`` is raised when they are through.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        search: Search,
        *,
        folder: str,
        mark_seen: bool,
        limit: int | None,
        newest_first: bool,
        headers_only: bool,
    ) -> None:
        self._mailbox = mailbox
        self._search = search
        self._folder = folder
        self._mark_seen = mark_seen
        self._limit = limit
        self._newest_first = newest_first
        self._total: int | None = None
        self._fetching = Fetching(
            mailbox, folder, headers_only=headers_only, marked=mark_seen, newest_first=newest_first
        )
        self._in_hand: Message | None = None
        self._ended = False
        self._settled = False

    @property
    def total(self) -> int | None:
        """How many messages were found; None before the first was asked for."""
        return self._total

    @property
    def failed(self) -> tuple[int, ...]:
        """The UIDs of messages that the server could not give."""
        return tuple(self._fetching.failed)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        if self._ended:
            raise StopIteration
        deadline = self._mailbox.begin()
        if self._settled:
            raise ConnectionFailed(
                "The session that these messages were read in is closed.",
                remedy="Use them inside its `with` block.",
                account=self._mailbox.account.name,
            )
        self._finish_with(self._in_hand)
        self._in_hand = None
        message = self.next_message(deadline)
        if message is None:
            self.close()
            if self._mark_seen:
                self._mailbox.write_marks(self._folder, self._fetching.validity, deadline)
            if self._fetching.first_failure is not None:
                raise self._fetching.first_failure
            raise StopIteration
        self._in_hand = message
        return message

    def leave(self, folder: str, validity: int, uids: Iterable[int]) -> None:
        """Do not mark these by itself any more."""
        held = self._in_hand
        if held is not None and self._fetching.is_here(folder, validity) and held.uid in uids:
            self._in_hand = None

    def would_mark(self, folder: str, validity: int, uids: Iterable[int]) -> set[int]:
        """Return which of these it would mark when it goes on: the one in hand, if any."""
        held = self._in_hand
        if held is None or not self._mark_seen or "\\Seen" in held.flags:
            return set()
        return {held.uid}.intersection(uids) if self._fetching.is_here(folder, validity) else set()

    def close(self) -> None:
        """End the iteration; the message in hand is not marked."""
        self._ended = True
        self._in_hand = None
        self._fetching.clear()

    def settle(self) -> None:
        """Be told that the session ends; the message in hand is not marked."""
        self._settled = True
        self._in_hand = None
        self._fetching.clear()

    def _finish_with(self, message: Message | None) -> None:
        if message is not None and self._mark_seen:
            self._mailbox.mark_later(self._folder, self._fetching.validity, message.uid)

    def next_message(self, deadline: Deadline) -> Message | None:
        """Return the next message without a thought of marks; None at the end."""
        if self._total is None:
            self._find(deadline)
        return self._fetching.next(deadline)

    # What is found.

    def _find(self, deadline: Deadline) -> None:
        self._write_old_marks(deadline)
        try:
            uids: Sequence[int] = self._search_there(deadline)
        except ServerError as error:
            local = self._search.local
            if local is None or not _is_about_charset(error):
                raise
            uids = self._search_here(local, deadline)
        uids = uids if self._limit is None else uids[: max(self._limit, 0)]
        self._total = len(uids)
        self._fetching.begin(uids)

    def _write_old_marks(self, deadline: Deadline) -> None:
        # Else a search for unseen messages would find those that wait to be marked.
        try:
            self._mailbox.write_marks(self._folder, deadline=deadline)
        except (ServerError, Rebuilt) as error:
            if self._mark_seen:
                raise
            # Whoever only reads is not kept from it; the session's end raises what is left.
            _logger.warning("messages in %s could not be marked: %s", self._folder, error)

    def _search_there(self, deadline: Deadline) -> Sequence[int]:
        def search(connection: ImapConnection) -> Sequence[int]:
            self._fetching.validity = connection.selected.uid_validity if connection.selected else 0
            return connection.search(self._search)

        uids = self._mailbox.in_folder(self._folder, search, deadline=deadline, then=self._search)
        return uids[::-1] if self._newest_first else uids

    def _search_here(self, local: LocalSearch, deadline: Deadline) -> list[int]:
        """Look through the messages for what the server cannot look for."""
        candidates = MessageIterator(
            self._mailbox,
            local.search,
            folder=self._folder,
            mark_seen=False,
            limit=None,
            newest_first=self._newest_first,
            headers_only=not local.whole,
        )
        uids: list[int] = []
        while (message := candidates.next_message(deadline)) is not None:
            self._fetching.validity = message.uid_validity
            if local.matches(message):
                uids.append(message.uid)
            if len(uids) == self._limit:
                break
        candidates.close()
        return uids


def _is_about_charset(error: ServerError) -> bool:
    """Whether a search was refused for its letters (RFC 9051 section 6.4.4)."""
    return "BADCHARSET" in error.text.upper() or error.text.startswith("BAD ")
