"""The works: what is sent, through which line, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.benchmarks.sending.contenders.table import AGAIN, FLOOR, ONE_SMTPLIB, SMTPLIB

#: Contenders that connect for every message: once is enough.
SLOW = frozenset({AGAIN})

_OURS = ("mailoauth_3", "mailoauth_1")
_PEERS = (SMTPLIB, AGAIN, "aiosmtplib_1", "aiosmtplib_3", "redmail", "nodemailer")
_FAR = (FLOOR, "mailoauth_3", "mailoauth_8", SMTPLIB, "aiosmtplib_3", "nodemailer")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many messages each work has."""

    many: int = 500
    delayed: int = 100
    memory: int = 10_000


@dataclass(frozen=True, slots=True)
class Work:
    """A row of contenders with one thing to do; ``verb`` is the function in their modules.

    ``server`` is what they submit to: Postfix, Postfix behind the long line, or the sink.
    """

    name: str
    title: str
    verb: str
    count: int
    contenders: tuple[str, ...]
    server: Literal["near", "far", "sink"] = "near"
    smtplib: str = SMTPLIB


def works(sizes: Sizes) -> dict[str, Work]:
    """Return all works by the names of the command line."""
    title = "mails of 2.7 kB, text and HTML, built and sent"
    found = (
        Work("many", f"{sizes.many} {title}", "many", sizes.many, (FLOOR, *_OURS, *_PEERS)),
        Work(
            "delayed",
            f"{sizes.delayed} {title}; 40 ms round trip",
            "many",
            sizes.delayed,
            _FAR,
            server="far",
        ),
        Work(
            "memory",
            f"{sizes.memory:,} from a generator to a sink",
            "memory_of",
            sizes.memory,
            ("mailoauth_3",),
            server="sink",
        ),
        Work(
            "one",
            "one mail, from the start of a process to the receipt",
            "",
            1,
            (ONE_SMTPLIB, "one_mailoauth"),
            smtplib=ONE_SMTPLIB,
        ),
    )
    return {work.name: work for work in found}
