"""The Sent folder: whether a message lies there, and a copy put there, never a second."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError, MailOAuthError, OutcomeUnknown
from mailoauth.mail.async_mailbox import AsyncMailbox
from mailoauth.mail.dispatch import was_sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mailoauth.accounts import Account
    from mailoauth.errors import DeliveryUnknown
    from mailoauth.mail.criteria import Criteria
    from mailoauth.mail.message import Message
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.tokens.token import TokenSource

_logger = logging.getLogger("mailoauth.mail")

#: Where the id of a message stands. Outlook.com gives what it sends an id of its own and
#: keeps the sender's in the second; Gmail does so with ids that it finds malformed.
_FIELDS: Final = (
    "Message-ID",
    "X-Microsoft-Original-Message-ID",
    "X-Google-Original-Message-ID",
)
#: How many of the newest messages are looked at where SEARCH finds nothing, and how new;
#: in days, which are not the same everywhere.
_NEWEST: Final = 30
_RECENT: Final = timedelta(days=2)
#: Seconds for which a copy is looked for whose APPEND has no known outcome.
_AFTER_A_LOSS: Final = 3.0


async def is_in_sent(
    mailbox: AsyncMailbox,
    message_id: str,
    *,
    wait: float,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> bool:
    """Say whether a message lies in the Sent folder; False once ``wait`` seconds are over.

    It is looked for again after pauses that grow. Raises as the verbs of a mailbox do,
    ``FolderNotFound`` where there is no Sent folder.
    """
    if await _lies_there(mailbox, message_id):
        return True
    for seconds in pauses(wait):
        await pause(seconds)
        if await _lies_there(mailbox, message_id):
            return True
    return False


def pauses(wait: float) -> Iterator[float]:
    """Yield the seconds between two looks: 1, 2, 4 and so on, ``wait`` in all."""
    seconds = 1.0
    while wait > 0:
        yield min(seconds, wait)
        wait -= seconds
        seconds *= 2


async def save_copy(mailbox: AsyncMailbox, data: bytes, message_id: str) -> bool:
    """Put a copy into the Sent folder, seen, unless it is there; True if it lies there now.

    It is appended once at most: where the line was lost meanwhile the folder is looked
    at again. Raises ``FolderNotFound`` where there is no Sent folder.
    """
    if await _lies_there(mailbox, message_id):
        return True
    try:
        await mailbox.append(data, await mailbox.special("sent"), flags=["\\Seen"])
    except OutcomeUnknown:
        return await is_in_sent(mailbox, message_id, wait=_AFTER_A_LOSS)
    return True


async def with_copy(
    receipt: SendReceipt, data: bytes, account: Account, address: str, tokens: TokenSource
) -> SendReceipt:
    """Save a copy of a message that was sent, and say in its receipt whether it lies there.

    Raises nothing of ours: the message was sent. Cancelled, it says so in the ``__cause__``.
    """
    try:
        async with AsyncMailbox(account, mailbox=address, tokens=tokens) as mailbox:
            saved = await save_copy(mailbox, data, receipt.message_id)
    except asyncio.CancelledError as error:
        raise error from was_sent(receipt)
    except MailOAuthError as error:
        _logger.warning("%s: no copy of a message was put into Sent: %s", address, error)
        saved = False
    return replace(receipt, saved=saved)


async def settle(
    account: Account, address: str, tokens: TokenSource, unknown: DeliveryUnknown, *, wait: float
) -> bool:
    """Say whether a message of unknown outcome was sent; see ``AsyncMailer.settle``."""
    _check_settling(account, unknown)
    # Exchange keeps the copy with who signed in, also when it was sent from a shared mailbox.
    owner = account.user or address
    async with AsyncMailbox(account, mailbox=owner, tokens=tokens) as mailbox:
        return await is_in_sent(mailbox, unknown.message_id, wait=wait)


def _check_settling(account: Account, unknown: DeliveryUnknown) -> None:
    provider = account.provider
    nobody_knows = "Ask who should have got it, before sending it again"
    if not getattr(unknown, "message_id", ""):
        raise ConfigError(
            "The error names no message, so none can be looked for.",
            remedy="Give the DeliveryUnknown that was raised.",
            account=account.name,
        )
    if not provider.saves_sent:
        raise ConfigError(
            f"{provider.name} is not known to keep copies of what is sent, so its Sent folder "
            f"does not tell whether {unknown.message_id} was sent.",
            remedy=f"{nobody_knows}; if it does keep them, say saves_sent = true in the provider.",
            account=account.name,
        )
    if provider.imap is None:
        raise ConfigError(
            f"The provider {provider.name} has no imap server, and only that shows whether "
            f"{unknown.message_id} lies in the Sent folder.",
            remedy=f"Name it in the provider: imap = {{ host, port, tls }}. {nobody_knows}.",
            account=account.name,
        )


async def _lies_there(mailbox: AsyncMailbox, message_id: str) -> bool:
    folder = await mailbox.special("sent")
    anywhere: list[Criteria] = [{"header": {name: message_id}} for name in _FIELDS]
    if await _is_among(mailbox, message_id, folder, {"any_of": anywhere}):
        return True
    # Of messages that came just now an index may not know yet, nor of rare headers ever.
    recent: Criteria = {"since": datetime.now(UTC).date() - _RECENT}
    return await _is_among(mailbox, message_id, folder, recent, limit=_NEWEST)


async def _is_among(
    mailbox: AsyncMailbox,
    message_id: str,
    folder: str,
    wanted: Criteria,
    *,
    limit: int | None = None,
) -> bool:
    found = mailbox.search(
        folder=folder, headers_only=True, newest_first=True, limit=limit, **wanted
    )
    try:
        async for message in found:
            if message_id in _ids(message):  # SEARCH also finds what it is a part of
                return True
    finally:
        await found.aclose()
    return False


def _ids(message: Message) -> set[str]:
    return {value.strip() for name in _FIELDS for value in message.headers.get_all(name)}
