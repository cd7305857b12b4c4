"""aioimaplib and the email package."""

from __future__ import annotations

import asyncio
import ssl
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.benchmarks.reading.contenders import standard_email
from tests.benchmarks.reading.proof import Contents, Readings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.benchmarks.reading.job import Done, Job

# Not by name: it may be missing where types are checked.
aioimaplib: Any = import_module("aioimaplib")


async def _fetched(job: Job, batch: int) -> AsyncIterator[bytes]:
    context = ssl.create_default_context(cafile=job.ca_file)
    client = aioimaplib.IMAP4_SSL("localhost", job.port, timeout=240, ssl_context=context)
    await client.wait_hello_from_server()
    assert (await client.xoauth2(job.user, job.token)).result == "OK"
    await client.select("INBOX")
    uids = (await client.uid_search("UNSEEN")).lines[0].decode().split()
    for start in range(0, len(uids), batch):
        chosen = ",".join(uids[start : start + batch])
        answer = await client.uid("fetch", chosen, "(BODY.PEEK[])")
        for line in answer.lines:
            if isinstance(line, bytearray):  # its lines are bytes
                yield bytes(line)
    await client.logout()


async def _small(job: Job) -> Done:
    readings = Readings()
    async for message in _fetched(job, 100):
        standard_email.read(message, readings, modern=False)
    return readings.done()


async def _large(job: Job) -> Done:
    contents = Contents()
    async for message in _fetched(job, 4):
        standard_email.read_attachments(message, contents, modern=False)
    return contents.done()


def small(job: Job) -> Done:
    return asyncio.run(_small(job))


def large(job: Job) -> Done:
    return asyncio.run(_large(job))
