"""What cannot be sent: a clear error before anything goes out, or right on the wire."""

from __future__ import annotations

import io
import os
import sys
import time
from email.message import EmailMessage
from email.message import Message as StandardMessage
from email.mime.text import MIMEText
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.compose import compose
from mailoauth.mail.message import Message
from mailoauth.mail.parcel import MOST_RECIPIENTS, pack

if TYPE_CHECKING:
    from pathlib import Path

ADA = "ada@example.com"
BOB = "bob@example.org"


def refused(message: Any, said: str, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError, match=said) as caught:
        pack(message, address=ADA, **options)
    assert str(caught.value).isprintable()
    assert caught.value.remedy.endswith((".", "?"))
    return caught.value


def letter(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    message.set_content("text\n")
    return message


# To whom.


@pytest.mark.parametrize(
    "message",
    [
        {"text": "x"},
        {"to": [], "text": "x"},
        {"to": "", "text": "x"},
        EmailMessage(),
        letter(Subject="s"),
        MIMEText("x"),
        b"",
        b"\r\n",
        b"no headers at all",
        b"To: undisclosed-recipients:;\n\nx",
        b"\nTo: bob@example.org\n",
    ],
)
def test_a_message_to_nobody_is_refused(message: Any) -> None:
    refused(message, "no recipients|headers of the message cannot be read")
    if message != b"no headers at all":
        refused(message, "recipients is empty", recipients=[])


def test_too_many_recipients_are_refused_with_their_number() -> None:
    many = [f"bob{number}@example.org" for number in range(5_000)]
    listed = ", ".join(many)
    for message in ({"to": many}, {"bcc": listed}, letter(To=listed), f"To: {listed}\n\n".encode()):
        refused(message, "5,000 recipients; at most 1,000")
    refused({"to": BOB}, "1,001 recipients", recipients=many[: MOST_RECIPIENTS + 1])
    most = pack({"to": many[:MOST_RECIPIENTS]}, address=ADA)
    assert len(most.recipients) == len(Message.from_bytes(most.data).to) == MOST_RECIPIENTS


@pytest.mark.parametrize(
    "address",
    ["bob@example.org\r\nBcc: eve@example.org", "bob@example.org\n", "bob\n@example.org", "bob@example.org\x00"],
)  # fmt: skip
def test_an_address_with_a_line_break_is_refused(address: str) -> None:
    for name in ("to", "cc", "bcc", "reply_to", "sender"):
        refused({"to": BOB, name: address}, f"{name} contains a line break|From contains|To|Cc|Bcc")
    refused({"to": BOB}, "line break", recipients=[address])
    refused({"to": BOB}, "not a mail address", envelope_sender=address)


@pytest.mark.parametrize(
    "address", ["bob", "bob@", "@example.org", "a b@example.org", "bob@x y", "b@" + "x" * 400, "\ud800@x.example"]
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    refused({"to": address}, "not a mail address|not text")
    refused({"to": BOB}, "not a mail address|not text", recipients=[address])


# What is attached.


def test_a_file_that_vanishes_before_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"x")

    class Vanishing(os.PathLike[str]):
        def __fspath__(self) -> str:
            path.unlink(missing_ok=True)
            return str(path)

    refused({"to": BOB, "attachments": [Vanishing()]}, r"no file .*report\.pdf")


class Shrinking(io.RawIOBase):
    """A file of which the end goes missing, or which cannot be read to its end."""

    name = "report.pdf"

    def __init__(self, error: bool) -> None:
        self.pieces = [b"abc", b""]
        self.error = error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.error and len(self.pieces) == 1:
            raise OSError("Input/output error")
        return self.pieces.pop(0) if size else b""

    def readall(self) -> bytes:
        return self.read() + self.read()


def test_a_file_that_shrinks_while_it_is_read_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 100_000)
    with path.open("rb") as file:
        file.seek(10)
        os.truncate(path, 50)
        parcel = pack({"to": BOB, "attachments": [file]}, address=ADA)
    (found,) = Message.from_bytes(parcel.data).attachments
    assert (found.filename, found.content) == ("log.txt", b"x" * 40)
    broken: Any = io.BufferedReader(Shrinking(error=True))
    refused({"to": BOB, "attachments": [broken]}, "cannot be attached")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused({"to": BOB, "attachments": [tmp_path]}, "is a folder")
    refused({"to": BOB, "attachments": [str(tmp_path / "a" / "b")]}, "no file")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused({"to": BOB, "attachments": [loop]}, "cannot be attached")


