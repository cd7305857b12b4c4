"""What reading mail may cost: time in proportion to the mail, memory for what is asked."""

from __future__ import annotations

import base64
import random
import time
import tracemalloc

import pytest

from mailoauth.mail.message import Message

PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]
MEGABYTE = 1_000_000
TOP = b"Subject: Report\r\nContent-Type: multipart/mixed; boundary="
FILE = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def header(name: bytes, value: bytes) -> bytes:
    return name + b": " + value + b"\r\n\r\nhello"


def boundaries(boundary: bytes, body: bytes) -> bytes:
    return TOP + boundary + b"\r\n\r\n" + body


# Each is such that a way of reading with squares in it takes minutes.
HOSTILE = {
    "a block of ten megabytes": lambda: b"X-Mark: 1\r\n" * MEGABYTE + b"\r\nhello",
    "a header of ten megabytes": lambda: header(b"Subject", b"a b " * 2_500_000),
    "ten megabytes of folds": lambda: header(b"Subject", b"a\r\n " * 2_500_000),
    "no end of the block": lambda: b"Subject: a\n" * MEGABYTE,
    "lone carriage returns": lambda: b"Subject: a\r" * MEGABYTE + b"\r\n\r\n",
    "names without a colon": lambda: b"a" * 10 * MEGABYTE,
    "addresses": lambda: header(b"From", b"Ada <ada@example.com>, " * 100_000),
    "addresses and a bracket": lambda: header(b"From", b"Ada <ada@example.com>, " * 100_000 + b"("),
    "words in a name": lambda: header(b"From", b"Ada " * MEGABYTE),
    "open brackets": lambda: header(b"From", b"a@b <" * 400_000),
    "open quotes": lambda: header(b"From", b'"a\\"' * 400_000),
    "encoded commas": lambda: header(b"From", b"a@b =?utf-8?q?=2C?= " * 100_000),
    "encoded words": lambda: header(b"From", b"=?utf-8?q?a" * 200_000),
    "spaces around a sign": lambda: header(
        b"From", b"a" + b" " * MEGABYTE + b"@" + b" " * MEGABYTE
    ),
    "parameters": lambda: header(b"Content-Type", b"a/b" + b"; a=b" * 400_000),
    "parameters without a value": lambda: header(b"Content-Type", b"a/b" + b";a " * 400_000),
    "spaces in parameters": lambda: header(
        b"Content-Type", b"a/b; a" + b" " * MEGABYTE + b";" * MEGABYTE
    ),
    "quotes in parameters": lambda: header(b"Content-Type", b'a/b; a="' + b'\\"' * MEGABYTE),
    "percents in parameters": lambda: header(
        b"Content-Type", b"a/b; name*=utf-8''" + b"%" * MEGABYTE
    ),
    "a date": lambda: header(b"Date", b"1 " * MEGABYTE),
    "a boundary of dashes": lambda: boundaries(b"-" * 100_000, b"-" * 4 * MEGABYTE),
    "lines of dashes": lambda: boundaries(b"-" * 70, (b"-" * 80 + b"\r\n") * 50_000),
    "a boundary that others begin with": lambda: boundaries(b"b", b"--b-2\r\n" * 500_000),
    "a boundary in one line": lambda: boundaries(b"b", b" --b" * MEGABYTE),
    "a boundary as long as the mail": lambda: boundaries(
        b"b" * MEGABYTE, b"--" + b"b" * 4 * MEGABYTE
    ),
    "blanks behind a boundary": lambda: boundaries(b"b", (b"--b" + b" " * 1000 + b"x\r\n") * 4_000),
    "no boundary named": lambda: boundaries(b"", b"\n" * 4 * MEGABYTE),
    "line breaks for base64": lambda: FILE + b"\r\n" * 2 * MEGABYTE + b"!",
    "padding for base64": lambda: FILE + b"=" * 2 * MEGABYTE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_takes_time_in_proportion(name: str) -> None:
    mail = Message.from_bytes(HOSTILE[name]())
    started = time.perf_counter()
    for each in PROPERTIES:
        if each != "email":  # that is the standard library's affair
            getattr(mail, each)
    assert time.perf_counter() - started < 30  # linear, not quadratic: no measure of speed


def with_big_file() -> Message:
    content = random.Random(2026).randbytes(4 * MEGABYTE)
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    text = b"--b\r\n\r\nhello\r\n--b\r\n"
    return Message.from_bytes(boundaries(b"b", text + FILE + encoded + b"--b--\r\n"))


def peak(message: Message, name: str) -> int:
    """Return how many octets more there are at the worst while a property is worked out."""
    tracemalloc.start()
    try:
        getattr(message, name)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_is_said_beside_a_big_file_is_read_without_touching_the_file() -> None:
    for name in ("subject", "sender", "date", "text", "html", "attachments", "inline", "headers"):
        assert peak(with_big_file(), name) < MEGABYTE / 4, name
    mail = with_big_file()
    assert mail.text == "hello"
    assert len(mail.attachments) == 1


def test_a_file_is_decoded_with_one_copy_and_not_kept() -> None:
    mail = with_big_file()
    (attachment,) = mail.attachments
    tracemalloc.start()
    try:
        assert len(attachment.content) == 4 * MEGABYTE
        at_rest, at_worst = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert at_rest < MEGABYTE / 4
    assert at_worst < 4.5 * MEGABYTE


@pytest.mark.parametrize("name", [b"charset", b"name", b"boundary"])
def test_what_strangers_write_at_length_is_not_remembered(name: bytes) -> None:
    kind = b"multipart/mixed" if name == b"boundary" else b"text/plain"
    assert Message.from_bytes(header(b"Content-Type", kind)).text == "hello"  # imports and patterns
    tracemalloc.start()
    try:
        raw = header(b"Content-Type", kind + b"; " + name + b"=" + b"a" * MEGABYTE)
        mail = Message.from_bytes(raw)
        assert mail.text == "hello"
        assert mail.defects
        del raw, mail
        assert tracemalloc.get_traced_memory()[0] < MEGABYTE / 4
    finally:
        tracemalloc.stop()


def test_a_message_is_not_copied() -> None:
    raw = bytes(4 * MEGABYTE)
    assert Message.from_bytes(raw).raw is raw
