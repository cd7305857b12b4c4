"""ImapConnection: one signed-in IMAP connection; the only importer of imapclient.

A connection that failed in any way is never used again. What the server answered
becomes our errors in :func:`_translated`, the only border for imapclient's.
"""

from __future__ import annotations

import contextlib
import functools
import imaplib
import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import imapclient
from imapclient import exceptions as imapclient_errors

from mailoauth.diagnosis import diagnose
from mailoauth.errors import ConnectionFailed, FolderNotFound, MailOAuthError, TokenRefused
from mailoauth.mail.refusal import refusal_error
from mailoauth.mail.sasl import mechanism
from mailoauth.mail.wire import SecureWire
from mailoauth.network import Deadline, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mailoauth.accounts import Endpoint
    from mailoauth.mail.criteria import Search
    from mailoauth.mail.sasl import MechanismName

_logger = logging.getLogger("mailoauth.mail")

# imapclient's own loggers show commands with all that is in them, and whole
# messages; a user who wants that can set their level after importing this.
for _name in ("imapclient.imapclient", "imapclient.imaplib"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

#: What FETCH is asked for: the message whole, without marking it (RFC 9051 section 6.4.5).
_WHOLE = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]")


# How imaplib and our wire begin when they end a connection because of what came on it.
_NOT_IMAP = re.compile(
    r"(command: \w+ => )?(unexpected (tagged )?response: |a line without an end|a literal of )"
)


class LineLost(ConnectionFailed):
    """The server or the network ended a connection; ``bye`` is what the server said, if it did."""

    bye: str = ""


class Selected(NamedTuple):
    """A folder that was opened, by its name and UIDVALIDITY (RFC 9051 section 2.3.1.1)."""

    folder: str
    uid_validity: int


class Fetched(NamedTuple):
    """One message as FETCH brought it."""

    uid: int
    raw: bytes
    flags: tuple[str, ...]
    internal_date: Any
    size: int | None


