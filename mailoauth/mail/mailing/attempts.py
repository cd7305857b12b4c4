"""One message of many on its way: how it is known, and what an error means for it; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import (
    AuthError,
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    DeliveryUnknown,
    MailboxUnavailable,
    MailOAuthError,
    RecipientsRefused,
    SendingDisabled,
    ServerError,
    StoreError,
    Throttled,
)
from mailoauth.mail.mailing.journal_file import Row
from mailoauth.mail.receipt import SendReceipt
from mailoauth.mail.refusal import one_line

if TYPE_CHECKING:
    from mailoauth.mail.parcel import Parcel

#: The states of a message that is not sent again.
CLOSED: Final = frozenset({"sent", "partly", "refused"})

#: How often one message is tried again after a refusal that passes.
REPETITIONS: Final = 3


class Verdict(Enum):
    """What follows from an error, for this message and for the others."""

    WAIT = auto()  # the server is busy: all wait, then it is sent again
    LOST = auto()  # no connection: all wait, then it is sent again
    LATER = auto()  # passing, this message only: it is sent again, the others go on
    REFUSED = auto()  # for good, this message only
    FAILED = auto()  # this message only; mended, it may be sent another time
    SENDER = auto()  # no message of this sender can be sent
    ACCOUNT = auto()  # no message can be sent
    DAY = auto()  # no more today
    UNKNOWN = auto()  # it may have been sent: never again


@dataclass(slots=True, eq=False, repr=False)  # what is in it is private
class Item:
    """One message taken from the input."""

    message: Any
    position: int
    key: str
    parcel: Parcel | None = None
    message_id: str = ""
    repetitions: int = 0
    due: float | None = None  # when it is to be repeated
    error: MailOAuthError | None = None  # of the last attempt
    noted: bool = False  # the journal says that it is being sent
    begun: bool = False  # its octets may be on their way


def verdict(error: MailOAuthError) -> Verdict:  # noqa: PLR0911 - a table, the first that fits
    """Say what follows from an error of a submission."""
    if isinstance(error, DeliveryUnknown):
        return Verdict.UNKNOWN
    if isinstance(error, Throttled):
        return Verdict.DAY if _is_for_the_day(error) else Verdict.WAIT
    if isinstance(error, ConnectionFailed):
        return Verdict.LOST
    if isinstance(error, AuthError | StoreError | ConcurrentUse):
        return Verdict.ACCOUNT
    if isinstance(error, ConfigError):
        return Verdict.FAILED
    if isinstance(error, RecipientsRefused):
        passing = any(reply.startswith("4") for reply in error.refused.values())
        return Verdict.LATER if passing else Verdict.REFUSED
    if isinstance(error, ServerError):
        return _of_refusal(error)
    return Verdict.FAILED


def _of_refusal(error: ServerError) -> Verdict:
    code = code_of(error)
    diagnosis = error.diagnosis
    subject = diagnosis.subject if diagnosis else ""
    passing = code.startswith("4") or (diagnosis is not None and diagnosis.category == "passing")
    of_the_account = isinstance(error, MailboxUnavailable | SendingDisabled)
    if passing:
        busy = code.startswith("421") or " 4.7." in code or subject in {"session", "mailbox"}
        return Verdict.WAIT if busy or of_the_account else Verdict.LATER
    if of_the_account and subject == "sender":
        return Verdict.SENDER
    if of_the_account or subject == "authentication":
        return Verdict.ACCOUNT
    return Verdict.REFUSED


def _is_for_the_day(error: Throttled) -> bool:
    code = code_of(error)
    if not code:
        return True  # our own count of the day (mail/quota.py); servers say a code
    return code.startswith("5") and told_to_wait(error) is None


def code_of(error: MailOAuthError) -> str:
    """Return the server's code, as "432 4.3.2", or ""."""
    diagnosis = getattr(error, "diagnosis", None)
    return (diagnosis.code if diagnosis else "") or getattr(error, "code", "")


def told_to_wait(error: MailOAuthError) -> float | None:
    """Return the seconds that the server asked for, if it did."""
    told = getattr(error, "retry_after", None)
    if told is None:
        diagnosis = getattr(error, "diagnosis", None)
        told = diagnosis.retry_after if diagnosis else None
    return told


def receipt_of(item: Item, error: MailOAuthError) -> SendReceipt:
    """Return the receipt of a message that was not sent, or perhaps."""
    return SendReceipt(
        message_id=item.message_id,
        reply="",
        accepted=(),
        refused=error.refused if isinstance(error, RecipientsRefused) else {},
        error=error,
        key=item.key,
    )


def row_of(item: Item, state: str, receipt: SendReceipt | None = None) -> Row:
    """Return what the journal is to keep of a message."""
    if receipt is None:
        return Row(item.key, item.position, item.message_id, state)
    said = receipt.reply if receipt.error is None else getattr(receipt.error, "text", "")
    return Row(item.key, item.position, item.message_id, state, one_line(said), receipt.refused)


def given_twice(item: Item, keyed: bool) -> ConfigError:  # noqa: FBT001 - internal
    """Say that a message cannot be told from an earlier one."""
    if keyed:
        return ConfigError(
            f"The key {item.key!r} of message {item.position} was given to an earlier one, too: "
            "this one was not sent.",
            remedy="key= must return a text that no other message has.",
        )
    return ConfigError(
        f"Message {item.position} has the Message-ID {item.key} of an earlier one: it was not sent.",
        remedy="Give each message its own, or none; or tell them apart with key=.",
    )


def not_made(item: Item, cause: Exception) -> ConfigError:
    """Say that making a message raised what nobody foresaw."""
    error = ConfigError(
        f"Message {item.position} ({item.key}) could not be made, because of a "
        f"{type(cause).__name__}. It was not sent.",
        remedy="The error's __cause__ says where. Look at what this message was given.",
    )
    error.__cause__ = cause
    return error


def left_unknown(item: Item, account: str) -> DeliveryUnknown:
    """Say that an earlier run did not learn what became of a message."""
    return DeliveryUnknown(
        f"An earlier run ended, or lost its connection, while message {item.position} "
        f"({item.key}) was on its way: it may or may not have been sent.",
        message_id=item.message_id,
        remedy="Look for it in the Sent folder before sending it again.",
        account=account,
    )
