"""Verdicts: which error an IMAP command that ended badly becomes; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.errors import (
    ConnectionFailed,
    FolderNotFound,
    MailboxUnavailable,
    MailOAuthError,
    ServerError,
    Throttled,
)
from mailoauth.later import Later
from mailoauth.mail.refusal import one_line, refusal_error

if TYPE_CHECKING:
    from mailoauth import diagnosis
    from mailoauth.accounts import Account
    from mailoauth.diagnosis import Diagnosis
else:
    diagnosis = Later("mailoauth.diagnosis")


class LineLost(ConnectionFailed):
    """The server or the network ended a connection; ``bye`` is what the server said, if it did."""

    bye: str = ""

    @property
    def diagnosis(self) -> Diagnosis:
        """What the server meant."""
        return diagnosis.diagnose(self.bye, protocol="imap")


class Rebuilt(ConnectionFailed):
    """A folder has another UIDVALIDITY than the one that UIDs belong to: they mean nothing now."""


class Verdicts:
    """Knows whose connection it is, and where it leads."""

    def __init__(self, account: Account, mailbox: str) -> None:
        self._account = account.name
        self._user = account.user or account.name
        self._mailbox = mailbox
        self._host = account.imap.host
        self._place = f"{account.imap.host}:{account.imap.port}"

    def lost(self, bye: str, otherwise: str) -> MailOAuthError:
        """Return ``LineLost``; ``Throttled`` where the goodbye asks to wait."""
        if diagnosis.diagnose(bye, protocol="imap").category == "throttled":
            return self._error(f"BYE {bye}")
        said = f' and said "{one_line(bye)}"' if bye else ""
        error = LineLost(
            f"{self._place} ended the connection{said}.", remedy="Try again.", account=self._account
        )
        error.bye = bye or otherwise
        return error

    def not_imap(self, command: str) -> ConnectionFailed:
        """Say that what came is not IMAP."""
        return ConnectionFailed(
            f"{self._place} answered {command} with something that is not IMAP.",
            remedy="Check host and port; a proxy or a virus scanner may be in between.",
            account=self._account,
        )

    def read_only(self, folder: str) -> MailboxUnavailable:
        """Say that nothing can be changed in a folder."""
        return MailboxUnavailable(
            f'{self._host} opens the folder "{folder}" of {self._mailbox} for reading only, so '
            "nothing can be marked in it.",
            remedy="Ask its owner or an administrator for the right to change it.",
            account=self._account,
        )

    def refused(self, reply: str, command: str, folder: str = "") -> MailOAuthError:
        """Return the error for a tagged NO or BAD, or for a greeting that is none."""
        error = self._error(reply, signing_in=command == "AUTHENTICATE")
        if command == "CONNECT" and not isinstance(error, Throttled):
            return ConnectionFailed(
                f"{self._place} does not let anybody in just now ({one_line(reply)}).",
                remedy="Try again later.",
                account=self._account,
            )
        if folder and isinstance(error, ServerError) and _about_the_folder(reply, error):
            return FolderNotFound(
                f'{self._host} does not open the folder "{folder}" of {self._mailbox} '
                f"({one_line(reply).rstrip('.')}).",
                text=reply,
                diagnosis=error.diagnosis,
                remedy="Check its name; the name of a subfolder is its whole path.",
                account=self._account,
            )
        return error

    def _error(self, reply: str, *, signing_in: bool = False) -> MailOAuthError:
        return refusal_error(
            reply,
            diagnosis.diagnose(reply, protocol="imap"),
            who=self._mailbox,
            user=self._user,
            server=self._host,
            account=self._account,
            signing_in=signing_in,
        )


def _about_the_folder(reply: str, error: ServerError) -> bool:
    known = error.diagnosis
    if known is not None and known.category != "unknown":
        return known.subject == "folder"
    return not reply.startswith("BAD ")  # a tagged NO to SELECT (RFC 9051 section 6.3.2)