class ImapConnection:
    """One connection; connects and starts TLS when it is made, and blocks in everything.

    ``timeout`` is for each wait, in seconds; ``deadline`` for the call it is made in.
    ``on_start`` is given the wire before it connects, for whoever may want to shut it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        ca_file: Path | None,
        account: str,
        timeout: float,
        deadline: Deadline,
        on_start: Callable[[SecureWire], None],
    ) -> None:
        self.endpoint = endpoint
        self.account = account
        self.selected: Selected | None = None
        self.usable = True
        self._just_selected = False
        with self._translated("CONNECT"):
            self._client = _Client(endpoint, ca_file, timeout, deadline, on_start)
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
            with self._translated("AUTHENTICATE", user=user):
                self._client.sasl_login(exchange.name, exchange.answer)
        except TokenRefused as refused:
            refused.detail = dict(exchange.refusal)
            raise

    def touch(self) -> None:
        """Send the cheapest command that needs the mailbox itself."""
        with self._translated("NAMESPACE"):
            if self._client.has_capability("NAMESPACE"):
                self._client.namespace()
            else:
                self._client.list_folders("", "")

    def select(self, folder: str, *, writable: bool = True) -> Selected:
        """Open a folder; ``FolderNotFound`` if there is none of that name."""
        self.selected = None
        with self._translated("SELECT", folder=folder):
            answer = self._client.select_folder(folder, readonly=not writable)
        self.selected = Selected(folder, int(answer.get(b"UIDVALIDITY", 0)))
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
            return sorted(self._client.search(search.criteria, search.charset))

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Return what the server says the messages' sizes are; Outlook only estimates."""
        with self._translated("FETCH"):
            answer = self._client.fetch(uids, ["RFC822.SIZE"])
        return {uid: int(items.get(b"RFC822.SIZE") or 0) for uid, items in answer.items()}

    def fetch(self, uids: Sequence[int]) -> Iterator[Fetched]:
        """Return the messages of these UIDs that still exist, in the order asked for."""
        with self._translated("FETCH"):
            answer = self._client.fetch(uids, list(_WHOLE))
        for uid in uids:
            # pop: a batch may be large, and the caller keeps what it needs.
            items = answer.pop(uid, None)
            raw = items.get(b"BODY[]") if items else None
            if items is None or not isinstance(raw, bytes):
                continue
            flags = items.get(b"FLAGS") or ()
            yield Fetched(
                uid,
                raw,
                tuple(flag.decode("ascii", "replace") for flag in flags),
                items.get(b"INTERNALDATE"),
                items.get(b"RFC822.SIZE"),
            )

    def store(self, uids: Iterable[int], flags: Sequence[str], *, add: bool) -> None:
        """Add or remove flags; harmless to repeat."""
        self._just_selected = False
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
    def _translated(self, command: str, *, folder: str = "", user: str = "") -> Iterator[None]:
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
            raise self._refused(exc, command, folder, user) from exc
        except imaplib.IMAP4.error as exc:
            raise self._refused(exc, command, folder, user) from exc
        except OSError as exc:
            self.usable = False
            if command != "CONNECT" and not isinstance(exc, TimeoutError):
                raise self._lost(exc, command) from exc
            raise translate(exc, what=self.place, account=self.account) from exc
        except (ValueError, LookupError, TypeError, imapclient_errors.ProtocolError) as exc:
            # What imaplib and imapclient raise on an answer that is not IMAP.
            self.usable = False
            raise self._not_imap(command) from exc
        except BaseException:
            # Ctrl-C in the middle of an answer: the rest of it is still on the line.
            self.usable = False
            raise

    def _lost(self, exc: BaseException, command: str) -> ConnectionFailed:
        if _NOT_IMAP.match(str(exc)):
            return self._not_imap(command)
        bye = self._bye()
        said = f' and said "{bye}"' if bye else ""
        error = LineLost(
            f"{self.place} ended the connection{said}.",
            remedy="Try again.",
            account=self.account,
        )
        error.bye = bye or str(exc)
        return error

    def _not_imap(self, command: str) -> ConnectionFailed:
        return ConnectionFailed(
            f"{self.place} answered {command} with something that is not IMAP.",
            remedy="Check host and port; a proxy or a virus scanner may be in between.",
            account=self.account,
        )

    def _bye(self) -> str:
        client = getattr(self, "_client", None)
        if client is None:
            return ""
        lines = client.wire.untagged_responses.get("BYE") or []
        return b" ".join(line for line in lines if isinstance(line, bytes)).decode(
            "ascii", "replace"
        )

    def _refused(self, exc: BaseException, command: str, folder: str, user: str) -> MailOAuthError:
        reply = _reply(exc, command)
        _logger.debug("%s refused %s: %s", self.place, command, reply)
        if command == "CONNECT":
            self.usable = False
        error = refusal_error(
            reply,
            diagnose(reply, protocol="imap"),
            who=user or self.account,
            server=self.endpoint.host,
            account=self.account,
            signing_in=command == "AUTHENTICATE",
        )
        if folder and type(error).__name__ == "ServerError":
            return FolderNotFound(
                f'{self.endpoint.host} does not open the folder "{folder}" ({reply}).',
                text=reply,
                remedy="Check its name with `mailoauth folders`; names of subfolders are whole paths.",
                account=self.account,
            )
        return error


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


def _reply(exc: BaseException, command: str) -> str:
    """Return the server's own words, with NO or BAD in front where imaplib dropped it."""
    text = str(exc)
    for opening in (f"{command} failed: ", f"{command.lower()} failed: "):
        text = text.removeprefix(opening)
    if "BAD [" in text:  # imaplib's "AUTHENTICATE command error: BAD [b'...']"
        inner = text.partition("BAD [")[2].rstrip("]")
        return f"BAD {inner.strip().strip(chr(39)).removeprefix('b' + chr(39))}"
    return f"NO {text}" if command == "AUTHENTICATE" else text
