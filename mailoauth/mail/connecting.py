"""Connecting: how one mailbox's connection is made, signed in, and ended.

The policy of ``tokens/retry.py`` for IMAP: connect, authenticate and open the folder is
one attempt.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from mailoauth.errors import (
    ConcurrentUse,
    ConnectionFailed,
    FolderNotFound,
    MailboxUnavailable,
    TokenRefused,
)
from mailoauth.mail.refusal import remedy_of, rights_needed
from mailoauth.mail.verdicts import LineLost
from mailoauth.network import Deadline, prepare_tls_context
from mailoauth.tokens.retry import Refusal, judge, sign_in

if TYPE_CHECKING:
    from mailoauth.account import Account
    from mailoauth.mail.connection import ImapConnection
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.wire import SecureWire
    from mailoauth.tokens.token import AccessToken, TokenSource

_logger = logging.getLogger("mailoauth.mail")

#: Seconds for everything that a session still does after Ctrl-C.
HURRY: Final = 1.5
#: Seconds by which the provider's clock may be ahead.
_SKEW: Final = 10.0


class Connecting:
    """Whose mailbox it is, and its connection; for one thread.

    ``timeout`` bounds one network step and ``deadline`` one whole call, in seconds.
    """

    def __init__(
        self,
        account: Account,
        address: str,
        *,
        tokens: TokenSource | None,
        timeout: float,
        deadline: float | None,
    ) -> None:
        self.account = account
        self.address = address
        self.closed = False
        self._tokens = tokens
        self._timeout = timeout
        self._deadline = deadline
        self._connection: ImapConnection | None = None
        self._wire: SecureWire | None = None
        self._token: AccessToken | None = None
        self._owner: tuple[int, int] | None = None
        self._interrupted = False

    def close(self) -> None:
        """End whatever is under way, for good; takes no lock."""
        self.closed = True
        self.interrupt()

    def interrupt(self) -> None:
        """End the call that is under way, and its connection; the next verb makes a new one.

        Takes no lock: for other threads and signal handlers.
        """
        self._interrupted = True
        # Read once each: the thread that uses them may take them away.
        connection, wire = self._connection, self._wire
        if connection is not None:
            connection.shut()
        if wire is not None:
            wire.shut()

    def hurry(self) -> None:
        """Wait for nothing long from now on: somebody wants to end the program."""
        self._timeout = min(self._timeout, HURRY)
        self._deadline = HURRY if self._deadline is None else min(self._deadline, HURRY)

    def hang_up(self) -> None:
        """Log out, if the connection is in a state for it, and close."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.usable and self._owner == (os.getpid(), threading.get_ident()):
            connection.log_out()
        else:
            connection.close()

    def begin(self) -> Deadline:
        """Return the deadline of a verb that begins now; ``ConcurrentUse`` from elsewhere."""
        self._interrupted = False  # before closed is looked at: close() sets it after that
        if self.closed:
            raise ConnectionFailed(
                f"The session of {self.address} is closed.",
                remedy="Open a new one.",
                account=self.account.name,
            )
        here = (os.getpid(), threading.get_ident())
        if self._owner is None:
            self._owner = here
        if self._owner != here:
            where = "process (after a fork)" if self._owner[0] != here[0] else "thread"
            raise ConcurrentUse(
                f"The session of {self.address} belongs to another {where}.",
                remedy="Open a session in each; sessions with the same account share its token.",
                account=self.account.name,
            )
        return Deadline(self._deadline)

    def _connect(
        self,
        folder: str | None,
        deadline: Deadline,
        lost: LineLost | None,
        then: Search | None,
    ) -> ImapConnection:
        # The roots are read while what speaks IMAP and what reads mail is imported.
        prepare_tls_context(self.account.provider.ca_file)
        import mailoauth.mail.connection  # noqa: PLC0415 - see above
        import mailoauth.mail.message  # noqa: F401, PLC0415 - see above

        source = self._source()
        place = f"imap {self.address}"
        first = self._refused_by(lost, source, place)
        self.hang_up()

        def attempt(token: AccessToken) -> ImapConnection:
            self._token = token
            try:
                return self._sign_in(token, folder, deadline, then)
            except MailboxUnavailable as error:
                if "not connected" not in error.text:
                    raise
                # "Authenticated but not connected": sometimes only the server behind
                # the front end was away, so one new connection, with the same token.
                _logger.info("%s is not connected, trying one new connection", self.address)
                return self._sign_in(token, folder, deadline, then)

        self._connection = sign_in(
            source, place, attempt, first=first, remaining=deadline.remaining
        )
        if self._interrupted:  # from elsewhere, while the connection was being made
            self._connection.shut()
        return self._connection

    def _refused_by(self, lost: LineLost | None, source: TokenSource, place: str) -> Refusal | None:
        """Say whether the line was lost because the token had ended (Outlook's BYE)."""
        token = self._token
        if lost is None or token is None:
            return None
        diagnosis = lost.diagnosis
        if diagnosis.category != "stale_token":
            _logger.info("%s: reconnecting: %s", self.address, lost.message)
            return None
        _logger.info("%s: the token ended, reconnecting with a fresh one", self.address)
        error = TokenRefused(
            lost.message,
            reply=lost.bye,
            diagnosis=diagnosis,
            remedy=remedy_of(
                diagnosis, user=self.account.user or self.account.name, mailbox=self.address
            ),
            account=self.account.name,
        )
        return judge(source, token, place, error)

    def _sign_in(
        self, token: AccessToken, folder: str | None, deadline: Deadline, then: Search | None
    ) -> ImapConnection:
        """Connect, authenticate, and open the folder: only that shows that the sign-in holds."""
        from mailoauth.mail.connection import ImapConnection  # noqa: PLC0415 - see _connect

        connection = ImapConnection(
            self.account,
            self.address,
            timeout=self._timeout,
            deadline=deadline,
            on_start=self._watch_wire,
        )
        try:
            self._prove(connection, token, folder, then)
        except BaseException as error:
            connection.close()
            if isinstance(error, TokenRefused):
                rights = rights_needed(self.account, self.address)
                error.remedy = f"{rights} {error.remedy}".strip()
            raise
        return connection

    def _prove(
        self,
        connection: ImapConnection,
        token: AccessToken,
        folder: str | None,
        then: Search | None,
    ) -> None:
        try:
            connection.sign_in(self.account.provider.sasl, self._user(), token.value)
            self._first_command(connection, folder, then)
        except LineLost as lost:
            if lost.diagnosis.category != "stale_token":
                raise
            raise TokenRefused(
                lost.message,
                reply=lost.bye,
                diagnosis=lost.diagnosis,
                account=self.account.name,
            ) from lost

    def _first_command(
        self, connection: ImapConnection, folder: str | None, then: Search | None
    ) -> None:
        if folder is None:
            connection.touch()
            return
        try:
            connection.select(folder, then=then)
        except FolderNotFound:
            # The caller will hear of the folder from its own SELECT; whether the mailbox
            # answers shows now.
            connection.touch()

    def _token_has_ended(self) -> bool:
        """Whether the clock says so of the token that signed the connection in."""
        ends = None if self._token is None else self._token.expires_at
        return ends is not None and time.time() >= ends - _SKEW

    def _watch_wire(self, wire: SecureWire) -> None:
        self._wire = wire
        if self._interrupted:
            wire.shut()

    def _user(self) -> str:
        """Who signs in: the user's own principal name for the own mailbox, else the mailbox."""
        if self.address.casefold() == (self.account.user or "").casefold():
            username: str | None = getattr(self._source(), "username", None)
            return username or self.address
        return self.address

    def _source(self) -> TokenSource:
        if self._tokens is None:
            # Whoever brings tokens along needs neither the store nor what encrypts it.
            from mailoauth.tokens import token_source  # noqa: PLC0415 - see above

            self._tokens = token_source(self.account)
        return self._tokens
