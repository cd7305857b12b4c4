"""mailoauth, by its public names alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth import Account, AsyncMailer, Endpoint, Provider, StaticToken
from tests.benchmarks.common import memory
from tests.benchmarks.common.job import Done
from tests.benchmarks.sending.letters import SINK, html, subject, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from tests.benchmarks.common.job import Job

#: After how many messages the peak memory is noted.
_MARKS = (1_000, 10_000, 100_000)


def many(job: Job, *, connections: int) -> Done:
    return asyncio.run(_send_all(job, connections, "starttls"))


def memory_of(job: Job, *, connections: int) -> Done:
    """Send from a generator to the sink, which speaks TLS from the first byte."""
    return asyncio.run(_send_all(job, connections, "implicit"))


async def _send_all(job: Job, connections: int, tls: Literal["starttls", "implicit"]) -> Done:
    sent = 0
    peaks = []
    tokens = StaticToken(job.token)
    async with AsyncMailer(_account(job, connections, tls), tokens=tokens) as mailer:
        async for receipt in mailer.send_many(_letters(job.count), connections=connections):
            if receipt.error is not None:
                raise receipt.error
            sent += 1
            if sent in _MARKS:
                peaks.append(f"{sent:,}: {(memory.peak() or 0) / 1024:.1f} MiB")
    return Done(sent, note=", ".join(peaks))


def _letters(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "to": SINK,
            "subject": subject(number),
            "text": text(number),
            "html": html(number),
        }


def _account(job: Job, connections: int, tls: Literal["starttls", "implicit"]) -> Account:
    provider = Provider(
        name="benchmark",
        oauth="microsoft",
        authority="https://localhost/common",
        scopes=("https://outlook.office.com/SMTP.Send",),
        smtp=Endpoint("localhost", job.port, tls),
        sasl="xoauth2",
        ca_file=Path(job.ca_file),
        max_connections=connections,
    )
    return Account(user=job.user, provider=provider)
