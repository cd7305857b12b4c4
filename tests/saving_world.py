"""What the tests of saving share: messages with attachments, and mailboxes to save them from."""

from __future__ import annotations

import base64
import random
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any, cast

from mailoauth.accounts import Account
from mailoauth.mail.mailbox import Mailbox
from mailoauth.mail.message import Message
from mailoauth.mail.saving import PIECE, Saving
from tests.judges import signed_in_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.judges import Judge

ADA = "ada@example.com"


class Box(Mailbox):
    """A mailbox that lets a test in between two commands."""

    between: Callable[[int], None] | None = None
    commands = 0

    def in_folder(self, *arguments: Any, **options: Any) -> Any:
        self.commands += 1
        if self.between is not None:
            self.between(self.commands)
        return super().in_folder(*arguments, **options)


def box(judge: Judge, **options: Any) -> Box:
    account = judge.account(ADA)
    return Box(account, tokens=signed_in_source(judge, account), timeout=10, **options)


def large(size: int = 3_500_000, *, name: str = "large.bin") -> bytes:
    """Build a message with an attachment of so many random octets."""
    return attached("application/octet-stream", name, random.Random(size).randbytes(size))


def attached(kind: str, name: str, content: bytes) -> bytes:
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return (
        b"From: bob@example.com\r\nTo: ada@example.com\r\nSubject: Large\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"--b\r\nContent-Type: " + kind.encode() + b"\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="' + name.encode() + b'"\r\n\r\n'
        + body + b"--b--\r\n"
    )  # fmt: skip


def headers(mailbox: Box) -> Message:
    """Read the headers of the only message."""
    (message,) = mailbox.search(headers_only=True)
    return message


def cutting(judge: Judge, *commands: int) -> Callable[[int], None]:
    """Cut the line before these commands."""

    def cut(number: int) -> None:
        if number in commands:
            judge.disconnect("imap")

    return cut


def rich() -> bytes:
    """Build a message with one of everything."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "Everything"
    message.set_content("plain\r\n")
    message.add_alternative("<p>hello <img src='cid:1@x'></p>", subtype="html")
    page = cast("list[EmailMessage]", message.get_payload())[1]
    page.add_related(b"png" * 100, "image", "png", cid="<1@x>", filename="picture.png")
    message.add_attachment(b"%PDF" * 1000, "application", "pdf", filename="Übersicht €.pdf")
    message.add_attachment("Größe = 3\n" * 50, filename="größe.txt", cte="quoted-printable")
    message.add_attachment(b"a,b\n", "text", "csv", filename="../../etc/passwd")
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "Inner"
    inner.set_content("inside")
    inner.add_attachment(b"deep", "application", "zip", filename="deep.zip")
    message.add_attachment(inner)
    return message.as_bytes()


UU = b"begin 644 a\r\n%:&5L;&\\ \r\n`\r\nend\r\n"
SINGLE = {
    "base64": b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n",
    "an attached text": b"Content-Disposition: attachment; filename=a.txt\r\nContent-Type: text/plain\r\n\r\nhello\r\n",
    "uuencode": b"Content-Type: application/x; name=a\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + UU,
    "a message": b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nhello\r\n--c--\r\n",
    "a footer": b"Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n-- \r\na list's footer\r\n",
}  # fmt: skip


class FakeConnection:
    """A server with one message that answers as a test says."""

    def __init__(self, raw: bytes, structure: Any = None, *, most: int = PIECE) -> None:
        self.raw = raw
        self.answer = structure
        self.most = most
        self.asked: list[tuple[str, int, int]] = []

    def structure(self, uid: int) -> Any:
        return self.answer

    def partial(self, uid: int, section: str, start: int, count: int) -> bytes | None:
        assert section == ""
        self.asked.append((section, start, count))
        return self.raw[start : start + min(count, self.most)]


class Scripted(Saving):
    """A mailbox at such a server."""

    def __init__(self, connection: FakeConnection) -> None:
        super().__init__(Account.outlook(ADA, client_id="x"))
        self.connection = connection

    def in_folder(self, folder: str | None, verb: Callable[[Any], Any], **options: Any) -> Any:
        return verb(self.connection)


HEADERS = Message.from_bytes(
    b"Subject: one\r\n\r\n", uid=7, folder="INBOX", uid_validity=1, size=5, headers_only=True
)
