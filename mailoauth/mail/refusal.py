"""Which error a server's refusal becomes: decided by the diagnosis, for IMAP and SMTP alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.errors import (
    MailboxUnavailable,
    MailOAuthError,
    SendingDisabled,
    ServerError,
    Throttled,
    TokenRefused,
)

if TYPE_CHECKING:
    from mailoauth.accounts import Account
    from mailoauth.diagnosis import Diagnosis


def refusal_error(
    reply: str,
    diagnosis: Diagnosis,
    *,
    who: str,
    server: str,
    account: str,
    user: str = "",
    signing_in: bool = False,
) -> MailOAuthError:
    """Return the error for a refusal; the caller raises it.

    ``who`` is the mailbox, or the sender; ``user`` who signed in, if that is another.

    While signing in, a reply that nobody knows counts as a refusal of the token: a
    fresh one is the only cure that is to be had without a person.
    """
    message = f"{server} refused {who} ({one_line(reply)})."
    remedy = remedy_of(diagnosis, user=user or account, mailbox=who)
    if diagnosis.category == "stale_token" or (signing_in and diagnosis.category == "unknown"):
        return TokenRefused(
            message, reply=reply, diagnosis=diagnosis, remedy=remedy, account=account
        )
    if diagnosis.category == "throttled":
        return Throttled.after(
            message,
            diagnosis.retry_after,
            code=diagnosis.code,
            text=reply,
            diagnosis=diagnosis,
            remedy=remedy,
            account=account,
        )
    classes = {
        "mailbox": MailboxUnavailable,
        "sending": SendingDisabled,
        "sender": SendingDisabled,
    }
    kind = classes.get(diagnosis.subject, ServerError)
    return kind(
        message,
        code=diagnosis.code,
        text=reply,
        diagnosis=diagnosis,
        remedy=remedy,
        account=account,
    )


def remedy_of(diagnosis: Diagnosis, *, user: str, mailbox: str) -> str:
    """Say what the reply means and what to do about it, with the account's own values."""
    from mailoauth.refusals import RECONNECT, REFRESH  # noqa: PLC0415 - needed when refused only

    # What mailoauth does by itself it has done by now.
    done = {REFRESH[0], RECONNECT[0]}
    steps = [step for step in diagnosis.steps_for(user=user, mailbox=mailbox) if step not in done]
    return " ".join((diagnosis.meaning, *steps)).strip()


def rights_needed(account: Account, mailbox: str) -> str:
    """Say which right may be missing where a user's token does not open a mailbox; "" for the own."""
    user = account.user
    if user is None or mailbox.casefold() == user.casefold():
        return ""
    text = f"If {mailbox} is not {user}'s own mailbox, {user} needs the right to open it."
    if account.provider.oauth != "microsoft":
        return text
    return (
        f"{text} An administrator gives it: Add-MailboxPermission {mailbox} -User {user} "
        "-AccessRights FullAccess; it takes up to an hour to hold."
    )


def one_line(reply: str) -> str:
    """Return a server's words for a message, without what a terminal would obey."""
    words = " ".join(reply.split())[:500]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
