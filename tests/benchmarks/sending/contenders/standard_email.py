"""A letter as the standard library builds it: what smtplib and aiosmtplib users write."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from tests.benchmarks.sending.letters import SINK, html, subject, text


def build(sender: str, number: int) -> EmailMessage:
    """Build one letter."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = SINK
    message["Subject"] = subject(number)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="example.com")
    message.set_content(text(number))
    message.add_alternative(html(number), subtype="html")
    return message
