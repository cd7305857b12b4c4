"""smtplib and EmailMessage: the standard library alone."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from typing import TYPE_CHECKING

from tests.benchmarks.common.job import Done
from tests.benchmarks.sending.contenders.standard_email import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.common.job import Job


@contextlib.contextmanager
def _connected(job: Job, context: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    proof = f"user={job.user}\1auth=Bearer {job.token}\1\1"
    with smtplib.SMTP("localhost", job.port, local_hostname="localhost") as client:
        client.starttls(context=context)
        client.ehlo()
        client.auth("XOAUTH2", lambda challenge=None: "" if challenge else proof)
        yield client


def many(job: Job, *, again: bool = False) -> Done:
    """Send all on one connection, or connect ``again`` for each."""
    context = ssl.create_default_context(cafile=job.ca_file)
    with contextlib.ExitStack() as stack:
        client = None
        for number in range(job.count):
            if client is None or again:
                stack.close()
                client = stack.enter_context(_connected(job, context))
            client.send_message(build(job.user, number))
    return Done(job.count)
