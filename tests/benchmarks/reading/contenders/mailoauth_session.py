"""mailoauth, by its public names alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth import Account, Endpoint, MailSession, Provider, StaticToken
from tests.benchmarks.common import memory
from tests.benchmarks.reading.job import SAVED, Done
from tests.benchmarks.reading.plain import plain
from tests.benchmarks.reading.proof import Contents, Readings

if TYPE_CHECKING:
    from mailoauth import Message
    from tests.benchmarks.reading.job import Job


def _session(job: Job) -> MailSession:
    provider = Provider(
        name="benchmark",
        oauth="microsoft",
        authority="https://localhost/common",
        scopes=("https://outlook.office.com/IMAP.AccessAsUser.All",),
        imap=Endpoint("localhost", job.port, "implicit"),
        sasl="xoauth2",
        ca_file=Path(job.ca_file),
    )
    account = Account(user=job.user, provider=provider)
    return MailSession(account, tokens=StaticToken(job.token), timeout=120)


def small(job: Job) -> Done:
    readings = Readings()
    with _session(job) as mail:
        for message in mail.unseen():
            names = [attachment.filename for attachment in message.attachments]
            _add(readings, message, message.text, names)
    return readings.done()


def large(job: Job) -> Done:
    contents = Contents()
    with _session(job) as mail:
        for message in mail.unseen():
            for attachment in message.attachments:
                contents.add(attachment.content)
    return contents.done()


def raw(job: Job) -> Done:
    contents = Contents()
    with _session(job) as mail:
        for message in mail.unseen():
            contents.add(message.raw)
    return contents.done()


def scale(job: Job) -> Done:
    count = 0
    with _session(job) as mail:
        for message in mail.unseen():
            count += message.subject.startswith("Note ")
    return Done(count)


def headers(job: Job) -> Done:
    readings = Readings()
    with _session(job) as mail:
        for message in mail.unseen(headers_only=True):
            _add(readings, message)
    return readings.done()


def append(job: Job) -> Done:
    with _session(job) as mail:
        for number in range(job.count):
            mail.append(plain(number), "INBOX")
    return Done(job.count)


def save(job: Job) -> Done:
    with _session(job) as mail:
        for message in mail.unseen(headers_only=True):
            before = memory.resident()
            mail.save(message, Path(job.folder) / SAVED)
            extra = memory.since(before)
    return Done(1, extra=extra)


def _add(readings: Readings, message: Message, text: str = "", names: Any = ()) -> None:
    assert message.sender is not None
    assert message.date is not None
    readings.add(message.subject, message.sender.address, message.date, text, names)
