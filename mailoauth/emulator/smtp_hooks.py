"""What the submission server says to senders, recipients and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailoauth.emulator.faults import Cut, Reply, carries_out

if TYPE_CHECKING:
    from mailoauth.emulator.smtp import SmtpSession
    from mailoauth.emulator.smtp_server import SmtpServer


class SmtpHooks:
    """What aiosmtpd asks; the names of the methods are aiosmtpd's."""

    def __init__(self, session: SmtpSession, server: SmtpServer) -> None:
        self._session = session
        self._server = server

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SmtpSession, session: Any, _envelope: Any, host: str, _responses: list[str]
    ) -> list[str]:
        """Say what is offered."""
        personality = self._server.personality
        session.host_name = host
        security = personality.smtp_authentication if session.ssl else "STARTTLS"
        extensions = personality.smtp_extensions.format(security=security).split("/")
        lines = [
            f"{personality.smtp_host} Hello [{session.peer[0]}]",
            f"SIZE {personality.smtp_size}",
            *extensions,
        ]
        return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SmtpSession, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take the sender, if it is the client's to use."""
        signed_in = self._session.signed_in
        if signed_in is None or not self._server.directory.may_send_as(signed_in, address):
            return self._server.post.sender_refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _smtp: SmtpSession, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take a recipient, unless a test or a limit is against it."""
        refusal = self._server.faults.recipient_refusal(address)
        if refusal is not None:
            return refusal
        refusal = self._server.limits.recipient(len(envelope.rcpt_tos))
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, _smtp: SmtpSession, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take the message, unless a test or a limit is against it."""
        session = self._session
        session.record.commands.append(".")
        action = self._server.faults.action("smtp", ".")
        if isinstance(action, Reply) and not action.text.startswith("421"):
            return action.text
        if session.signed_in is None or not carries_out(action):
            await session.act(action or Cut())
        assert session.signed_in is not None  # noqa: S101 - MAIL was refused otherwise
        session.ending = action
        refusal = self._server.limits.message(session.signed_in.mailbox)
        return refusal or self._server.post.take(session.signed_in, envelope)
