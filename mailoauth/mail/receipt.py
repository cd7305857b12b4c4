"""SendReceipt: what became of one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.errors import MailOAuthError


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What became of one message.

    ``reply`` is the server's answer to it, ``refused`` has the reply for each recipient
    that was refused while others were accepted. ``time`` is when the answer came.
    """

    message_id: str
    reply: str
    accepted: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    error: MailOAuthError | None = None
