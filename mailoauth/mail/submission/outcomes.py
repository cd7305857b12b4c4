"""What is said when a submission ends badly: one function an outcome, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailoauth.diagnosis import diagnose
from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    RecipientsRefused,
    ServerError,
)
from mailoauth.mail.refusal import one_line, refusal_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.errors import MailOAuthError
    from mailoauth.mail.submission.dialogue import Reply

_IN_CLEAR_TEXT = "Nothing was sent in clear text; check the port and the network between."


class Service(NamedTuple):
    """A submission service and who uses it: what every outcome names."""

    host: str
    port: int
    account: str
    user: str

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.host}:{self.port}"


def refused(
    reply: Reply, who: str, service: Service, *, signing_in: bool = False
) -> MailOAuthError:
    """Say that the server said no, to whom, and what cures it."""
    text = str(reply)
    error = refusal_error(
        text,
        diagnose(text, protocol="smtp"),
        who=who,
        user=service.user,
        server=service.host,
        account=service.account,
        signing_in=signing_in,
    )
    if isinstance(error, ServerError):
        error.code, error.text = str(reply.code), reply.text
    return error


def all_refused(
    refused: Mapping[str, str], last: ServerError, service: Service
) -> RecipientsRefused:
    """Say that nobody was accepted; ``refused`` has each reply, ``last`` the last one as an error."""
    listed = "; ".join(f"{address} ({reply})" for address, reply in list(refused.items())[:5])
    return RecipientsRefused.of(
        f"{service.host} refused every recipient, nothing was sent: {listed}.",
        refused,
        code=last.code,
        text=last.text,
        diagnosis=last.diagnosis,
        remedy=last.remedy,
        account=last.account,
    )


def tls_missing(service: Service) -> ConnectionFailed:
    """Say that STARTTLS is not among what the other side offers."""
    return ConnectionFailed(
        f"{service.place} does not offer STARTTLS.", remedy=_IN_CLEAR_TEXT, account=service.account
    )


def tls_refused(reply: str, service: Service) -> ConnectionFailed:
    """Say that STARTTLS was offered and refused."""
    return ConnectionFailed(
        f'{service.place} does not start TLS: "{one_line(reply)}".',
        remedy=_IN_CLEAR_TEXT,
        account=service.account,
    )


def tampered(service: Service) -> ConnectionFailed:
    """Say that more came between the answer to STARTTLS and TLS."""
    return ConnectionFailed(
        f"{service.place} sent more in clear text after agreeing to start TLS.",
        remedy="Somebody may be tampering with the connection; nothing was sent.",
        account=service.account,
    )


def line_ended(command: str, service: Service) -> ConnectionFailed:
    """Say that the other side hung up before the message was handed over."""
    return ConnectionFailed(
        f"{service.place} ended the connection during {command}.",
        remedy="Try again.",
        account=service.account,
    )


def no_answer(command: str, service: Service) -> ConnectionTimedOut:
    """Say that nothing came within the time-out."""
    return ConnectionTimedOut(
        f"{service.place} did not answer {command} in time.",
        remedy="Try again later.",
        account=service.account,
    )


def not_smtp(command: str, service: Service) -> ConnectionFailed:
    """Say that what came is not an SMTP reply."""
    return ConnectionFailed(
        f"{service.place} answered {command} with something that is not SMTP.",
        remedy="Check host and port; a proxy or a virus scanner may be in between.",
        account=service.account,
    )


def delivery_unknown(message_id: str, service: Service) -> DeliveryUnknown:
    """Say that the line was lost between the message and the reply to it."""
    return DeliveryUnknown(
        f"The connection to {service.place} was lost after the message {message_id} was handed "
        "over and before the server answered: it may or may not have been sent.",
        message_id=message_id,
        remedy="Look for it in the Sent folder before sending it again.",
        account=service.account,
    )