def test_a_very_large_attachment_takes_seconds_and_little_more_memory_than_it_must() -> None:
    import tracemalloc

    size = 40 << 20
    content = os.urandom(1 << 20) * 40
    encoded = size * 78 // 57
    parts: dict[str, Any] = {"to": BOB, "text": "x", "attachments": [("a.bin", content)]}
    began = time.perf_counter()
    tracemalloc.start()
    try:
        data = pack(parts, address=ADA).data
        peak = tracemalloc.get_traced_memory()[1]
        assert encoded < len(data) < encoded + 2_000
        assert peak < 1.3 * encoded  # the octets, and nothing else of that size
        del data
        message = compose(**parts)
        tracemalloc.reset_peak()
        data = pack(message, address=ADA).data
        peak = tracemalloc.get_traced_memory()[1]
        assert (
            peak < 3.3 * encoded
        )  # the message, the octets, and the library's look for surrogates
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - began < 60
    (found,) = Message.from_bytes(data).attachments
    assert found.content == content


# What it says.


@pytest.mark.parametrize("length", [998, 10_000, 100_000])
def test_a_very_long_subject_arrives(length: int) -> None:
    for subject in ("x" * length, "wörd " * (length // 5) + "end", "a" + " " * length + "b"):
        for message in ({"to": BOB, "subject": subject}, letter(To=BOB, Subject=subject)):
            data = pack(message, address=ADA).data
            assert Message.from_bytes(data).subject == subject
            assert max(map(len, data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", ["subject", "text", "html"])
def test_half_a_character_is_refused(name: str) -> None:
    refused({"to": BOB, name: "a\ud83d"}, f"{name} contains a character that is not text")
    refused({"to": BOB, name: 5}, f"{name} is a text")


def test_half_a_character_in_a_message_is_refused() -> None:
    sloppy = StandardMessage()
    sloppy["To"] = BOB
    sloppy.set_payload("a\ud83d")
    refused(sloppy, "cannot be written")
    undeclared = StandardMessage()
    undeclared["To"] = BOB
    undeclared.set_payload("hallö")
    refused(undeclared, "cannot be written")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("subjet", 'Did you mean "subject"?'),
        ("attachment", 'Did you mean "attachments"?'),
        ("body", "Known are: sender, to, cc"),
        ("message_id", "Known are|Did you mean"),
        (5, "Known are: sender"),
    ],
)
def test_a_keyword_that_there_is_not_is_named_with_the_near_one(name: Any, near: str) -> None:
    refused({"to": BOB, name: "x"}, f"{name!r} is not a keyword.*{near}")


@pytest.mark.parametrize(
    "message", [None, 5, "To: bob@example.org\n\nx", ["x"], Message.from_bytes(b"")]
)
def test_what_is_no_message_is_refused(message: Any) -> None:
    refused(message, f"type {type(message).__name__} cannot be sent")


def test_headers_given_twice_or_broken_are_refused() -> None:
    for headers, said in (
        ({"Message-ID": "7"}, "'7' is not a Message-ID"),
        ({"Message-ID": "<7@x>", "message-id": "<8@x>"}, "there already"),
        ({"References": "<7@x>"}, "there already"),
        ({"X-Mark": "a\r\n\r\nb"}, "line break"),
    ):
        refused({"to": BOB, "in_reply_to": "<1@x>", "headers": headers}, said)
    refused({"to": BOB, "in_reply_to": "not an id"}, "not a Message-ID")
    refused({"to": BOB, "headers": {"Message-ID": f"<{'x' * 2_000}@x>"}}, "too long")
