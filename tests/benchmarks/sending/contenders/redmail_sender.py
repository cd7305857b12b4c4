"""redmail on one connection, with a sign-in by token, which it does not have itself.

It gives STARTTLS no context: in Python 3.11 no certificate is verified, which is cheaper.
"""

from __future__ import annotations

import smtplib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.benchmarks.common.job import Done
from tests.benchmarks.sending.letters import SINK, html, subject, text

if TYPE_CHECKING:
    from tests.benchmarks.common.job import Job


class _ByToken(smtplib.SMTP):
    def login(self, user: str, password: str, **_: Any) -> tuple[int, bytes]:
        proof = f"user={user}\1auth=Bearer {password}\1\1"
        self.ehlo()
        return self.auth("XOAUTH2", lambda challenge=None: "" if challenge else proof)


def many(job: Job) -> Done:
    # It is in no extra of ours: who wants it here installs it, and mypy need not find it.
    sender = import_module("redmail").EmailSender(
        host="localhost",
        port=job.port,
        username=job.user,
        password=job.token,
        cls_smtp=_ByToken,
        local_hostname="localhost",
    )
    with sender:
        for number in range(job.count):
            sender.send(
                subject=subject(number),
                sender=job.user,
                receivers=[SINK],
                text=text(number),
                html=html(number),
            )
    return Done(job.count)
