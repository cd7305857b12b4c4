"""What reading a message costs, beside the standard library's email in the same run.

Run it: python -m tests.benchmarks.parsing [ROUNDS]
Each round takes every way in turn over the same mail; medians are printed, and how many
times as long as mailoauth the others take.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from email.message import Message as StandardMessage
from typing import TYPE_CHECKING

from mailoauth.mail.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    Ways = dict[str, Callable[[bytes], object]]


def small_mail(number: int) -> bytes:
    """Make a message with text, HTML and a small file."""
    mail = EmailMessage()
    mail["From"] = "Ada Lovelace <ada@example.com>"
    mail["To"] = "Bob Babbage <bob@example.org>, carol@example.com"
    mail["Subject"] = f"Report {number}: Größe und Zahlen"
    mail["Date"] = "Mon, 02 Feb 2026 10:00:00 +0100"
    mail["Message-ID"] = f"<{number}@example.com>"
    mail["Received"] = (
        "from mx.example.com (mx.example.com [192.0.2.1]) by mail.example.org with ESMTPS id abc "
        "for <bob@example.org>; Mon, 02 Feb 2026 10:00:01 +0100"
    )
    mail.set_content("Line of text with ümlauts.\n" * 30)
    mail.add_alternative("<p>Line of <b>text</b></p>\n" * 20, subtype="html")
    mail.add_attachment(b"x,y\n" * 150, maintype="text", subtype="csv", filename=f"{number}.csv")
    return mail.as_bytes(policy=email.policy.SMTP)


def big_mail() -> bytes:
    """Make a message with a file of two megabytes."""
    mail = EmailMessage()
    mail["Subject"] = "Report"
    mail.set_content("hello")
    mail.add_attachment(
        os.urandom(2_000_000), maintype="application", subtype="pdf", filename="a.pdf"
    )
    return mail.as_bytes(policy=email.policy.SMTP)


def read(raw: bytes) -> object:
    """Read what a script mostly asks of a message."""
    mail = Message.from_bytes(raw)
    names = [each.filename for each in mail.attachments]
    return mail.subject, mail.sender, mail.date, mail.text, names


def read_headers(raw: bytes) -> object:
    """Read what a list of messages shows."""
    mail = Message.from_bytes(raw, headers_only=True)
    return mail.subject, mail.sender, mail.date


def read_files(raw: bytes) -> object:
    """Hash every file."""
    files = Message.from_bytes(raw).attachments
    return [hashlib.sha256(each.content).digest() for each in files]


def compat32(raw: bytes) -> object:
    """Read the same by hand with the classic policy; no word is decoded."""
    mail = email.message_from_bytes(raw)
    texts = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
    text = texts[0].get_payload(decode=True) if texts else None
    names = [part.get_filename() for part in mail.walk() if part.get_filename()]
    return (*compat32_headers(raw, mail), text, names)


def compat32_headers(raw: bytes, mail: StandardMessage | None = None) -> tuple[object, ...]:
    """Read the same headers by hand with the classic policy."""
    mail = mail or email.message_from_bytes(raw)
    date = email.utils.parsedate_to_datetime(str(mail["Date"])) if mail["Date"] else None
    return str(mail["Subject"]), email.utils.parseaddr(str(mail["From"])), date


def default(raw: bytes) -> object:
    """Read the same with the modern policy."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain",))
    text = body.get_content() if body else None
    names = [part.get_filename() for part in mail.iter_attachments()]
    return (*default_headers(raw, mail), text, names)


def default_headers(raw: bytes, mail: EmailMessage | None = None) -> tuple[object, ...]:
    """Read the same headers with the modern policy."""
    found = mail or email.message_from_bytes(raw, policy=email.policy.default)
    date = found["Date"]
    return str(found["Subject"]), found["From"].addresses[0], date.datetime if date else None


def standard_files(policy: email.policy.Policy[StandardMessage]) -> Callable[[bytes], object]:
    """Return a reader that hashes every file by a policy of the standard library."""

    def read_standard_files(raw: bytes) -> object:
        parts = list(email.message_from_bytes(raw, policy=policy).walk())
        contents = [each.get_payload(decode=True) for each in parts if each.get_filename()]
        return [hashlib.sha256(each).digest() for each in contents if isinstance(each, bytes)]

    return read_standard_files


def measure(title: str, mails: list[bytes], ways: Ways, rounds: int) -> None:
    """Time every way in turn and print the table."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            for raw in mails:
                way(raw)
            times[name].append(time.perf_counter() - started)
    ours = statistics.median(times["mailoauth"])
    print(f"{title}: {len(mails)} messages, {sum(map(len, mails)) / len(mails):,.0f} octets each")
    for name, values in times.items():
        median = statistics.median(values)
        each = median / len(mails) * 1e6
        print(f"  {name:24}{median:8.3f} s{each:12,.1f} us each{median / ours:8.1f} x")


def measure_imports(rounds: int) -> None:
    """Time fresh interpreters that have everything compiled, as an installed package is."""
    lines = {name: f"import re, {name}" for name in ("datetime", "mailoauth.mail.message", "email")}
    lines["email"] += ".parser, email.policy"
    times: dict[str, list[float]] = {name: [] for name in lines}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(rounds + 1):
            for name, line in lines.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", line], check=True, env=environment)
                if number:  # the first time they are compiled
                    times[name].append(time.perf_counter() - started)
    print("an interpreter that imports")
    for name, values in times.items():
        print(f"  {name:24}{statistics.median(values) * 1000:8.1f} ms")


def main(rounds: int = 7) -> None:
    """Measure and print all tables."""
    small = [small_mail(number) for number in range(1000)]
    heads = [raw[: raw.find(b"\r\n\r\n") + 4] for raw in small]
    measure(
        "subject, sender, date, text, names of files",
        small,
        {"mailoauth": read, "email compat32": compat32, "email policy.default": default},
        rounds,
    )
    measure(
        "headers only: subject, sender, date",
        heads,
        {
            "mailoauth": read_headers,
            "email compat32": compat32_headers,
            "email policy.default": default_headers,
        },
        rounds,
    )
    measure(
        "a file of 2 MB, hashed",
        [big_mail()] * 5,
        {"mailoauth": read_files, "email compat32": standard_files(email.policy.compat32)},
        rounds,
    )
    measure_imports(rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
