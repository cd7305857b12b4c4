"""imap_tools: one command a message by default, one command for all with ``bulk``."""

from __future__ import annotations

import contextlib
import ssl
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.benchmarks.reading.proof import Contents, Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.reading.job import Done, Job

# Not by name: it may be missing where types are checked.
imap_tools: Any = import_module("imap_tools")


@contextlib.contextmanager
def _connected(job: Job) -> Iterator[Any]:
    context = ssl.create_default_context(cafile=job.ca_file)
    mailbox = imap_tools.MailBox("localhost", job.port, ssl_context=context)
    with mailbox.xoauth2(job.user, job.token):
        yield mailbox


def small(job: Job, *, bulk: bool = False) -> Done:
    readings = Readings()
    with _connected(job) as mailbox:
        for message in mailbox.fetch("UNSEEN", mark_seen=False, bulk=bulk):
            names = [attachment.filename for attachment in message.attachments]
            readings.add(message.subject, message.from_, message.date, message.text, names)
    return readings.done()


def large(job: Job, *, bulk: bool = False) -> Done:
    contents = Contents()
    with _connected(job) as mailbox:
        for message in mailbox.fetch("UNSEEN", mark_seen=False, bulk=bulk):
            for attachment in message.attachments:
                contents.add(attachment.payload)
    return contents.done()


def headers(job: Job, *, bulk: bool = False) -> Done:
    readings = Readings()
    with _connected(job) as mailbox:
        for message in mailbox.fetch("UNSEEN", mark_seen=False, headers_only=True, bulk=bulk):
            readings.add(message.subject, message.from_, message.date)
    return readings.done()
