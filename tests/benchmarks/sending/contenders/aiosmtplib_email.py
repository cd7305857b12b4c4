"""aiosmtplib and EmailMessage, on one connection or several."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiosmtplib

from tests.benchmarks.common.job import Done
from tests.benchmarks.sending.contenders.standard_email import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.common.job import Job


async def _send(job: Job, numbers: Iterator[int], context: ssl.SSLContext) -> int:
    client = aiosmtplib.SMTP(
        hostname="localhost",
        port=job.port,
        start_tls=True,
        tls_context=context,
        local_hostname="localhost",
    )
    count = 0
    async with client:
        await client.auth_xoauth2(job.user, job.token)
        for number in numbers:
            await client.send_message(build(job.user, number))
            count += 1
    return count


async def _send_all(job: Job, connections: int) -> int:
    context = ssl.create_default_context(cafile=job.ca_file)
    numbers = iter(range(job.count))
    return sum(await asyncio.gather(*(_send(job, numbers, context) for _ in range(connections))))


def many(job: Job, *, connections: int) -> Done:
    return Done(asyncio.run(_send_all(job, connections)))
