"""imapclient, with the email package where mail is read; batches of 100 letters, or 4 big ones."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import imapclient

from tests.benchmarks.common import memory
from tests.benchmarks.reading.contenders import standard_email
from tests.benchmarks.reading.job import SAVED, Done
from tests.benchmarks.reading.plain import plain
from tests.benchmarks.reading.proof import Contents, Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.reading.job import Job


@contextlib.contextmanager
def _connected(job: Job) -> Iterator[imapclient.IMAPClient]:
    context = ssl.create_default_context(cafile=job.ca_file)
    with imapclient.IMAPClient("localhost", job.port, ssl_context=context) as client:
        client.oauth2_login(job.user, job.token)
        client.select_folder("INBOX")
        yield client


def _fetched(client: imapclient.IMAPClient, batch: int, section: bytes = b"") -> Iterator[bytes]:
    uids = client.search("UNSEEN")
    for start in range(0, len(uids), batch):
        chosen = uids[start : start + batch]
        answer = client.fetch(chosen, [b"BODY.PEEK[%s]" % section])
        for uid in chosen:
            yield answer[uid][b"BODY[%s]" % section]


def small(job: Job, *, modern: bool = False) -> Done:
    readings = Readings()
    with _connected(job) as client:
        for message in _fetched(client, 100):
            standard_email.read(message, readings, modern=modern)
    return readings.done()


def large(job: Job, *, modern: bool = False) -> Done:
    contents = Contents()
    with _connected(job) as client:
        for message in _fetched(client, 4):
            standard_email.read_attachments(message, contents, modern=modern)
    return contents.done()


def raw(job: Job) -> Done:
    contents = Contents()
    with _connected(job) as client:
        for message in _fetched(client, 100):
            contents.add(message)
    return contents.done()


def headers(job: Job) -> Done:
    readings = Readings()
    with _connected(job) as client:
        for message in _fetched(client, 100, b"HEADER"):
            standard_email.read_headers(message, readings)
    return readings.done()


def append(job: Job, *, no_delay: bool = False) -> Done:
    with _connected(job) as client:
        if no_delay:
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(job.count):
            client.append("INBOX", plain(number))
    return Done(job.count)


def save(job: Job) -> Done:
    with _connected(job) as client:
        client.search("UNSEEN")
        before = memory.resident()
        for message in _fetched(client, 1):
            (Path(job.folder) / SAVED).write_bytes(message)
        extra = memory.since(before)
    return Done(1, extra=extra)
