"""The mail that is read: generated, well formed, and the same in every run."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# fmt: off
_WORDS = (
    "account", "agenda", "answer", "board", "budget", "café", "contract", "deadline",
    "delivery", "façade", "invoice", "letter", "Märchen", "meeting", "minutes", "naïve", "note",
    "offer", "order", "paper", "plan", "price", "question", "reminder", "report", "request",
    "résumé", "review", "schedule", "Straße", "summary", "ticket", "travel", "update", "venue",
    "week", "über",
)
# fmt: on
_SENDERS = ("Bob Brown", "Brown, Bob", "Zoë Müller", "Søren Ærø", "", "O'Neill (Ops)")
_NAMES = ("report.pdf", "summary of week.txt", "Übersicht.csv", "plan (2).docx", "figures.xlsx")
_CHARSETS = (
    ("utf-8", "quoted-printable"),
    ("utf-8", "base64"),
    ("iso-8859-1", "quoted-printable"),
    ("utf-8", "8bit"),
)


def small(count: int) -> Iterator[bytes]:
    """Give letters of about 3.7 kB: text, HTML and one small attachment with a name."""
    chance = random.Random("small letters")
    for number in range(count):
        message = _headers(number, chance)
        charset, encoding = _CHARSETS[number % len(_CHARSETS)]
        message.set_content(_paragraphs(chance, 700), charset=charset, cte=encoding)
        html = f"<html><body><p>{_paragraphs(chance, 950)}</p></body></html>"
        message.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
        _attach(message, chance.randbytes(400), _NAMES[number % len(_NAMES)])
        yield message.as_bytes(policy=SMTP)


def large(count: int, size: int) -> Iterator[bytes]:
    """Give letters with one attachment of ``size`` random bytes each."""
    chance = random.Random("large letters")
    for number in range(count):
        message = _headers(number, chance)
        message.set_content(_paragraphs(chance, 300))
        _attach(message, chance.randbytes(size), f"part {number}.bin")
        yield message.as_bytes(policy=SMTP)


def _headers(number: int, chance: random.Random) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    person = f"person{number % 61}"
    message["Received"] = (
        f"from mx{number % 7}.example.org by mx.example.com with ESMTPS id {number:x}"
    )
    name = _SENDERS[number % len(_SENDERS)]
    message["From"] = Address(name, person, "example.org")
    message["To"] = Address("Ada Lovelace", "ada", "example.com")
    message["Subject"] = _sentence(chance, 3 + number % 9)
    message["Date"] = datetime(2026, 1, 5, 8, tzinfo=UTC) + timedelta(minutes=7 * number)
    message["Message-ID"] = f"<{number}.{chance.getrandbits(64):x}@example.org>"
    return message


def _attach(message: EmailMessage, content: bytes, name: str) -> None:
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)


def _paragraphs(chance: random.Random, size: int) -> str:
    text = ""
    while len(text) < size:
        text += _sentence(chance, 9) + ".\n"
    return text


def _sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(_WORDS) for _ in range(words)).capitalize()
