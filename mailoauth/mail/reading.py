"""MessageIterator: the messages that a search found, fetched batch by batch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Self

from mailoauth.errors import ConnectionFailed, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailoauth.mail.criteria import Search
    from mailoauth.mail.imap import ImapConnection
    from mailoauth.mail.mailbox import Mailbox
    from mailoauth.mail.message import Message
    from mailoauth.network import Deadline

#: How many messages, and roughly how many bytes of them, are held at a time.
_BATCH_MESSAGES: Final = 50
_BATCH_BYTES: Final = 4 * 1024 * 1024


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
    ) -> None:
        self._mailbox = mailbox
        self._search = search
        self._folder = folder
        self._mark_seen = mark_seen
        self._limit = limit
        self._newest_first = newest_first
        self._validity = 0
        self._uids: deque[int] | None = None
        self._sizes: dict[int, int] = {}
        self._batch: deque[Message] = deque()
        self._in_hand: Message | None = None
        self._one_by_one = 0
        self._ended = False
        self._settled = False

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
        if held is not None and (folder, validity) == (self._folder, self._validity):
            self._in_hand = None if held.uid in uids else held

    def close(self) -> None:
        """End the iteration; the message in hand is not marked."""
        self._ended = True
        self._in_hand = None

    def settle(self) -> None:
        """Be told that the session ends; the message in hand is not marked."""
        self._settled = True
        self._in_hand = None

    def _finish_with(self, message: Message | None) -> None:
        if message is not None and self._mark_seen:
            self._mailbox.mark_later(self._folder, self._validity, message.uid)

    def _next_message(self, deadline: Deadline) -> Message | None:
        if self._uids is None:
            self._uids = self._find(deadline)
        while not self._batch and self._uids:
            # Marks go out between batches, so a kill repeats one batch at most.
            self._mailbox.write_marks(self._folder, self._validity, deadline)
            self._batch.extend(self._fetch_next_batch(self._uids, deadline))
        return self._batch.popleft() if self._batch else None

    def _fetch_next_batch(self, uids: deque[int], deadline: Deadline) -> list[Message]:
        batch = self._next_batch(uids, deadline)
        try:
            return self._fetch(batch, deadline)
        except ServerError:
            if len(batch) == 1:
                raise  # and left out, should the caller go on
            # One message that the server cannot give must not keep the others back.
            self._one_by_one = len(batch)
            uids.extendleft(reversed(batch))
            return []
        except BaseException:
            # The caller may go on after a time-out: nothing must be left out then.
            uids.extendleft(reversed(batch))
            raise

    def _find(self, deadline: Deadline) -> deque[int]:
        # Else a search for unseen messages would find those that wait to be marked.
        self._mailbox.write_marks(self._folder, deadline=deadline)

        def search(connection: ImapConnection) -> list[int]:
            self._validity = connection.selected.uid_validity if connection.selected else 0
            return connection.search(self._search)

        uids = self._mailbox.in_folder(self._folder, search, deadline=deadline)
        if self._newest_first:
            uids.reverse()
        return deque(uids if self._limit is None else uids[: max(self._limit, 0)])

    def _next_batch(self, uids: deque[int], deadline: Deadline) -> list[int]:
        """Take as many UIDs as fit, by the server's word on sizes; always one at least."""
        if self._one_by_one:
            self._one_by_one -= 1
            return [uids.popleft()]
        self._learn_sizes(uids, deadline)
        batch: list[int] = []
        size = 0
        while uids and len(batch) < _BATCH_MESSAGES:
            size += self._sizes.get(uids[0], 0)
            if batch and size > _BATCH_BYTES:
                break
            batch.append(uids.popleft())
        for uid in batch:
            self._sizes.pop(uid, None)
        return batch

    def _learn_sizes(self, uids: deque[int], deadline: Deadline) -> None:
        if uids[0] in self._sizes:
            return
        ahead = [uids[index] for index in range(min(len(uids), 10 * _BATCH_MESSAGES))]
        sizes = self._mailbox.in_folder(
            self._folder,
            lambda connection: connection.sizes(ahead),
            validity=self._validity,
            deadline=deadline,
        )
        # A message that was removed meanwhile has no size; 0 keeps it from being asked for again.
        self._sizes = dict.fromkeys(ahead, 0) | {uid: sizes[uid] for uid in ahead if uid in sizes}

    def _fetch(self, uids: list[int], deadline: Deadline) -> list[Message]:
        from mailoauth.mail.message import Message  # noqa: PLC0415 - email is slow to import

        fetched = self._mailbox.in_folder(
            self._folder,
            lambda connection: connection.fetch(uids),
            validity=self._validity,
            deadline=deadline,
        )
        return [
            Message.from_bytes(
                one.raw,
                uid=one.uid,
                folder=self._folder,
                flags=one.flags,
                internal_date=one.internal_date,
                size=one.size,
                uid_validity=self._validity,
            )
            for one in fetched
        ]
