"""ImapLine: keeps one mailbox's connection signed in, and repeats what is harmless.

A line that is lost is replaced, with a fresh token where it was lost because the token
had ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mailoauth.errors import ConnectionFailed, OutcomeUnknown
from mailoauth.mail.connecting import HURRY, Connecting
from mailoauth.mail.verdicts import LineLost, Rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.fetched import Selected
    from mailoauth.network import Deadline

__all__ = ["HURRY", "ImapLine"]

T = TypeVar("T")


class ImapLine(Connecting):
    """The connection of one mailbox, made when it is first needed; for one thread."""

    def run(
        self,
        folder: str | None,
        verb: Callable[[ImapConnection], T],
        *,
        validity: int | None = None,
        deadline: Deadline | None = None,
        repeat: bool = True,
        then: Search | None = None,
    ) -> T:
        """Run a command in a folder, once more on a new connection if the line was lost.

        ``folder`` is None for a command that needs none. ``validity`` is the UIDVALIDITY
        that the UIDs in it belong to: if the folder has another one by now the command is
        not run. ``deadline`` is the one of the verb that this command is a part of, as
        :meth:`begin` gave it. ``then`` is sent along with the SELECT, if one is needed.
        Without ``repeat``, for what must not be done twice, a line that is lost after the
        command went out is ``OutcomeUnknown``.
        """
        deadline = deadline or self.begin()
        try:
            if not repeat:
                return self._run_once(folder, verb, deadline, validity)
            return self._run(folder, verb, deadline, validity, then)
        except LineLost as lost:
            if self._interrupted:
                raise self._was_closed() from lost
            raise ConnectionFailed(
                lost.message, remedy=lost.remedy, account=self.account.name
            ) from lost

    def resume(
        self,
        connection: ImapConnection | None,
        verb: Callable[[ImapConnection], T],
        deadline: Deadline,
    ) -> T:
        """Go on with what was begun on a connection; ``LineLost`` where that has ended."""
        if connection is None or connection is not self._connection or not connection.usable:
            raise LineLost("The connection has been replaced.", account=self.account.name)
        connection.bound(deadline)
        try:
            return verb(connection)
        except LineLost as lost:
            if self._interrupted:
                raise self._was_closed() from lost
            raise

    def _was_closed(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"The session of {self.address} was closed.", account=self.account.name
        )

    def _run_once(
        self,
        folder: str | None,
        verb: Callable[[ImapConnection], T],
        deadline: Deadline,
        validity: int | None,
    ) -> T:
        # A line that has been dead for long, or a session that ends with its token, shows it
        # here, where nothing is at stake yet.
        quiet = 0.0 if self._token_has_ended() else None
        self._run(folder, lambda line: line.probe(after=quiet), deadline, validity)
        connection = self._open(folder, deadline, validity, None)
        deadline.step(self._timeout)
        try:
            return verb(connection)
        except ConnectionFailed as error:
            raise OutcomeUnknown(
                f"The connection was lost while {self.address} was being changed, so it is not "
                f"known whether that was done. {error.message}",
                remedy="Look at the mailbox before you do it again.",
                account=self.account.name,
            ) from error

    def _run(
        self,
        folder: str | None,
        verb: Callable[[ImapConnection], T],
        deadline: Deadline,
        validity: int | None,
        then: Search | None = None,
    ) -> T:
        connection = self._open(folder, deadline, validity, then)
        try:
            return verb(connection)
        except LineLost:
            if self._interrupted:
                raise
            connection = self._open(folder, deadline, validity, then)
            return verb(connection)

    def _open(
        self,
        folder: str | None,
        deadline: Deadline,
        validity: int | None,
        then: Search | None,
    ) -> ImapConnection:
        connection = self._connection
        if connection is None or not connection.usable:
            lost = None if connection is None else connection.lost
            connection = self._connect(folder, deadline, lost, then)
        connection.bound(deadline)
        if folder is None:
            return connection
        selected = connection.selected
        if selected is None or selected.folder != folder:
            connection, selected = self._select(connection, folder, deadline, then)
        if validity is not None and selected.uid_validity != validity:
            raise Rebuilt(
                f'The folder "{folder}" of {self.address} was rebuilt on the server (its '
                f"UIDVALIDITY changed from {validity} to {selected.uid_validity}), so what was "
                "found in it cannot be found again by number.",
                remedy="Start the loop anew.",
                account=self.account.name,
            )
        return connection

    def _select(
        self, connection: ImapConnection, folder: str, deadline: Deadline, then: Search | None
    ) -> tuple[ImapConnection, Selected]:
        try:
            return connection, connection.select(folder, then=then)
        except LineLost as lost:
            if self._interrupted:
                raise
            fresh = self._connect(folder, deadline, lost, then)
            return fresh, fresh.selected or fresh.select(folder, then=then)
