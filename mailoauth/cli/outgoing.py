"""What `send` and `mailoauth-sendmail` do with a message: make it ready, show it, hand it over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen
from mailoauth.cli.stopping import Terminated
from mailoauth.errors import DeliveryUnknown, ServerError, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message as StandardMessage

    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.mailer import Mailer

_FOUND: Final = "found in the Sent folder"


class NotSent(Throttled):
    """It is known that nothing was sent: exit code 7, and `--retry-for` sends it again."""


def made_ready(
    message: StandardMessage | bytes,
    address: str,
    *,
    rewrite_from: bool = False,
    recipients: Iterable[str] | None = None,
    envelope_sender: str | None = None,
) -> Parcel:
    """Return a message of the mailbox ``address`` with its envelope; its Bcc stays in it.

    With ``rewrite_from`` the mailbox becomes its author. Raises ``ConfigError``.
    """
    from mailoauth.cli import rewriting  # noqa: PLC0415 - only when it runs
    from mailoauth.mail.parcel import pack  # noqa: PLC0415 - as above
    from mailoauth.mail.writing.serial import serialize  # noqa: PLC0415 - as above

    raw = serialize(message, keep_bcc=True)
    if rewrite_from:
        raw = rewriting.with_account_as_author(raw, address)
    return pack(
        raw,
        address=address,
        recipients=recipients,
        envelope_sender=envelope_sender,
        keep_bcc=True,
    )


def show(parcel: Parcel) -> None:
    """Print a message as it would go over the line, and its envelope on stderr."""
    from mailoauth.mail.writing.serial import serialize  # noqa: PLC0415 - only when it runs

    data = serialize(parcel.data)
    screen.say(
        f"Not sent (dry run): {len(data)} octets from {screen.one_line(parcel.sender)} to "
        f"{screen.one_line(', '.join(parcel.recipients))}\n"
    )
    _put_octets(data)


def hand_over(
    mailer: Mailer, parcel: Parcel, *, save_sent: bool = False, settle: float | None = None
) -> SendReceipt:
    """Send it; for ``settle`` seconds after a lost line it is looked for in the Sent folder."""
    try:
        return mailer.send(
            parcel.data,
            recipients=parcel.recipients,
            envelope_sender=parcel.sender,
            save_sent=save_sent,
        )
    except ServerError as error:
        _tell_author(error, parcel, mailer.address)
        raise
    except DeliveryUnknown as unknown:
        if settle is None:
            raise
        return _settled(mailer, parcel, unknown, settle)
    except (KeyboardInterrupt, Terminated):
        _may_have_gone_out()
        raise


def _tell_author(error: ServerError, parcel: Parcel, own: str) -> None:
    """Let a refusal of the author name it, and the option that changes it."""
    from mailoauth.cli import rewriting  # noqa: PLC0415 - only when it is needed

    if error.diagnosis is None or error.diagnosis.subject != "sender":
        return
    authors = ", ".join(each.address for each in rewriting.addresses(parcel.data, "from"))
    if authors.casefold() != own.casefold():
        error.message += f" The message is from {authors}."
        error.remedy = (
            f"With --rewrite-from the mail goes out from {own}, and answers go to {authors}. "
            f"{error.remedy}"
        ).rstrip()


def _settled(
    mailer: Mailer, parcel: Parcel, unknown: DeliveryUnknown, seconds: float
) -> SendReceipt:
    from mailoauth.mail.receipt import SendReceipt  # noqa: PLC0415 - only when it runs

    screen.talk(f"{unknown.message} Looking in the Sent folder.")
    try:
        was_sent = mailer.settle(unknown, wait=seconds)
    except (KeyboardInterrupt, Terminated):
        _may_have_gone_out()
        raise
    if was_sent:
        return SendReceipt(
            message_id=parcel.message_id, reply=_FOUND, accepted=tuple(parcel.recipients)
        )
    raise NotSent(
        "The connection was lost while the message was handed over, and for "
        f"{seconds:g} seconds it did not come into the Sent folder: it was not sent.",
        remedy="Send it again, or let --retry-for 10m do that.",
        account=unknown.account,
    ) from unknown


def _may_have_gone_out() -> None:
    screen.warn(
        "mailoauth: interrupted while the message was being sent. It may have gone out: look "
        "in the Sent folder before you send it again."
    )


def _put_octets(data: bytes) -> None:
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or screen.is_terminal(sys.stdout):
        screen.put(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").rstrip("\n"))
        return
    screen.flush()
    try:
        buffer.write(data)
        buffer.flush()
    except BrokenPipeError as exc:
        raise screen.ReaderGone from exc
    except OSError as exc:
        raise screen.Unwritable(exc.strerror or str(exc)) from exc
