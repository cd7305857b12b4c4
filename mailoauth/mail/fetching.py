"""Fetching: brings messages by their UIDs, working ahead of whoever reads them.

How data flows: the messages' sizes cut them into batches; the FETCH of one batch is sent
while another still comes in, and each message is handed out as soon as it is there. Other
commands may go in between: they are sent behind, and what is answered before them is kept
here. What was not handed out when a line is lost is asked for again.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from mailoauth.errors import ServerError
from mailoauth.mail.batches import HEADER, SIZE, WHOLE, Batches
from mailoauth.mail.fetched import message_of
from mailoauth.mail.verdicts import LineLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailoauth.mail.answers import Items
    from mailoauth.mail.commands import Fetch
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.mailbox import Mailbox
    from mailoauth.mail.message import Message
    from mailoauth.network import Deadline

_logger = logging.getLogger("mailoauth.mail")

#: How many batches are asked for beyond the one that is being read. What the caller is not
#: ready for waits in the buffers of the network.
AHEAD = 1


class Fetching:
    """The messages of one folder with these UIDs, in order, each once.

    ``validity`` is the UIDVALIDITY that the UIDs belong to; ``failed`` are those of messages
    that the server could not give, and ``first_failure`` what it said of the first.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        folder: str,
        *,
        headers_only: bool,
        marked: bool,
        newest_first: bool,
    ) -> None:
        self.validity = 0
        self.failed: list[int] = []
        self.first_failure: ServerError | None = None
        self._mailbox = mailbox
        self._folder = folder
        self._headers_only = headers_only
        self._marked = marked
        self._batches = Batches(headers_only=headers_only, marked=marked, newest_first=newest_first)
        self._asked: deque[Fetch] = deque()  # under way, or here and not handed out
        self._connection: ImapConnection | None = None  # where they were asked for

    def begin(self, uids: Sequence[int]) -> None:
        """Take the UIDs, in the order in which their messages are wanted."""
        self._batches.put_back(uids)

    def clear(self) -> None:
        """Keep nothing of what has come; the rest of it is read past."""
        self._asked.clear()

    def is_here(self, folder: str, validity: int) -> bool:
        """Say whether UIDs of this folder are UIDs of these messages."""
        return (folder, validity) == (self._folder, self.validity)

    def next(self, deadline: Deadline) -> Message | None:
        """Return the next message, None at the end; blocks."""
        while self._asked or self._batches:
            if not self._asked:
                if self._marked:  # between batches, so a kill repeats one batch at most
                    self._mailbox.write_marks(self._folder, self.validity, deadline)
                self._mailbox.in_folder(
                    self._folder, self._ask, validity=self.validity, deadline=deadline
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
        selected = connection.selected
        if selected is None or not self.is_here(selected.folder, selected.uid_validity):
            return  # another verb has opened another folder, where these UIDs are other messages
        ahead = 0 if self._marked else AHEAD
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
        for uid in fetch.without_key:
            self._warn_of(uid)
        if fetch.key == SIZE:
            # Else those that have gone would be asked for again and again.
            self._batches.learn_the_rest(fetch.asked, gone=not fetch.refused)
        elif fetch.refused and self._connection is not None:
            self._refused(fetch, self._connection)
        if self._asked:
            self._mailbox.resume(self._connection, self._work_ahead, deadline)

    def _refused(self, fetch: Fetch, connection: ImapConnection) -> None:
        left = fetch.uids
        try:
            connection.check(fetch)
        except ServerError as error:
            known = error.diagnosis is not None and error.diagnosis.category != "unknown"
            lost_for_good = type(error) is ServerError and not known
            if lost_for_good and len(left) == 1:
                self.failed += left
                self.first_failure = self.first_failure or self._named(error, left[0])
                return
            # One message that the server cannot give must not keep the others back.
            self._take_back(all_of_it=True)
            self._batches.put_back(left, one_by_one=lost_for_good)
            if not lost_for_good:
                raise  # throttled, or away for the moment: nothing is left out

    def _named(self, error: ServerError, uid: int) -> ServerError:
        error.message = f'The message with UID {uid} in "{self._folder}" was left out: ' + (
            error.message
        )
        return error

    def _take_back(self, *, all_of_it: bool = False) -> None:
        """Plan anew what was asked for and has not come; what is here whole is kept."""
        lost = [fetch for fetch in self._asked if all_of_it or not fetch.over]
        self._asked = deque(fetch for fetch in self._asked if fetch not in lost)
        for fetch in reversed(lost):
            if fetch.key != SIZE:
                self._batches.put_back(fetch.uids)

    def _message(self, items: Items) -> Message | None:
        raw = items[HEADER if self._headers_only else WHOLE]
        if raw is None:
            self._warn_of(items["uid"])
            return None
        return message_of(
            items,
            raw,
            folder=self._folder,
            validity=self.validity,
            whole=not self._headers_only,
        )

    def _warn_of(self, uid: int) -> None:
        _logger.warning(
            "%s has no body for the message with UID %d in %s: left out",
            self._mailbox.account.imap.host,
            uid,
            self._folder,
        )
