"""ImapClient: one signed-in IMAP connection; the only importer of imapclient.

A connection that failed in any way is never used again. What the server answered
becomes our errors in :meth:`ImapClient.translated`. imapclient, which takes longer to
import than a mailbox to open, is loaded for what its parser is needed for.
"""

from __future__ import annotations

import contextlib
import imaplib
import logging
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import ConnectionFailed, MailOAuthError, TokenRefused
from mailoauth.mail.commands import Capabilities, Command, Refused
from mailoauth.mail.pipeline import Pipeline
from mailoauth.mail.refusal import one_line
from mailoauth.mail.replies import bye_text, forget_data, is_not_imap, reply_text
from mailoauth.mail.sasl import mechanism
from mailoauth.mail.verdicts import LineLost, Verdicts
from mailoauth.mail.wire import SecureWire
from mailoauth.network import Deadline, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailoauth.accounts import Account
    from mailoauth.mail.fetched import Selected
    from mailoauth.mail.sasl import Mechanism, MechanismName

_logger = logging.getLogger("mailoauth.mail")

# imapclient's own loggers show commands with all that is in them, and whole
# messages; a user who wants that can set their level after importing this.
for _name in ("imapclient.imapclient", "imapclient.imaplib", "imapclient.util"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

#: Seconds of silence after which a line may be dead without anybody knowing.
_QUIET: Final = 5.0

#: What imaplib and we raise on an answer that is not IMAP.
_PARSING = (
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class ImapClient:
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
        self.verdicts = Verdicts(account, mailbox)
        self.selected: Selected | None = None
        self.usable = True
        self.lost: LineLost | None = None
        #: Whether nothing was asked since the folder was opened: then all news of it are known.
        self.just_selected = False
        with self.translated("CONNECT"):
            self.wire = SecureWire(
                self.endpoint, account.provider.ca_file, timeout, deadline, on_start
            )
        self.pipeline = Pipeline(self.wire)
        # Those of the greeting, until the sign-in brings others or makes them be asked for.
        self._capabilities: frozenset[str] | None = frozenset(self.wire.capabilities)

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.endpoint.host}:{self.endpoint.port}"

    def bound(self, deadline: Deadline) -> None:
        """Bound what follows by another call's deadline."""
        self.wire.deadline = deadline

    def sign_in(self, sasl: MechanismName, user: str, token: str) -> None:
        """Authenticate; ``TokenRefused`` where the server refused the token.

        At Outlook this is only half of it: see :meth:`select` and :meth:`touch`.
        """
        exchange = mechanism(sasl, user, token, self.endpoint)
        if not self.has(f"AUTH={exchange.name}"):
            raise ConnectionFailed(
                f"{self.place} does not offer {exchange.name}.",
                remedy="Check host and port: is this the provider's IMAP server?",
                account=self.account,
            )
        try:
            with self.translated("AUTHENTICATE"):
                self._authenticate(exchange)
        except MailOAuthError as error:
            exchange.redact_error(error)
            if isinstance(error, TokenRefused):
                error.detail = dict(exchange.refusal)
            raise

    def _authenticate(self, exchange: Mechanism) -> None:
        try:
            self.wire.authenticate(exchange.name, exchange.answer)
        except Exception as exc:
            exchange.redact_error(exc)  # before anybody logs it
            raise
        announced: list[Any] | None = self.wire.untagged_responses.pop("CAPABILITY", None)
        self._capabilities = (
            frozenset(announced[-1].decode().upper().split()) if announced else None
        )

    def has(self, capability: str) -> bool:
        """Say whether the server offers a capability; asks it once after the sign-in."""
        if self._capabilities is None:
            answer = Capabilities()
            self.run("CAPABILITY", answer)
            self._capabilities = frozenset(answer.names)
        return capability.upper() in self._capabilities

    def touch(self) -> None:
        """Send the cheapest command that needs the mailbox itself."""
        if self.has("NAMESPACE"):
            self.run("NAMESPACE", Command())
        else:
            self.run("LIST", Command(), b'LIST "" ""')

    def probe(self, *, after: float | None = None) -> None:
        """Make sure that the line is alive, if nothing was heard on it for so many seconds."""
        # What is still to come may hide a goodbye.
        if self.pipeline.busy or self.wire.quiet() >= (_QUIET if after is None else after):
            self.run("NOOP", Command())

    def run(self, name: str, command: Command, *pieces: bytes) -> None:
        """Send a command and wait for its end; ``name`` is it, too, where there are no pieces.

        Raises what the server refused it with.
        """
        self.just_selected = False
        with self.translated(name):
            self.pipeline.send(command, *(pieces or [name.encode("ascii")]))
            self.pipeline.finish(command)

    def structure(self, uid: int) -> Any | None:
        """Return a message's BODYSTRUCTURE in nested tuples; None if it is gone or unreadable."""
        import imapclient  # noqa: PLC0415 - see above
        from imapclient import exceptions  # noqa: PLC0415 - see above

        class OnOurWire(imapclient.IMAPClient):  # type: ignore[misc] # imapclient has no types
            def _create_IMAP4(client) -> SecureWire:  # noqa: N802, N805 - its names for them
                return self.wire

        with self.translated("FETCH"):
            self.just_selected = False
            self.pipeline.drain()
            client = OnOurWire(self.endpoint.host, self.endpoint.port, ssl=True)
            self.wire.debug = 0  # it would format every line of the protocol for a logger
            try:
                found: dict[int, Any] = client.fetch([uid], ["BODYSTRUCTURE"])
            except (exceptions.ProtocolError, *_PARSING):
                return None
            return found.get(uid, {}).get(b"BODYSTRUCTURE")

    def set_state(self, state: str) -> None:
        """Tell imaplib, which refuses commands that do not fit to its own view of the state."""
        self.wire.state = state

    def log_out(self) -> None:
        """Say goodbye and close; a server that does not answer is not waited for long."""
        if self.usable and not self.pipeline.owes:
            self.usable = False
            self.wire.timeout = min(self.wire.timeout, 2.0)
            self.wire.deadline = Deadline(2.0)
            goodbye = Command()
            with contextlib.suppress(
                OSError, ValueError, MailOAuthError, Refused, imaplib.IMAP4.error
            ):
                self.pipeline.send(goodbye, b"LOGOUT")
                self.pipeline.finish(goodbye)  # BYE ends it
        self.close()

    def close(self) -> None:
        """Close without a goodbye."""
        self.usable = False
        self.wire.shutdown()

    def shut(self) -> None:
        """End every wait at once; takes no lock: for other threads and signal handlers."""
        self.usable = False
        self.wire.shut()

    @contextlib.contextmanager
    def translated(self, command: str, *, folder: str = "") -> Iterator[None]:
        """Turn what imaplib, imapclient and the network raise inside into our errors."""
        try:
            yield
        except MailOAuthError as error:  # a deadline, or the wire's own
            self.usable = False
            error.account = error.account or self.account
            raise
        except imaplib.IMAP4.abort as exc:
            self.usable = False
            raise self._lost(exc, command) from exc
        except (Refused, imaplib.IMAP4.error) as exc:
            raise self._refused(exc, command, folder) from exc
        except OSError as exc:
            self.usable = False
            if command != "CONNECT" and not isinstance(exc, TimeoutError):
                raise self._lost(exc, command) from exc
            raise translate(exc, what=self.place, account=self.account) from exc
        except _PARSING as exc:
            self.usable = False
            forget_data(exc)
            raise self.verdicts.not_imap(command) from exc
        except BaseException:
            # Ctrl-C in the middle of an answer: the rest of it is still on the line.
            self.usable = False
            raise

    def _lost(self, exc: BaseException, command: str) -> MailOAuthError:
        not_imap = is_not_imap(str(exc))
        forget_data(exc)
        if not_imap:
            return self.verdicts.not_imap(command)
        wire = getattr(self, "wire", None)  # none yet while connecting
        bye = bye_text(wire.untagged_responses.get("BYE")) if wire else ""
        error = self.verdicts.lost(bye, str(exc))
        self.lost = error if isinstance(error, LineLost) else None
        return error

    def _refused(self, exc: BaseException, command: str, folder: str) -> MailOAuthError:
        reply = reply_text(exc, command)
        _logger.debug("%s refused %s: %s", self.place, command, one_line(reply))
        if command == "CONNECT":
            self.usable = False
        return self.verdicts.refused(reply, command, folder)
