"""A message made ready to be sent: its envelope, what is added to it and what is left out."""

from __future__ import annotations

import email
import email.policy
from email.headerregistry import Address as StandardAddress
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.compose import compose
from mailoauth.mail.decoding import decode_date
from mailoauth.mail.message import Address, Message
from mailoauth.mail.parcel import Parcel, pack

if TYPE_CHECKING:
    from collections.abc import Callable

ADA = "ada@example.com"
RAW = b"From: Bob <bob@example.org>\r\nTo: carol@example.org\r\nMessage-ID: <1@example.org>\r\n"
RAW += b"Date: Sat, 31 Jan 2026 10:00:00 +0000\r\n"


def standard(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("text")
    return message


def compat(**headers: str) -> MIMEText:
    message = MIMEText("text\n")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return message


def octets(**headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items()]
    return "".join([*lines, "\ntext\n"]).encode()


KINDS = pytest.mark.parametrize("make", [standard, compat, octets])


def keywords(**parts: Any) -> Parcel:
    return pack({"to": "bob@example.org", "text": "x", **parts}, address=ADA)


@KINDS
def test_what_is_missing_is_added_in_front(make: Callable[..., Any]) -> None:
    parcel = pack(make(To="bob@example.org", Subject="s"), address=ADA)
    first, second, third, fourth = parcel.data.split(b"\r\n")[:4]
    assert first == b"From: ada@example.com"
    assert decode_date(second.decode().removeprefix("Date: ")) is not None
    assert third.decode() == f"Message-ID: {parcel.message_id}"
    assert parcel.message_id.endswith("@example.com>")
    assert b"To: bob@example.org" in fourth + parcel.data
    assert (parcel.sender, parcel.recipients) == (ADA, ("bob@example.org",))
    assert Message.from_bytes(parcel.data).text == "text\n"


@KINDS
def test_what_is_there_stays(make: Callable[..., Any]) -> None:
    date = "Sat, 31 Jan 2026 10:00:00 +0000"
    said = {
        "From": "Bob <bob@example.org>",
        "To": "c@x.example",
        "Message_ID": "<1@x>",
        "Date": date,
    }
    parcel = pack(make(**said), address=ADA, message_id="<2@x>")
    assert parcel.message_id == "<1@x>"
    assert parcel.sender == "bob@example.org"
    headers = Message.from_bytes(parcel.data).headers
    for name, value in said.items():
        assert headers.get_all(name.replace("_", "-")) == [value]


@KINDS
def test_an_empty_header_is_a_missing_one(make: Callable[..., Any]) -> None:
    parcel = pack(make(Message_ID="", From="", Date="", To="b@x.example"), address=ADA)
    headers = Message.from_bytes(parcel.data).headers
    for name in ("Message-ID", "From", "Date"):
        (said,) = headers.get_all(name)
        assert said
    assert headers["Message-ID"] == parcel.message_id


@KINDS
def test_a_message_id_may_be_given(make: Callable[..., Any]) -> None:
    parcel = pack(make(To="b@x.example"), address=ADA, message_id="<journal-7@example.com>")
    assert parcel.message_id == "<journal-7@example.com>"
    assert b"Message-ID: <journal-7@example.com>\r\n" in parcel.data
    with pytest.raises(ConfigError, match="not a Message-ID"):
        pack(make(To="b@x.example"), address=ADA, message_id="7\r\nBcc: eve@example.org")


def test_the_keywords_of_compose_do() -> None:
    parcel = keywords(subject="s", cc="Carol <carol@example.org>", bcc=["eve@example.org"])
    assert parcel.recipients == ("bob@example.org", "carol@example.org", "eve@example.org")
    assert parcel.sender == ADA
    mail = Message.from_bytes(parcel.data)
    assert (mail.sender, mail.subject, mail.text) == (Address("", ADA), "s", "x\n")
    assert mail.message_id == parcel.message_id
    assert b"eve" not in parcel.data
    named = pack(
        {"to": "b@x.example", "headers": {"Message-ID": "<1@x>"}}, address=ADA, message_id="<2@x>"
    )
    assert named.message_id == "<1@x>"
    drawn = pack({"to": "b@x.example", "sender": None}, address=ADA, message_id="<2@x>")
    assert drawn.message_id == "<2@x>"
    assert b"From: ada@example.com\r\n" in drawn.data


def test_keywords_and_a_composed_message_are_the_same_octets() -> None:
    parts: dict[str, Any] = {
        "sender": "Jörg <joerg@example.com>",
        "to": "bob@example.org",
        "bcc": "eve@example.org",
        "subject": "Grüße",
        "text": "Hallo\r\nBob",
        "attachments": [("a.bin", bytes(1_000))],
        "headers": {"Message-ID": "<1@x>", "Date": "Sat, 31 Jan 2026 10:00:00 +0000"},
    }
    one = pack(parts, address=ADA)
    two = pack(compose(**parts), address=ADA)
    boundary = one.data.partition(b'boundary="')[2].partition(b'"')[0]
    other = two.data.partition(b'boundary="')[2].partition(b'"')[0]
    assert two.data.replace(other, boundary) == one.data
    assert one._replace(data=b"") == two._replace(data=b"")


@KINDS
def test_bcc_is_told_to_the_server_only(make: Callable[..., Any]) -> None:
    message = make(To="bob@example.org", Bcc="eve@example.org")
    parcel = pack(message, address=ADA)
    assert parcel.recipients == ("bob@example.org", "eve@example.org")
    assert b"eve" not in parcel.data
    assert b"Bcc: eve@example.org\r\n" in pack(message, address=ADA, keep_bcc=True).data


def test_a_bcc_over_many_lines_goes_whole() -> None:
    raw = (
        RAW
        + b"bCC : eve@example.org,\r\n mallory@example.org,\r\n\ttrent@example.org\r\n\r\nBcc: text\r\n"
    )
    parcel = pack(raw, address=ADA)
    assert len(parcel.recipients) == 4
    assert parcel.data == RAW + b"\r\nBcc: text\r\n"
    kept = pack({"to": "b@x.example", "bcc": "eve@x.example"}, address=ADA, keep_bcc=True)
    assert b"Bcc: eve@x.example\r\n" in kept.data


@KINDS
def test_other_recipients_and_another_sender_may_be_given(make: Callable[..., Any]) -> None:
    message = make(To="bob@example.org", From="Bob <bob@example.org>")
    given = ["x@example.net", "X@EXAMPLE.net", "x@EXAMPLE.NET", "Jo <y@bücher.example>"]
    parcel = pack(message, address=ADA, recipients=given, envelope_sender="bounces@example.com")
    assert parcel.recipients == ("x@example.net", "X@EXAMPLE.net", "y@xn--bcher-kva.example")
    assert parcel.sender == "bounces@example.com"
    assert b"To: bob@example.org" in parcel.data
    assert pack(message, address=ADA, envelope_sender="").sender == ""
    nobody = pack(make(Subject="s"), address=ADA, recipients=["x@example.net"])
    assert (nobody.sender, nobody.recipients) == (ADA, ("x@example.net",))


def test_the_sender_header_comes_before_from() -> None:
    raw = b"From: a@x.example, b@x.example\nSender: b@x.example\nTo: c@x.example\n\n"
    assert pack(raw, address=ADA).sender == "b@x.example"


@KINDS
def test_a_resent_message_goes_to_those_it_was_resent_to(make: Callable[..., Any]) -> None:
    parcel = pack(
        make(
            Resent_From="ada@example.com",
            Resent_To="new@example.org",
            Resent_Bcc="eve@example.org",
            From="bob@example.org",
            To="old@example.org",
        ),
        address=ADA,
    )
    assert (parcel.sender, parcel.recipients) == (ADA, ("new@example.org", "eve@example.org"))
    assert b"eve" not in parcel.data


def test_only_the_newest_resending_counts() -> None:
    raw = (
        b"Resent-From: ada@example.com\nResent-To: new@example.org\nReceived: from here\n"
        b"Resent-From: bob@example.org\nResent-To: old@example.org\n" + RAW + b"\n"
    )
    assert pack(raw, address=ADA).recipients == ("new@example.org",)
    adjacent = raw.replace(b"Received: from here\n", b"")
    assert pack(adjacent, address=ADA).recipients == ("new@example.org",)
    other = b"Resent-To: new@example.org\nReceived: x\nResent-Cc: old@example.org\n" + RAW + b"\n"
    assert pack(other, address=ADA).recipients == ("new@example.org",)
    unaddressed = b"Resent-Date: Sat, 31 Jan 2026 10:00:00 +0000\n" + RAW + b"\n"
    assert pack(unaddressed, address=ADA).recipients == ("carol@example.org",)


def test_octets_that_are_right_are_not_changed() -> None:
    raw = RAW + b"Subject:   odd   spaces \r\nX: \xff\r\n\r\n8-bit \xc3\xb6\r\n.\r\nFrom here"
    parcel = pack(raw, address=ADA)
    assert parcel.data is raw
    for same in (memoryview(raw), bytearray(raw)):
        anything: Any = same
        assert pack(anything, address=ADA).data == raw


@pytest.mark.parametrize("policy", ["default", "SMTP", "compat32"])
def test_a_parsed_message_goes_out_as_it_came(policy: str) -> None:
    raw = RAW + (
        b"Subject: =?utf-8?q?=C3=B6?=\r\n  two\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"Gr\xc3\xbc\xc3\x9fe\r\nFrom here\r\n"
    )
    message = email.message_from_bytes(raw, policy=getattr(email.policy, policy))
    assert pack(message, address=ADA).data == raw


def test_older_messages_with_8_bit_headers_arrive() -> None:
    whole = MIMEMultipart()
    whole["From"] = "Jörg <joerg@example.com>"
    whole["To"] = "Bücher <buecher@example.org>"
    whole["Subject"] = "Grüße " * 50
    whole.attach(MIMEText("Hallö\n", _charset="utf-8"))
    whole.attach(MIMEText("x" * 3_000 + "\n"))
    parcel = pack(whole, address=ADA)
    assert (parcel.sender, parcel.recipients) == ("joerg@example.com", ("buecher@example.org",))
    mail = Message.from_bytes(parcel.data)
    assert mail.subject == ("Grüße " * 50).strip()
    assert mail.to == (Address("Bücher", "buecher@example.org"),)
    assert mail.text == "Hallö\n\n" + "x" * 3_000 + "\n"
    assert parcel.data.isascii()


def test_headers_of_the_standard_librarys_own_classes_are_read() -> None:
    message = standard(Subject="s")
    message["From"] = StandardAddress("Jörg", "joerg", "example.com")
    message["To"] = [
        StandardAddress("A, B", "a", "example.org"),
        StandardAddress("", "b c", "x.example"),
    ]
    parcel = pack(message, address=ADA)
    assert parcel.recipients == ("a@example.org", '"b c"@x.example')


def test_a_message_whose_class_writes_itself_in_another_way_is_written_right() -> None:
    class Peculiar(MIMEMultipart):
        """As Django's messages do: ``as_bytes`` takes no policy."""

        def as_bytes(self, *_: object) -> bytes:
            raise AssertionError

    message = Peculiar()
    message.attach(MIMEText("hallö\n", _charset="utf-8"))
    message["To"] = "bob@example.org"
    message.preamble = "unusual"
    assert Message.from_bytes(pack(message, address=ADA).data).text == "hallö\n"


def test_a_line_from_an_mbox_file_is_not_sent() -> None:
    parcel = pack(b"From bob Sat Jan 31 10:00:00 2026\n" + RAW + b"\nx\n", address=ADA)
    assert parcel.data == RAW + b"\r\nx\r\n"


def test_a_message_of_headers_alone_gets_its_empty_line() -> None:
    for raw in (RAW, RAW.removesuffix(b"\r\n")):
        assert pack(raw, address=ADA).data == RAW + b"\r\n"


def test_a_parcel_says_nothing_private() -> None:
    text = repr(keywords(subject="secret"))
    assert text.startswith("<Parcel to 1, ")
    assert "secret" not in text
    assert "bob" not in text


def test_addresses_outside_ascii_are_written_in_utf_8() -> None:
    parcel = keywords(to="Jörg <jörg@example.org>")
    assert parcel.recipients == ("jörg@example.org",)
    assert "<jörg@example.org>".encode() in parcel.data  # RFC 6532
