"""SendReceipt: what became of one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailoauth.diagnosis import Diagnosis
    from mailoauth.errors import MailOAuthError


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """What became of one message.

    ``reply`` is the server's answer to it, with the server's own id in it; ``refused`` has
    the reply for each recipient that was refused while others were accepted. ``time`` is
    when the answer came. ``send_many`` gives ``error`` instead of raising it, and tells by
    ``key`` which message it was. ``saved`` is whether a copy lies in the Sent folder: None
    where the provider sees to that, or nobody asked.
    """

    message_id: str
    reply: str
    accepted: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    error: MailOAuthError | None = None
    key: str = ""
    saved: bool | None = None

    @property
    def diagnoses(self) -> dict[str, Diagnosis]:
        """What each refusal means, and who can do something about it."""
        from mailoauth.diagnosis import diagnose  # noqa: PLC0415 - most mail is accepted

        return {
            address: diagnose(reply, protocol="smtp") for address, reply in self.refused.items()
        }
