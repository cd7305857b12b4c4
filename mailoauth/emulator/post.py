"""What becomes of a message that SMTP took: delivered, kept in Sent, written down."""

from __future__ import annotations

import secrets
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from mailoauth.emulator.personality import HOST
from mailoauth.emulator.records import SentMessage

if TYPE_CHECKING:
    from mailoauth.emulator.mailstore import Mailstore
    from mailoauth.emulator.personality import Personality
    from mailoauth.emulator.signin import Directory, SignedIn


class PostOffice:
    """Delivers messages.

    ``sent`` has every message that was taken, ``outbox`` what of it went to people
    who have no mailbox here.
    """

    #: What Exchange says at MAIL to a sender who is not the client's to use.
    sender_refusal = (
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender "
        f"[Hostname={HOST}]"
    )
    _author_refusal = (
        "554 5.2.0 STOREDRV.Submission.Exception:"
        "SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a "
        f"permanent exception [Hostname={HOST}]"
    )

    def __init__(self, personality: Personality, directory: Directory, store: Mailstore) -> None:
        self.sent: list[SentMessage] = []
        self.outbox: list[SentMessage] = []
        self._personality = personality
        self._directory = directory
        self._store = store

    def take(self, signed_in: SignedIn, envelope: Any) -> str:
        """Deliver a message and return the reply."""
        raw: bytes = envelope.content
        if not self._may_be_author(signed_in, raw):
            return self._author_refusal
        recipients = tuple(dict.fromkeys(envelope.rcpt_tos))
        strangers = []
        for recipient in recipients:
            mailbox = self._directory.mailbox(recipient)
            if mailbox is None:
                strangers.append(recipient)
            else:
                self._store.deliver(mailbox, raw)
        # Exchange keeps the copy with who signed in, also when sending for others.
        self._store.deliver(signed_in.mailbox, raw, self._personality.sent_folder, seen=True)
        sender, user = envelope.mail_from, signed_in.mailbox
        self.sent.append(SentMessage(sender, recipients, raw, user))
        if strangers:
            self.outbox.append(SentMessage(sender, tuple(strangers), raw, user))
        return self._personality.smtp_accepted.format(id=secrets.token_hex(8).upper())

    def _may_be_author(self, signed_in: SignedIn, raw: bytes) -> bool:
        headers = BytesHeaderParser(policy=compat32).parsebytes(raw)
        authors = getaddresses([str(value) for value in headers.get_all("From", [])])
        return all(
            self._directory.may_send_as(signed_in, address) for _, address in authors if address
        )
