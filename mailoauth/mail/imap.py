"""ImapConnection: one signed-in IMAP connection; the only importer of imapclient.

A connection that failed in any way is never used again. What the server answered
becomes our errors in :func:`_translated`, the only border for imapclient's.
"""

from __future__ import annotations

import contextlib
import functools
import imaplib
import logging
from typing import TYPE_CHECKING, Any

import imapclient
from imapclient import exceptions as imapclient_errors

from mailoauth.errors import ConnectionFailed, MailOAuthError, TokenRefused
from mailoauth.mail.fetched import Fetched, Selected, fetched
from mailoauth.mail.refusal import one_line
from mailoauth.mail.replies import bye_text, forget_data, is_not_imap, reply_text
from mailoauth.mail.sasl import mechanism
from mailoauth.mail.verdicts import Verdicts
from mailoauth.mail.wire import SecureWire
from mailoauth.network import Deadline, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mailoauth.accounts import Account, Endpoint
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.sasl import Mechanism, MechanismName

_logger = logging.getLogger("mailoauth.mail")

# imapclient's own loggers show commands with all that is in them, and whole
# messages; a user who wants that can set their level after importing this.
for _name in ("imapclient.imapclient", "imapclient.imaplib", "imapclient.util"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

#: What FETCH is asked for: the message whole, without marking it (RFC 9051 section 6.4.5).
_WHOLE = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]")

#: What imaplib, imapclient and we raise on an answer that is not IMAP.
_PARSING = (
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    imapclient_errors.ProtocolError,
)


