"""MessageIterator: the messages that a search found, fetched ahead of whoever reads them.

How data flows: SEARCH gives the UIDs; their sizes cut them into batches; the FETCH of one
batch is sent while another still comes in, and each message is handed out as soon as it is
there. Other verbs of the session may go in between: their commands are sent behind, and
what is answered before them is kept here. Whatever happens to the connection, what was not
handed out is asked for again, by UID.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from mailoauth.errors import ConnectionFailed, ServerError
from mailoauth.mail.batches import HEADER, SIZE, WHOLE, Batches
from mailoauth.mail.fetched import fetched
from mailoauth.mail.verdicts import LineLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailoauth.mail.answers import Items
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.mailbox import Mailbox
    from mailoauth.mail.matching import LocalSearch
    from mailoauth.mail.message import Message
    from mailoauth.mail.pipeline import Fetch
    from mailoauth.network import Deadline

_logger = logging.getLogger("mailoauth.mail")

#: How many batches are asked for beyond the one that is being read. What the caller is not
#: ready for waits in the buffers of the network.
AHEAD: Final = 1


class MessageIterator:
    """Messages in UID order; nothing is asked of the server before the first ``next()``.

    Each message is yielded once, whatever happens to the connection meanwhile. Other
    verbs of the session may be used inside the loop.
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
        self._headers_only = headers_only
        self._total: int | None = None
        self._validity = 0
        self._batches = Batches(
            headers_only=headers_only, marked=mark_seen, newest_first=newest_first
        )
        self._asked: deque[Fetch] = deque()  # under way, or here and not handed out
        self._connection: ImapConnection | None = None  # where they were asked for
        self._in_hand: Message | None = None
        self._ended = False
        self._settled = False

    @property
    def total(self) -> int | None:
        """How many messages were found; None before the first was asked for."""
        return self._total

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
        message = self._next_message(deadline)
        if message is None:
            self.close()
            self._mailbox.write_marks(self._folder, self._validity, deadline)
            raise StopIteration
        self._in_hand = message
        return message

    def leave(self, folder: str, validity: int, uids: Iterable[int]) -> None:
        """Do not mark these by itself any more."""
        held = self._in_hand
        if held is not None and self._is_here(folder, validity) and held.uid in uids:
            self._in_hand = None

    def would_mark(self, folder: str, validity: int, uids: Iterable[int]) -> set[int]:
        """Return which of these it would mark when it goes on: the one in hand, if any."""
        held = self._in_hand
        if held is None or not self._mark_seen or "\\Seen" in held.flags:
            return set()
        return {held.uid}.intersection(uids) if self._is_here(folder, validity) else set()

    def _is_here(self, folder: str, validity: int) -> bool:
        return (folder, validity) == (self._folder, self._validity)

    def close(self) -> None:
        """End the iteration; the message in hand is not marked."""
        self._ended = True
        self._in_hand = None
        self._asked.clear()

    def settle(self) -> None:
        """Be told that the session ends; the message in hand is not marked."""
        self._settled = True
        self._in_hand = None
        self._asked.clear()

    def _finish_with(self, message: Message | None) -> None:
        if message is not None and self._mark_seen:
            self._mailbox.mark_later(self._folder, self._validity, message.uid)

    # What is found.

    def _find(self, deadline: Deadline) -> None:
        # Else a search for unseen messages would find those that wait to be marked.
        self._mailbox.write_marks(self._folder, deadline=deadline)
        try:
            uids: Sequence[int] = self._search_there(deadline)
        except ServerError as error:
            local = self._search.local
            if local is None or not _is_about_charset(error):
                raise
            uids = self._search_here(local, deadline)
        uids = uids if self._limit is None else uids[: max(self._limit, 0)]
        self._total = len(uids)
        self._batches.put_back(uids)

    def _search_there(self, deadline: Deadline) -> Sequence[int]:
        def search(connection: ImapConnection) -> Sequence[int]:
            self._validity = connection.selected.uid_validity if connection.selected else 0
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
        for message in candidates:
            deadline.step(0.0)
            self._validity = message.uid_validity
            if local.matches(message):
                uids.append(message.uid)
            if len(uids) == self._limit:
                break
        candidates.close()
        return uids

    # What is fetched.

    def _next_message(self, deadline: Deadline) -> Message | None:
        if self._total is None:
            self._find(deadline)
        while self._asked or self._batches:
            if not self._asked:
                # Marks go out between batches, so a kill repeats one batch at most.
                self._mailbox.write_marks(self._folder, self._validity, deadline)
                self._mailbox.in_folder(
                    self._folder, self._ask, validity=self._validity, deadline=deadline
                )
            items = self._next_items(self._asked[0], deadline)
            if items is not None and (message := self._message(items)) is not None:
                return message
        return None

    def _ask(self, connection: ImapConnection) -> None:
        """Ask for what comes next, and wait for the first of it: a line lost till then counts."""
        self._take_back()
        self._connection = connection
        self._work_ahead(connection)
        connection.wait(self._asked[0])

    def _work_ahead(self, connection: ImapConnection) -> None:
        ahead = 0 if self._mark_seen else AHEAD
        while sum(not fetch.over for fetch in self._asked) <= ahead:
            waits_for_sizes = any(fetch.key == SIZE for fetch in self._asked)
            fetch = None if waits_for_sizes else self._batches.next()
            if fetch is None:
                return
            self._asked.append(fetch)
            connection.start(fetch)

    def _next_items(self, fetch: Fetch, deadline: Deadline) -> Items | None:
        """Return the next message of a FETCH; None where it has no more, or was cut off."""
        try:
            items = fetch.next()
            if items is None and not fetch.over:
                self._mailbox.resume(self._connection, lambda line: line.wait(fetch), deadline)
                items = fetch.next()
            if items is None:
                self._end(self._asked.popleft(), deadline)
        except LineLost:
            self._take_back()
            return None
        if items is not None and fetch.key == SIZE:
            self._batches.learn(items["uid"], items[SIZE])
            return None
        return items

    def _end(self, fetch: Fetch, deadline: Deadline) -> None:
        if fetch.key == SIZE:
            self._batches.learn_the_rest(fetch.asked)
        elif fetch.refused and self._connection is not None:
            left = fetch.uids
            if len(left) == 1:
                self._connection.check(fetch)  # and left out, should the caller go on
            # One message that the server cannot give must not keep the others back.
            self._take_back(all_of_it=True)
            self._batches.put_back(left, one_by_one=True)
        if self._asked:
            self._mailbox.resume(self._connection, self._work_ahead, deadline)

    def _take_back(self, *, all_of_it: bool = False) -> None:
        """Plan anew what was asked for and has not come; what is here whole is kept."""
        lost = [fetch for fetch in self._asked if all_of_it or not fetch.over]
        self._asked = deque(fetch for fetch in self._asked if fetch not in lost)
        for fetch in reversed(lost):
            if fetch.key != SIZE:
                self._batches.put_back(fetch.uids)

    def _message(self, items: Items) -> Message | None:
        from mailoauth.mail.message import Message  # noqa: PLC0415 - of this room

        raw = items[HEADER if self._headers_only else WHOLE]
        if raw is None:
            _logger.warning(
                "%s has no body for the message with UID %d in %s: left out",
                self._mailbox.address,
                items["uid"],
                self._folder,
            )
            return None
        one = fetched(items, raw)
        return Message.from_bytes(
            one.raw,
            uid=one.uid,
            folder=self._folder,
            flags=one.flags,
            internal_date=one.internal_date,
            size=one.size,
            uid_validity=self._validity,
            headers_only=self._headers_only,
        )


def _is_about_charset(error: ServerError) -> bool:
    """Whether a search was refused for its letters (RFC 9051 section 6.4.4)."""
    return "BADCHARSET" in error.text.upper() or error.text.startswith("BAD ")
