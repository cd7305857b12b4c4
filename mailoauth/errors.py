"""The exception tree: one class a remedy.

::

    MailOAuthError                        .remedy, .account
      ConfigError(ValueError)             nothing was sent: fix the account or the arguments
      StoreError                          no key, locked, wrong key, damaged or newer record
      ConcurrentUse(RuntimeError)         one session, two threads (or used after a fork)
      AuthError
        SignInRequired                    a person must run `mailoauth login`
        SignInFailed                      a sign-in did not end well; .reason
        TokenRefused                      a fresh token was refused too; .reply .detail .diagnosis
      ConnectionFailed(ConnectionError)   network or TLS; the same call may work later
        ConnectionTimedOut(TimeoutError)
      ServerError                         .code .text .diagnosis
        MailboxUnavailable                signed in, but the mailbox cannot be used
        FolderNotFound
        SendingDisabled                   SMTP AUTH is off, SendAs denied, account blocked
        RecipientsRefused                 all of them; nothing was sent; .refused
        Throttled                         .retry_after seconds
      OutcomeUnknown                      lost while something that must not be repeated was under way
        DeliveryUnknown                   .message_id

Where a class of the standard library means the same, ours inherits it, so that
callers who already catch ``ConnectionError`` or ``TimeoutError`` catch ours too.
All of them pickle: worker pools and task queues send exceptions between processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.diagnosis import Diagnosis

SignInFailure = Literal[
    "denied", "consent", "state_mismatch", "code_used", "expired", "wrong_user", "other"
]


class MailOAuthError(Exception):
    """Anything that mailoauth reports on purpose.

    ``str()`` gives what happened followed by the remedy; :attr:`remedy` has the
    latter alone, :attr:`account` the name of the account where one is concerned.
    """

    def __init__(self, message: str, *, remedy: str = "", account: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.account = account

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ calls the class with positional arguments
        # only, which our keyword-only parameters would refuse.
        return _revive, (type(self), self.message), self.__dict__


def _revive(cls: type[MailOAuthError], message: str) -> MailOAuthError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    return error


class ConfigError(MailOAuthError, ValueError):
    """Nothing was sent: the account, the accounts file or the arguments must be mended."""


class StoreError(MailOAuthError):
    """The sealed records cannot be opened or kept: no key, wrong key, damaged or newer record."""


class ConcurrentUse(MailOAuthError, RuntimeError):
    """One session was used from two threads, or after a fork."""


class AuthError(MailOAuthError):
    """The account is not signed in, or its token is not accepted."""


class SignInRequired(AuthError):
    """Only a person can help: the refresh token is missing, expired or revoked."""


class SignInFailed(AuthError):
    """A sign-in did not end well; :attr:`reason` says how."""

    def __init__(
        self,
        message: str,
        *,
        reason: SignInFailure = "other",
        remedy: str = "",
        account: str | None = None,
        diagnosis: Diagnosis | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, account=account)
        self.reason: SignInFailure = reason
        self.diagnosis = diagnosis


class TokenRefused(AuthError):
    """A token was refused and a fresh one would not help, or was refused too.

    :attr:`reply` is the server's line, :attr:`detail` the decoded error challenge
    (RFC 7628 section 3.2.2) where the server sent one.
    """

    def __init__(
        self,
        message: str,
        *,
        reply: str = "",
        detail: Mapping[str, str] | None = None,
        diagnosis: Diagnosis | None = None,
        remedy: str = "",
        account: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, account=account)
        self.reply = reply
        self.detail = dict(detail or {})
        self.diagnosis = diagnosis


class ConnectionFailed(MailOAuthError, ConnectionError):
    """The network, TLS or the other side failed; the same call may work later."""


class ConnectionTimedOut(ConnectionFailed, TimeoutError):
    """Nothing came in time."""


class ServerError(MailOAuthError):
    """The server said no, and not because of the token."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        text: str = "",
        diagnosis: Diagnosis | None = None,
        remedy: str = "",
        account: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, account=account)
        self.code = code
        self.text = text
        self.diagnosis = diagnosis


class MailboxUnavailable(ServerError):
    """The sign-in succeeded, but the mailbox cannot be used: IMAP off, no licence, no right."""


class FolderNotFound(ServerError):
    """The mailbox has no such folder."""


class SendingDisabled(ServerError):
    """Submission is off for the account, the sender is not allowed, or the account is blocked."""


class RecipientsRefused(ServerError):
    """Every recipient was refused and nothing was sent; :attr:`refused` has each reply."""

    refused: dict[str, str]

    @classmethod
    def of(cls, message: str, refused: Mapping[str, str], **details: Any) -> Self:
        """Build one from the refused recipients and the server's reply to each."""
        error = cls(message, **details)
        error.refused = dict(refused)
        return error


class Throttled(ServerError):
    """The server asks to wait; :attr:`retry_after` is in seconds, None if it did not say."""

    retry_after: float | None = None

    @classmethod
    def after(cls, message: str, retry_after: float | None, **details: Any) -> Self:
        """Build one that knows how many seconds to wait."""
        error = cls(message, **details)
        error.retry_after = retry_after
        return error


class OutcomeUnknown(MailOAuthError):
    """The line was lost while something that must not be repeated was under way."""


class DeliveryUnknown(OutcomeUnknown):
    """The line was lost between the message and the reply to it; do not send it again blindly.

    :attr:`message_id` is what to look for in the Sent folder.
    """

    def __init__(
        self, message: str, *, message_id: str = "", remedy: str = "", account: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, account=account)
        self.message_id = message_id
