"""Access: what every verb of a mailbox needs, and the marks that are put off.

How data flows: a verb asks its ``ImapLine`` to run a command in a folder; the line connects
and signs in if need be, and repeats what is harmless.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from weakref import ref

from mailoauth.checks import check_address, check_seconds
from mailoauth.errors import ConfigError, MailOAuthError
from mailoauth.mail.line import ImapLine
from mailoauth.mail.marks import Marks
from mailoauth.mail.verdicts import Rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from weakref import ReferenceType

    from mailoauth.accounts import Account
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.message import Message
    from mailoauth.mail.reading import MessageIterator
    from mailoauth.network import Deadline
    from mailoauth.tokens.token import TokenSource

_logger = logging.getLogger("mailoauth.mail")

T = TypeVar("T")

#: Seconds for one wait on the network.
TIMEOUT = 60.0


class Place(NamedTuple):
    """Messages of one folder, and the UIDVALIDITY that their UIDs belong to."""

    folder: str
    validity: int
    uids: list[int]


class Access:
    """One mailbox, its line and its outstanding marks; for one thread."""

    def __init__(
        self,
        account: Account | str,
        *,
        mailbox: str | None = None,
        tokens: TokenSource | None = None,
        timeout: float = TIMEOUT,
        deadline: float | None = None,
    ) -> None:
        if isinstance(account, str):
            # Whoever brings an account along needs no file of them.
            from mailoauth.accounts import load_account  # noqa: PLC0415 - see above

            account = load_account(account)
        self.account = account
        check_address("mailbox", mailbox)
        check_seconds(timeout=timeout, deadline=deadline)
        self.address = self.account.address if mailbox is None else mailbox
        self._line = ImapLine(
            self.account, self.address, tokens=tokens, timeout=timeout, deadline=deadline
        )
        self._marks = Marks()
        # Weak: a loop that was left needs no settling, and its messages no memory. A list,
        # whose operations are atomic: an event loop's thread adds to it.
        self._known_iterators: list[ReferenceType[MessageIterator]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def _register(self, iterator: MessageIterator) -> None:
        self._known_iterators.append(ref(iterator, self._known_iterators.remove))

    def _iterators(self) -> list[MessageIterator]:
        """Return the loops that are still there."""
        known = (iterator() for iterator in list(self._known_iterators))
        return [iterator for iterator in known if iterator is not None]

    def begin(self) -> Deadline:
        """Return the deadline of a verb that begins now; see ``ImapLine.begin``."""
        return self._line.begin()

    def in_folder(
        self,
        folder: str | None,
        verb: Callable[[ImapConnection], T],
        *,
        validity: int | None = None,
        deadline: Deadline | None = None,
        repeat: bool = True,
        then: Search | None = None,
    ) -> T:
        """Run a command in a folder, or in any where that is None; see ``ImapLine.run``."""
        return self._line.run(
            folder, verb, validity=validity, deadline=deadline, repeat=repeat, then=then
        )

    def resume(
        self,
        connection: ImapConnection | None,
        verb: Callable[[ImapConnection], T],
        deadline: Deadline,
    ) -> T:
        """Go on with what was begun on a connection; see ``ImapLine.resume``."""
        return self._line.resume(connection, verb, deadline)

    def places(self, messages: Message | Iterable[Message]) -> list[Place]:
        """Group messages by where they lie; ``ConfigError`` for one that lies nowhere."""
        from mailoauth.mail.message import Message  # noqa: PLC0415 - of this room

        many = [messages] if isinstance(messages, Message) else list(messages)
        places: dict[tuple[str, int], list[int]] = {}
        for message in many:
            if not isinstance(message, Message) or not message.uid or not message.folder:
                raise ConfigError(
                    "A message that was not read from a mailbox is in no folder and has no flags.",
                    remedy="Give messages that unseen() or search() returned.",
                    account=self.account.name,
                )
            places.setdefault((message.folder, message.uid_validity), []).append(message.uid)
        return [Place(*where, list(dict.fromkeys(uids))) for where, uids in places.items()]

    def store(
        self,
        place: Place,
        flag: str = "\\Seen",
        *,
        add: bool = True,
        deadline: Deadline | None = None,
    ) -> None:
        """Set a flag or remove it."""
        self.in_folder(
            place.folder,
            lambda connection: connection.store(place.uids, [flag], add=add),
            validity=place.validity,
            deadline=deadline,
        )

    # Marks that are put off.

    def mark_later(self, folder: str, validity: int, uid: int) -> None:
        """Mark a message with the next batch, at the end of the loop, or of the session."""
        self._marks.add(folder, validity, uid)

    def write_marks(
        self, folder: str, validity: int | None = None, deadline: Deadline | None = None
    ) -> None:
        """Mark what was put off in a folder; kept for another try where that fails."""
        while (batch := self._marks.take(folder, validity)) is not None:
            try:
                self.store(Place(*batch), deadline=deadline)
            except Rebuilt:
                raise  # and not tried again: these UIDs mean nothing any more
            except BaseException:
                self._marks.put_back(batch)
                raise

    def forget_marks(self, place: Place) -> None:
        """Let no loop mark these by itself: what the caller decided by hand is decided."""
        self._marks.discard(*place)
        for iterator in self._iterators():
            iterator.leave(*place)

    def mark_before_leaving(self, place: Place, deadline: Deadline | None = None) -> None:
        """Mark what a loop would have marked later, before it leaves its folder and its UID.

        A message that a ``mark_seen`` loop moves is done with, and would come up as unseen
        where it went. The loop forgets it by :meth:`forget_marks`, once it has gone.
        """
        waiting = self._marks.waiting(*place)
        for iterator in self._iterators():
            waiting |= iterator.would_mark(*place)
        if waiting:
            uids = [uid for uid in place.uids if uid in waiting]
            self.store(Place(place.folder, place.validity, uids), deadline=deadline)

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