class ImapConnection:
    """One connection; connects and starts TLS when it is made, and blocks in everything.

    ``timeout`` is for each wait, in seconds; ``deadline`` for the call it is made in.
    ``on_start`` is given the wire before it connects, for whoever may want to shut it.
    """

    def __init__(
        self,
        account: Account,
        mailbox: str,
        *,
        timeout: float,
        deadline: Deadline,
        on_start: Callable[[SecureWire], None],
    ) -> None:
        self.endpoint = account.imap
        self.account = account.name
        self._verdicts = Verdicts(account, mailbox)
        self.selected: Selected | None = None
        self.usable = True
        self._just_selected = False
        with self._translated("CONNECT"):
            self._client = _Client(
                self.endpoint, account.provider.ca_file, timeout, deadline, on_start
            )
        self._client.normalise_times = False  # aware times, not the machine's local ones

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.endpoint.host}:{self.endpoint.port}"

    def bound(self, deadline: Deadline) -> None:
        """Bound what follows by another call's deadline."""
        self._client.wire.deadline = deadline

    def sign_in(self, sasl: MechanismName, user: str, token: str) -> None:
        """Authenticate; ``TokenRefused`` where the server refused the token.

        At Outlook this is only half of it: see :meth:`select` and :meth:`touch`.
        """
        exchange = mechanism(sasl, user, token, self.endpoint)
        if not self._client.has_capability(f"AUTH={exchange.name}"):
            raise ConnectionFailed(
                f"{self.place} does not offer {exchange.name}.",
                remedy="Check host and port: is this the provider's IMAP server?",
                account=self.account,
            )
        try:
            with self._translated("AUTHENTICATE"):
                self._authenticate(exchange)
        except MailOAuthError as error:
            exchange.redact_error(error)
            if isinstance(error, TokenRefused):
                error.detail = dict(exchange.refusal)
            raise

    def _authenticate(self, exchange: Mechanism) -> None:
        try:
            self._client.sasl_login(exchange.name, exchange.answer)
        except Exception as exc:
            exchange.redact_error(exc)  # before anybody logs it
            raise

    def touch(self) -> None:
        """Send the cheapest command that needs the mailbox itself."""
        with self._translated("NAMESPACE"):
            if self._client.has_capability("NAMESPACE"):
                self._client.namespace()
            else:
                self._client.list_folders("", "")

    def select(self, folder: str) -> Selected:
        """Open a folder, if only for reading; ``FolderNotFound`` if there is none of that name."""
        self.selected = None
        read_only = False
        with self._translated("SELECT", folder=folder):
            try:
                answer = self._client.select_folder(folder)
            except imaplib.IMAP4.readonly:
                # The folder is open, but imaplib takes a user without the right to
                # write for a broken connection; EXAMINE says the same without that.
                read_only = True
                answer = self._client.select_folder(folder, readonly=True)
            self.selected = Selected(folder, int(answer.get(b"UIDVALIDITY", 0)), read_only)
        self._just_selected = True
        return self.selected

    def search(self, search: Search) -> list[int]:
        """Return the UIDs that match, ascending."""
        with self._translated("SEARCH"):
            if not self._just_selected:
                # Mail that came meanwhile is not found before a command has announced it
                # (RFC 9051 section 7.4.1); Dovecot announces it after the SEARCH.
                self._client.noop()
            self._just_selected = False
            return sorted(self._search(search))

    def _search(self, search: Search) -> list[int]:
        try:
            found: list[int] = self._client.search(search.criteria, search.charset)
            return found
        except imapclient_errors.InvalidCriteriaError as exc:
            # It repeats the criteria, which name correspondents and subjects: what is
            # underneath is raised alone, and outside, or this one would be in its chain.
            refusal = exc.__context__
        raise refusal or imaplib.IMAP4.error("SEARCH command error: BAD [b'']")

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Return what the server says the messages' sizes are; Outlook only estimates."""
        with self._translated("FETCH"):
            answer = self._client.fetch(uids, ["RFC822.SIZE"])
            return {uid: int(items.get(b"RFC822.SIZE") or 0) for uid, items in answer.items()}

    def fetch(self, uids: Sequence[int]) -> list[Fetched]:
        """Return the messages of these UIDs that still exist, in the order asked for."""
        with self._translated("FETCH"):
            answer = self._client.fetch(uids, list(_WHOLE))
            return [
                fetched(uid, items, raw)
                for uid in uids
                if (items := answer.get(uid)) and (raw := self._body(uid, items)) is not None
            ]

    def _body(self, uid: int, items: Mapping[bytes, Any]) -> bytes | None:
        raw = items.get(b"BODY[]")
        if isinstance(raw, bytes):
            return raw
        _logger.warning("%s has no body for the message with UID %d: left out", self.place, uid)
        return None

    def store(self, uids: Iterable[int], flags: Sequence[str], *, add: bool) -> None:
        """Add or remove flags; harmless to repeat."""
        self._just_selected = False
        if self.selected is not None and self.selected.read_only:
            raise self._verdicts.read_only(self.selected.folder)
        verb = self._client.add_flags if add else self._client.remove_flags
        with self._translated("STORE"):
            verb(list(uids), list(flags), silent=True)

    def log_out(self) -> None:
        """Say goodbye and close; a server that does not answer is not waited for long."""
        if self.usable:
            self.usable = False
            self._client.wire.timeout = min(self._client.wire.timeout, 2.0)
            self._client.wire.deadline = Deadline(2.0)
            with contextlib.suppress(
                OSError, MailOAuthError, imaplib.IMAP4.error, imapclient_errors.ProtocolError
            ):
                self._client.logout()
        self.close()

    def close(self) -> None:
        """Close without a goodbye."""
        self.usable = False
        self._client.wire.shutdown()

    def shut(self) -> None:
        """End every wait at once; takes no lock: for other threads and signal handlers."""
        self.usable = False
        self._client.wire.shut()

    @contextlib.contextmanager
    def _translated(self, command: str, *, folder: str = "") -> Iterator[None]:
        try:
            yield
        except MailOAuthError as error:  # a deadline, or the wire's own
            self.usable = False
            error.account = error.account or self.account
            raise
        except (imaplib.IMAP4.abort, imapclient_errors.LoginError) as exc:
            if not _is_refusal(exc):
                self.usable = False
                raise self._lost(exc, command) from exc
            raise self._refused(exc, command, folder) from exc
        except imaplib.IMAP4.error as exc:
            raise self._refused(exc, command, folder) from exc
        except OSError as exc:
            self.usable = False
            if command != "CONNECT" and not isinstance(exc, TimeoutError):
                raise self._lost(exc, command) from exc
            raise translate(exc, what=self.place, account=self.account) from exc
        except _PARSING as exc:
            self.usable = False
            forget_data(exc)
            raise self._verdicts.not_imap(command) from exc
        except BaseException:
            # Ctrl-C in the middle of an answer: the rest of it is still on the line.
            self.usable = False
            raise

    def _lost(self, exc: BaseException, command: str) -> MailOAuthError:
        not_imap = is_not_imap(str(exc))
        forget_data(exc)
        if not_imap:
            return self._verdicts.not_imap(command)
        client = getattr(self, "_client", None)  # none yet while connecting
        bye = bye_text(client.wire.untagged_responses.get("BYE")) if client else ""
        return self._verdicts.lost(bye, str(exc))

    def _refused(self, exc: BaseException, command: str, folder: str) -> MailOAuthError:
        reply = reply_text(exc, command)
        _logger.debug("%s refused %s: %s", self.place, command, one_line(reply))
        if command == "CONNECT":
            self.usable = False
        return self._verdicts.refused(reply, command, folder)


class _Client(imapclient.IMAPClient):  # type: ignore[misc] # imapclient has no types
    """imapclient on our wire."""

    def __init__(
        self,
        endpoint: Endpoint,
        ca_file: Path | None,
        timeout: float,
        deadline: Deadline,
        on_start: Callable[[SecureWire], None],
    ) -> None:
        self._make_wire = functools.partial(
            SecureWire, endpoint, ca_file, timeout, deadline, on_start
        )
        super().__init__(endpoint.host, endpoint.port, ssl=True, timeout=timeout)

    def _create_IMAP4(self) -> SecureWire:  # noqa: N802 - imapclient's name for it
        self.wire = self._make_wire()
        return self.wire


def _is_refusal(exc: BaseException) -> bool:
    # LoginError stands for a tagged NO or BAD, but also for a line that ended during
    # AUTHENTICATE; only then was it made from imaplib's abort.
    return isinstance(exc, imapclient_errors.LoginError) and not isinstance(
        exc.__context__, imaplib.IMAP4.abort
    )
