"""One run of `mailoauth fetch`: begun anew after a failure, it goes on where it was."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from mailoauth.cli import exits, fetch_options, screen, stopping
from mailoauth.cli.uids import UidSet
from mailoauth.errors import MailOAuthError, ServerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mailoauth.cli.attachments import AttachmentFolder
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.message import Message
    from mailoauth.mail.reading import MessageIterator
    from mailoauth.session import MailSession

#: How much is put on the disk, and then marked, together.
_GROUP_MESSAGES: Final = 100
_GROUP_BYTES: Final = 4 * 1024 * 1024


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
    ``failed`` has the numbers of those that the server would not give.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        account: str,
        output: Output,
        attachments: AttachmentFolder | None,
    ) -> None:
        self._options = options
        self._account = account
        self._output = output
        self._attachments = attachments
        self._validity: int | None = None
        self._done = UidSet()
        self._known = UidSet()
        self._group: list[Message] = []
        self._group_bytes = 0
        self.count = 0
        self.there = 0
        self.failed: tuple[int, ...] = ()

    def once(self, advance: screen.Advance) -> None:
        """Read from the beginning, and leave out what is done."""
        from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

        self.failed = ()
        self._prepare()
        with MailSession(self._account, mailbox=self._options.mailbox) as mail, self._committing():
            self._learn(mail)
            search = fetch_options.search_of(self._options, self._known)
            messages = mail.search(**search)
            for message in self._obtained(messages):
                if self._is_enough(message):
                    break
                self._keep(message)
                if self._group_is_full():
                    self._settle(mail)
                advance(messages.total)
                stopping.check()
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
        """Ask which of the folder's messages are there, and whether they can be marked."""
        if self._options.output is None and not self._options.mark_seen:
            return
        validity = mail.mailbox.in_folder(self._options.folder, self._validity_of)
        if self._options.output is None:
            return  # what is printed is there from no other run
        self._known = self._output.known(validity)
        if validity != self._validity:
            self._done, self._validity = UidSet(), validity
            self.there = len(self._known)

    def _validity_of(self, connection: ImapConnection) -> int:
        selected = connection.selected
        if selected is None:
            return 0
        if self._options.mark_seen and selected.read_only:
            # Before the first message: what is printed and never marked comes again and again.
            raise connection.verdicts.read_only(selected.folder)
        return selected.uid_validity

    def _obtained(self, messages: MessageIterator) -> Iterator[Message]:
        """Yield the messages; those that the server would not give are known at the end."""
        try:
            yield from messages
        except ServerError as error:
            if not messages.failed or not _is_of_messages(error) or _goes_on(messages):
                raise
            screen.warn(f"mailoauth: {error.message}")
        self.failed = messages.failed

    def _is_enough(self, message: Message) -> bool:
        """Say whether the limit is reached and this would be one more."""
        limit = self._options.limit
        return limit is not None and self.count >= limit and not self._is_there(message)

    def _is_there(self, message: Message) -> bool:
        return self._is_done(message) or (
            message.uid_validity == self._validity and message.uid in self._known
        )

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


def _is_of_messages(error: ServerError) -> bool:
    """Say whether it may be about a message: others are about all of them, or pass."""
    return type(error) is ServerError and exits.code_of(error) not in exits.PASSING


def _goes_on(messages: MessageIterator) -> bool:
    """Say whether it was not raised in place of the end: then something else was refused."""
    return next(messages, None) is not None
