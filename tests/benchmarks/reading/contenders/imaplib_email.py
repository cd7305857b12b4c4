"""imaplib and the email package: the standard library alone."""

from __future__ import annotations

import contextlib
import imaplib
import ssl
from typing import TYPE_CHECKING

from tests.benchmarks.reading.contenders import standard_email
from tests.benchmarks.reading.proof import Contents, Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.reading.job import Done, Job


@contextlib.contextmanager
def _connected(job: Job) -> Iterator[imaplib.IMAP4_SSL]:
    context = ssl.create_default_context(cafile=job.ca_file)
    proof = f"user={job.user}\1auth=Bearer {job.token}\1\1".encode()
    with imaplib.IMAP4_SSL("localhost", job.port, ssl_context=context) as client:
        client.authenticate("XOAUTH2", lambda _: proof)
        client.select("INBOX")
        yield client


def _fetched(client: imaplib.IMAP4_SSL, batch: int) -> Iterator[bytes]:
    _, (found,) = client.uid("SEARCH", "UNSEEN")
    uids = found.split()
    for start in range(0, len(uids), batch):
        chosen = b",".join(uids[start : start + batch]).decode()
        _, answer = client.uid("FETCH", chosen, "(BODY.PEEK[])")
        for item in answer:
            if isinstance(item, tuple):
                yield item[1]


def small(job: Job) -> Done:
    readings = Readings()
    with _connected(job) as client:
        for message in _fetched(client, 100):
            standard_email.read(message, readings, modern=False)
    return readings.done()


def large(job: Job) -> Done:
    contents = Contents()
    with _connected(job) as client:
        for message in _fetched(client, 4):
            standard_email.read_attachments(message, contents, modern=False)
    return contents.done()


def raw(job: Job) -> Done:
    contents = Contents()
    with _connected(job) as client:
        for message in _fetched(client, 100):
            contents.add(message)
    return contents.done()
