"""Messages of which only headers were fetched, and attachments of which only a description was."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from mailoauth import ConfigError
from mailoauth.mail.message import Address, Attachment, Message
from tests.broken_mail import broken_messages

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = (
    b"From: Ada <ada@example.com>\r\nSubject: Report\r\nDate: Sat, 31 Jan 2026 10:00:00 +0100\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
)
WHOLE_ONLY = ("text", "html", "attachments", "inline")
PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]


def headers_of(raw: bytes) -> Message:
    return Message.from_bytes(raw, uid=7, folder="Private", size=1234, headers_only=True)


def test_headers_are_read_without_the_rest() -> None:
    mail = headers_of(BLOCK)
    assert mail.headers_only
    assert mail.subject == "Report"
    assert mail.sender == Address("Ada", "ada@example.com")
    assert mail.date is not None
    assert mail.headers["content-type"] == 'multipart/mixed; boundary="b"'
    assert (mail.uid, mail.size, mail.raw) == (7, 1234, BLOCK)
    assert mail.email["Subject"] == "Report"
    assert not Message.from_bytes(BLOCK).headers_only


@pytest.mark.parametrize("name", WHOLE_ONLY)
def test_asking_for_what_was_not_fetched_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        getattr(headers_of(BLOCK), name)
    assert "was read with headers_only=True, so its text was not fetched" in str(caught.value)
    assert "mail.save(message, path)" in caught.value.remedy
    assert "7" in str(caught.value)
    for private in ("Report", "ada@", "Ada"):
        assert private not in str(caught.value)


def test_headers_alone_are_no_defect_and_damaged_ones_are() -> None:
    assert headers_of(BLOCK).defects == ()
    assert Message.from_bytes(BLOCK).defects != ()  # a whole message would have parts
    assert headers_of(b": x\r\nSubject: a\r\n: y\r\n\r\n").defects == ("a header has no name",)


def test_headers_of_every_broken_message_can_be_read() -> None:
    for name, raw in broken_messages():
        mail = headers_of(raw)
        for each in PROPERTIES:
            if each not in {*WHOLE_ONLY, "email"}:
                assert getattr(mail, each) is not None or each in {
                    "sender",
                    "date",
                    "internal_date",
                }
        whole = Message.from_bytes(raw)
        assert (mail.subject, mail.sender, mail.date, mail.headers.items()) == (
            (whole.subject, whole.sender, whole.date, whole.headers.items())
        ), name


def test_headers_survive_pickling() -> None:
    again = pickle.loads(pickle.dumps(headers_of(BLOCK)))
    assert again.headers_only
    assert again.subject == "Report"


class Described:
    """A part that is still at the server."""

    filename = "report.pdf"
    content_type = "application/pdf"
    content_id = ""

    def __init__(self, size: int | None) -> None:
        self.size = size

    def decode(self) -> tuple[bytes, bool]:
        raise ConfigError("The attachment was listed, not fetched.", remedy="Use save_attachment.")


def test_an_attachment_may_be_made_of_a_part_that_is_not_fetched(tmp_path: Path) -> None:
    part = Described(2_000_000)
    attachment = Attachment(part)
    assert attachment.part is part
    assert (attachment.filename, attachment.content_type) == ("report.pdf", "application/pdf")
    assert attachment.size == 2_000_000
    with pytest.raises(ConfigError, match="save_attachment"):
        assert attachment.content
    with pytest.raises(ConfigError, match="save_attachment"):
        attachment.save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_not_known_is_that_of_the_content() -> None:
    with pytest.raises(ConfigError, match="save_attachment"):
        assert Attachment(Described(None)).size
    assert Attachment(Described(0)).size == 0
    (found,) = Message.from_bytes(b"Content-Type: a/b\r\n\r\nhello").attachments
    assert (found.size, found.part.content_type) == (5, "a/b")
