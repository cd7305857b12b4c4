"""No message is so broken that reading it raises or takes long."""

from __future__ import annotations

import base64
import email
import quopri
import random
import time

import pytest

from mailoauth.mail.message import Message
from tests.broken_mail import broken_messages, many_parts, nested

PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]


def message(headers: str, body: str | bytes = "") -> Message:
    content = body if isinstance(body, bytes) else body.encode()
    raw = headers.strip("\n").encode() + b"\n\n" + content
    return Message.from_bytes(raw.replace(b"\n", b"\r\n"))


def test_every_property_works_on_every_broken_message() -> None:
    count = 0
    for name, raw in broken_messages():
        count += 1
        broken = Message.from_bytes(raw)
        try:
            for each in PROPERTIES:
                getattr(broken, each)
            check_types(broken)
        except Exception as exc:
            raise AssertionError(f"{name}: {exc!r}") from exc
    assert count >= 500


def check_types(broken: Message) -> None:
    texts = [broken.subject, broken.message_id, broken.text, broken.html or "", *broken.defects]
    for each in (*broken.attachments, *broken.inline):
        assert isinstance(each.content, bytes)
        texts += [each.filename, each.content_type, each.content_id]
    for person in (broken.sender, *broken.to, *broken.cc, *broken.bcc, *broken.reply_to):
        texts += [person.name, person.address] if person else []
    for name, value in broken.headers.items():
        texts += [name, value]
        assert "\n" not in value
        assert "\r" not in value
    for text in texts:
        text.encode()  # lone surrogates would fail here, and in whatever the user writes to
    for date in (broken.date, broken.internal_date):
        assert date is None or date.tzinfo is not None


@pytest.mark.parametrize(
    ("headers", "body", "defect"),
    [
        ("", b"", "there are no headers"),
        ("Subject: a\nSUBJECT: b", b"", "more than one subject header"),
        ("X-Mark: a\nX-Mark: b", b"", None),
        ("X-Mark: " + "a" * 990, b"", None),
        ("X-Mark: " + "a" * 991, b"", "a line of the headers is longer than 998 octets"),
        ("Subject: a\0b", b"", "control characters in a header"),
        ("Subject: Gr\udcfc\udcdfe", b"", "8-bit characters that are not UTF-8 in a header"),
        ("Subject: Grüße", b"", None),
        ("Date: yesterday", b"", "the date cannot be read"),
        ("Subject: =?no-such*de?Q?a?=", b"", "unknown charset no-such"),
        (
            "Content-Type: text/plain; charset=utf-8",
            b"Gr\xfc",
            "a text that is not in its charset utf-8",
        ),
        (
            "Content-Type: text/html; charset=us-ascii",
            b"Gr\xfc",
            "a text that is not in its charset us-ascii",
        ),
        ("Content-Type: image/png; charset=utf-8", b"Gr\xfc", None),
        ("Subject: a", b"Gr\xfc", "a text with 8-bit characters that names no charset"),
        ("Content-Type: text/html", b"Gr\xfc", None),
    ],
)
def test_defects_say_what_is_wrong(headers: str, body: bytes, defect: str | None) -> None:
    raw = headers.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
    mail = Message.from_bytes(raw.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"))
    assert mail.defects == ((defect,) if defect else ())


def test_damaged_base64_gives_what_can_be_read() -> None:
    head = "Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64"
    for body, content in {
        "aGVsbG8gd29ybGQ": b"hello world",
        "aGVsb": b"hel",
        "aGVs\n!!bG8=": b"hello",
        "aGVsbG8=\naGVsbG8=": b"hellohello",
        "aGVsbG8=\n-- \nlist footer": b"hello",
    }.items():
        mail = message(head, body)
        (attachment,) = mail.attachments
        assert attachment.content == content
        assert len(mail.defects) == 1
    assert message(head, "aGVs\nbG8=\n").defects == ()


def test_parts_are_found_where_the_standard_library_finds_them() -> None:
    chance = random.Random(2026)
    for _ in range(200):
        raw = b"MIME-Version: 1.0\r\n" + tree(chance, 0)
        theirs = [
            (part.get_content_type(), part.get_payload(decode=True))
            for part in email.message_from_bytes(raw).walk()
            if not part.is_multipart()
        ]
        mail = Message.from_bytes(raw)
        assert [(each.content_type, each.content) for each in mail.attachments] == theirs
        assert mail.defects == ()


def tree(chance: random.Random, depth: int) -> bytes:
    """Build a random part: a file, or a multipart of random parts."""
    content = chance.randbytes(chance.randrange(200)) + b"\r\n--b\r\n"
    if depth and (depth > 4 or chance.random() < 0.6):
        if chance.random() < 0.5:
            head = b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            return head + base64.encodebytes(content).replace(b"\n", b"\r\n")
        head = b"Content-Type: image/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        return head + quopri.encodestring(content)
    boundary = b"b" * depth + b"%d" % chance.randrange(10**6)
    parts = [tree(chance, depth + 1) for _ in range(chance.randint(1, 4))]
    head = b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\npreamble\r\n'
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + b"--" + boundary + b"--\r\nepilogue\r\n"


def test_ten_thousand_parts_and_five_hundred_levels_take_little_time() -> None:
    started = time.perf_counter()
    mail = Message.from_bytes(many_parts(10_000))
    assert len(mail.attachments) == 10_000
    assert mail.defects == ()
    deep = Message.from_bytes(nested(500))
    assert isinstance(deep.text, str)
    assert "too many parts, or parts nested too deeply" in deep.defects
    assert deep.email.get_content_type() == "multipart/mixed"
    assert time.perf_counter() - started < 30  # linear, not quadratic: no measure of speed


def test_the_subject_is_read_without_reading_the_parts() -> None:
    message = Message.from_bytes(many_parts(50_000))
    before = time.process_time()
    assert message.subject == "Report"
    for_the_subject = time.process_time() - before
    before = time.process_time()
    assert len(message.attachments) > 1
    assert for_the_subject < (time.process_time() - before) / 3
