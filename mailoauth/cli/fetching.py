"""One run of `mailoauth fetch`: begun anew after a failure, it goes on where it was."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from mailoauth.cli import exits, fetch_options, screen
from mailoauth.cli.attachments import AttachmentFolder
from mailoauth.cli.uids import UidSet
from mailoauth.errors import FolderNotFound, MailboxUnavailable, MailOAuthError, ServerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mailoauth.mail.message import Message
    from mailoauth.mail.reading import MessageIterator
    from mailoauth.session import MailSession

#: How much is put on the disk, and then marked, together.
_GROUP_MESSAGES: Final = 100
_GROUP_BYTES: Final = 4 * 1024 * 1024
#: So many messages in a row that the server will not give are more than damaged messages.
_MOST_FAILURES: Final = 10


class Output(Protocol):
    """Where messages go; what was added is kept for good after a commit."""

    def prepare(self) -> None:
        """Make what they are written to. Raises ``ConfigError``."""

    def known(self, validity: int) -> UidSet:
        """Return which are there from other runs; mends what a killed run left."""

    def add(self, message: Message) -> None:
        """Take a message; a file has its name, or its place in the mbox, after a commit."""

    def commit(self) -> None:
        """Have all that was added on the disk."""


class Fetching:
    """Reads the messages that are asked for, and gives each to the output once.

    ``count`` says how many were new, ``there`` how many the output had before, and
    ``failed`` how many the server would not give.
    """

    def __init__(self, options: argparse.Namespace, account: str, output: Output) -> None:
        self._options = options
        self._account = account
        self._output = output
        self._attachments: AttachmentFolder | None = None
        if options.attachments is not None:
            self._attachments = AttachmentFolder(options.attachments, options.name or ())
        self._validity: int | None = None
        self._done = UidSet()
        self._known = UidSet()
        self._group: list[Message] = []
        self._group_bytes = 0
        self.count = 0
        self.there = 0
        self.failed = 0

    def once(self, advance: screen.Advance) -> None:
        """Read from the beginning, and leave out what is done."""
        from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

        self.failed = 0
        self._prepare()
        with MailSession(self._account, mailbox=self._options.mailbox) as mail, self._committing():
            self._learn(mail)
            messages = mail.search(**fetch_options.search_of(self._options, self._known))
            for message in self._obtained(messages):
                if self._is_enough(message):
                    break
                self._keep(message)
                if self._group_is_full():
                    self._settle(mail)
                advance(messages.total)
            self._settle(mail)

    def _prepare(self) -> None:
        # Before anything is fetched: a place that cannot be written is known at once.
        self._output.prepare()
        if self._attachments is not None:
            self._attachments.prepare()

    @contextlib.contextmanager
    def _committing(self) -> Iterator[None]:
        """Commit what was added where the reading fails, too; that failure is the one to tell."""
        try:
            yield
        except BaseException:
            self._group, self._group_bytes = [], 0
            with contextlib.suppress(MailOAuthError):
                self._output.commit()
            raise

    def _learn(self, mail: MailSession) -> None:
        """Ask which of the folder's messages are there; only files can have any."""
        if self._options.output is None:
            return
        validity = mail.mailbox.in_folder(
            self._options.folder,
            lambda connection: connection.selected.uid_validity if connection.selected else 0,
        )
        self._known = self._output.known(validity)
        if validity != self._validity:
            self._done, self._validity = UidSet(), validity
            self.there = len(self._known)

    def _obtained(self, messages: MessageIterator) -> Iterator[Message]:
        """Yield the messages; one that the server will not give is counted and left out."""
        obtained = failures = in_a_row = 0
        while True:
            try:
                message = next(messages)
            except StopIteration:
                # What was asked for again, and came, is not missing.
                self.failed = min(failures, (messages.total or 0) - obtained)
                return
            except ServerError as error:
                failures += 1
                in_a_row += 1
                if messages.total is None or in_a_row > _MOST_FAILURES or not _is_of_one(error):
                    raise
                screen.warn(f"mailoauth: a message cannot be read: {error.message}")
            else:
                obtained += 1
                in_a_row = 0
                yield message

    def _is_enough(self, message: Message) -> bool:
        """Say whether the limit is reached: a second attempt finds others instead of the marked."""
        limit = self._options.limit
        return limit is not None and len(self._done) >= limit and not self._is_done(message)

    def _is_done(self, message: Message) -> bool:
        return message.uid_validity == self._validity and message.uid in self._done

    def _keep(self, message: Message) -> None:
        if message.uid_validity != self._validity:
            # The folder was made anew: its numbers mean other messages now.
            self._validity = message.uid_validity
            self._done, self._known = UidSet(), self._output.known(message.uid_validity)
        # Attachments first: a message that is kept is a message that is done with.
        if self._attachments is not None:
            self._attachments.save_all(message)
        if message.uid not in self._done and message.uid not in self._known:
            self._output.add(message)
            self.count += 1
        self._done.add(message.uid)
        if self._options.output is not None:
            self._group.append(message)
            self._group_bytes += len(message.raw)

    def _group_is_full(self) -> bool:
        return len(self._group) >= _GROUP_MESSAGES or self._group_bytes >= _GROUP_BYTES

    def _settle(self, mail: MailSession) -> None:
        """Have everything so far on the disk; only then mark it."""
        self._output.commit()
        group, self._group, self._group_bytes = self._group, [], 0
        if group and self._options.mark_seen:
            mail.mark_seen(group)


def _is_of_one(error: ServerError) -> bool:
    """Say whether it may be the fault of one message, and the next can be read."""
    if isinstance(error, FolderNotFound | MailboxUnavailable):
        return False
    return exits.code_of(error) not in exits.PASSING
