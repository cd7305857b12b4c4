"""What changes messages: flags and keywords; move, copy, delete, append."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mailoauth.checks import check_folder
from mailoauth.errors import FolderNotFound, MailOAuthError, OutcomeUnknown, ServerError
from mailoauth.later import Later
from mailoauth.mail.flags import check_flag
from mailoauth.mail.folder_verbs import FolderVerbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from email.message import Message as EmailMessage

    from mailoauth.mail import change_commands
    from mailoauth.mail.access import Place
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.message import Message
    from mailoauth.network import Deadline
else:
    change_commands = Later("mailoauth.mail.change_commands")

T = TypeVar("T")


class Changes(FolderVerbs):
    """The verbs that change messages; each takes one message, or many at once."""

    def mark_seen(self, messages: Message | Iterable[Message]) -> None:
        r"""Set the flag \Seen on a message, or on many; done when it returns."""
        self._set(messages, "\\Seen", add=True)

    def mark_unseen(self, messages: Message | Iterable[Message]) -> None:
        r"""Remove the flag \Seen from a message, or from many."""
        self._set(messages, "\\Seen", add=False)

    def flag(self, messages: Message | Iterable[Message], *, flag: str = "\\Flagged") -> None:
        r"""Set a flag on a message, or on many: \Flagged (a star, or a follow-up mark) or another.

        ``flag`` may be ``\Answered``, ``\Draft``, or a keyword of your own, where the
        server keeps such: ``ConfigError`` if it does not (Outlook, for one).
        """
        self._set(messages, check_flag(flag), add=True)

    def unflag(self, messages: Message | Iterable[Message], *, flag: str = "\\Flagged") -> None:
        r"""Remove a flag, \Flagged unless another is named, from a message, or from many."""
        self._set(messages, check_flag(flag), add=False)

    def _set(self, messages: Message | Iterable[Message], flag: str, *, add: bool) -> None:
        places = self.places(messages)  # reading them is no part of this call
        deadline = self.begin()
        for place in places:
            if add and not flag.startswith("\\"):
                self._in(place, partial(change_commands.check_kept, keyword=flag), deadline)
            self.store(place, flag, add=add, deadline=deadline)
            if flag.casefold() == "\\seen":
                self.forget_marks(place)

    def move(self, messages: Message | Iterable[Message], folder: str) -> None:
        r"""Move a message, or many, to another folder; those that are in it already stay.

        Messages that are gone by now are passed over. ``FolderNotFound`` if there is no such
        folder: nothing was moved then. ``OutcomeUnknown`` where the line was lost and
        messages are gone from where they were: look for them in the new folder.
        On a server that has neither MOVE nor UIDPLUS they are copied, and stay behind
        flagged \Deleted.
        """
        check_folder(folder)
        places = self.places(messages)
        self._move(places, folder, self.begin())

    def copy(self, messages: Message | Iterable[Message], folder: str) -> None:
        """Copy a message, or many, to a folder; ``OutcomeUnknown`` where the line was lost."""
        check_folder(folder)
        places = self.places(messages)
        deadline = self.begin()
        done = _Progress("copied")
        for place in places:
            for few in _cut(place):
                with done.of(few):
                    self._copy(few, folder, deadline)

    def delete(self, messages: Message | Iterable[Message], *, permanently: bool = False) -> None:
        r"""Move a message, or many, to the folder for deleted ones; those in it already stay.

        ``FolderNotFound`` if the mailbox has none. With ``permanently`` exactly these are
        removed for good; a server without UIDPLUS cannot do that, and they stay
        where they are, flagged \Deleted.
        """
        places = self.places(messages)
        if not places:
            return
        deadline = self.begin()
        if not permanently:
            self._discard(places, deadline)
            return
        done = _Progress("removed")
        for place in places:
            self._in(place, partial(change_commands.check_writable, verb="removed"), deadline)
            for few in _cut(place):
                with done.of(few), self._leaving(few, deadline):
                    self._remove(few, deadline)

    def append(
        self,
        message: EmailMessage | Message | bytes,
        folder: str,
        *,
        flags: Iterable[str] = (),
        date: datetime | None = None,
    ) -> int | None:
        r"""Put a message into a folder and return its UID, None where the server does not say it.

        It goes as it is, Bcc included; bytes must be a whole message. It is unseen unless
        ``flags`` has ``\Seen``; keywords are kept where the server keeps them. ``date`` is
        when it arrived, now unless given; a time without a zone is a local one.
        ``FolderNotFound`` if there is no such folder; ``OutcomeUnknown`` where the line was lost.
        """
        from mailoauth.mail.appended import (  # noqa: PLC0415 - slow to import
            checked_flags,
            content_of,
            internal_date,
        )

        check_folder(folder)
        content = content_of(message)
        words = checked_flags(flags)
        when = internal_date(date)
        return self.in_folder(
            None,
            lambda connection: change_commands.append(connection, folder, content, words, when),
            repeat=False,
        )

    def _discard(self, places: list[Place], deadline: Deadline) -> None:
        trash = self._special("trash", deadline)
        try:
            self._move(places, trash, deadline)
        except FolderNotFound:
            self._known = None  # renamed or deleted since
            raise

    def _move(self, places: list[Place], folder: str, deadline: Deadline) -> None:
        done = _Progress("moved")
        gone = 0
        for place in places:
            if _same(place.folder, folder):
                continue
            has_move = self._in(place, _ready_to_move, deadline)
            for few in _cut(place):
                with done.of(few), self._leaving(few, deadline):
                    if has_move:
                        gone += self._move_few(few, folder, deadline)
                    else:
                        self._copy_and_remove(few, folder, deadline)
        if gone:
            raise OutcomeUnknown(
                f"The connection was lost while {self.address} was being changed. {gone} of "
                f'{done.count} messages that were to be moved to "{folder}" are gone from where '
                "they were; somebody else may have deleted them.",
                remedy="Look for them in that folder; all others were moved.",
                account=self.account.name,
            )

    @contextmanager
    def _leaving(self, few: Place, deadline: Deadline) -> Iterator[None]:
        """Mark what a loop would mark later; taken back where the server does not let it go.

        Then the message stays in the loop's hand, and is treated as any other.
        """
        in_hand: set[int] = set()
        for iterator in self._iterators():
            in_hand |= iterator.would_mark(*few)
        self.mark_before_leaving(few, deadline)
        try:
            yield
        except ServerError:
            if in_hand:
                with suppress(MailOAuthError):  # the refusal is what matters
                    self.store(few._replace(uids=sorted(in_hand)), add=False, deadline=deadline)
            raise
        self.forget_marks(few)

    def _move_few(self, few: Place, folder: str, deadline: Deadline) -> int:
        """Move messages; return how many were gone after a line that was lost meanwhile."""
        try:
            self._in(few, _moving(few.uids, folder), deadline, repeat=False)
        except OutcomeUnknown as lost:
            left = self._left(few, deadline, lost)
        else:
            return 0
        if left:
            self._in(few, _moving(left, folder), deadline, repeat=False)
        return len(few.uids) - len(left)

    def _left(self, few: Place, deadline: Deadline, lost: OutcomeUnknown) -> list[int]:
        """Look which messages are still where they were; ``lost`` is raised if nobody knows."""
        try:
            return self._in(few, lambda at: change_commands.still_there(at, few.uids), deadline)
        except MailOAuthError as error:  # no new connection, or other UIDs
            raise lost from error

    def _copy_and_remove(self, few: Place, folder: str, deadline: Deadline) -> None:
        self._copy(few, folder, deadline)
        try:
            self._remove(few, deadline)
        except MailOAuthError as error:
            error.message += (
                f' The {len(few.uids)} messages were copied to "{folder}" and are still in '
                f'"{few.folder}" too.'
            )
            raise

    def _copy(self, few: Place, folder: str, deadline: Deadline) -> None:
        self._in(few, lambda at: change_commands.copy(at, few.uids, folder), deadline, repeat=False)

    def _remove(self, few: Place, deadline: Deadline) -> None:
        self.store(few, "\\Deleted", deadline=deadline)
        self._in(few, lambda at: change_commands.expunge(at, few.uids), deadline)

    def _in(
        self,
        place: Place,
        verb: Callable[[ImapConnection], T],
        deadline: Deadline,
        *,
        repeat: bool = True,
    ) -> T:
        return self.in_folder(
            place.folder, verb, validity=place.validity, deadline=deadline, repeat=repeat
        )


class _Progress:
    """Counts what was done, and says so in an error that ends it."""

    def __init__(self, done: str) -> None:
        self.count = 0
        self._done = done

    @contextmanager
    def of(self, few: Place) -> Iterator[None]:
        """Do this part."""
        try:
            yield
        except MailOAuthError as error:
            if self.count:
                error.message += f" {self.count} messages had been {self._done} before that."
            raise
        self.count += len(few.uids)


def _ready_to_move(connection: ImapConnection) -> bool:
    """Say whether the server has MOVE; raise where nothing may leave the folder."""
    change_commands.check_writable(connection, "moved")
    return connection.has("MOVE")


def _moving(uids: list[int], folder: str) -> Callable[[ImapConnection], None]:
    return lambda connection: change_commands.move(connection, uids, folder)


def _cut(place: Place) -> Iterator[Place]:
    for uids in change_commands.parts(place.uids):
        yield place._replace(uids=uids)


def _same(folder: str, other: str) -> bool:
    return folder == other or folder.upper() == other.upper() == "INBOX"
