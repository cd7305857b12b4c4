"""What is said when a submission ends badly: one function an outcome, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    RecipientsRefused,
)
from mailoauth.mail.refusal import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.errors import ServerError

_IN_CLEAR_TEXT = "Nothing was sent in clear text; check the port and the network between."


def all_refused(refused: Mapping[str, str], last: ServerError, server: str) -> RecipientsRefused:
    """Say that nobody was accepted; ``refused`` has each reply, ``last`` the last one as an error."""
    listed = "; ".join(f"{address} ({reply})" for address, reply in list(refused.items())[:5])
    return RecipientsRefused.of(
        f"{server} refused every recipient, nothing was sent: {listed}.",
        refused,
        code=last.code,
        text=last.text,
        diagnosis=last.diagnosis,
        remedy=last.remedy,
        account=last.account,
    )


def tls_missing(place: str, account: str) -> ConnectionFailed:
    """Say that STARTTLS is not among what the other side offers."""
    return ConnectionFailed(
        f"{place} does not offer STARTTLS.", remedy=_IN_CLEAR_TEXT, account=account
    )


def tls_refused(reply: str, place: str, account: str) -> ConnectionFailed:
    """Say that STARTTLS was offered and refused."""
    return ConnectionFailed(
        f'{place} does not start TLS: "{one_line(reply)}".', remedy=_IN_CLEAR_TEXT, account=account
    )


def tampered(place: str, account: str) -> ConnectionFailed:
    """Say that more came between the answer to STARTTLS and TLS."""
    return ConnectionFailed(
        f"{place} sent more in clear text after agreeing to start TLS.",
        remedy="Somebody may be tampering with the connection; nothing was sent.",
        account=account,
    )


def line_ended(command: str, place: str, account: str) -> ConnectionFailed:
    """Say that the other side hung up before the message was handed over."""
    return ConnectionFailed(
        f"{place} ended the connection during {command}.", remedy="Try again.", account=account
    )


def no_answer(command: str, place: str, account: str) -> ConnectionTimedOut:
    """Say that nothing came within the time-out."""
    return ConnectionTimedOut(
        f"{place} did not answer {command} in time.", remedy="Try again later.", account=account
    )


def not_smtp(command: str, place: str, account: str) -> ConnectionFailed:
    """Say that what came is not an SMTP reply."""
    return ConnectionFailed(
        f"{place} answered {command} with something that is not SMTP.",
        remedy="Check host and port; a proxy or a virus scanner may be in between.",
        account=account,
    )


def delivery_unknown(message_id: str, place: str, account: str) -> DeliveryUnknown:
    """Say that the line was lost between the message and the reply to it."""
    return DeliveryUnknown(
        f"The connection to {place} was lost after the message {message_id} was handed "
        "over and before the server answered: it may or may not have been sent.",
        message_id=message_id,
        remedy="Look for it in the Sent folder before sending it again.",
        account=account,
    )
