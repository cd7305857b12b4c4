"""Octets that no server takes: refused before anything goes out, or made right."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from email.message import Message as StandardMessage
from email.mime.text import MIMEText

import pytest

from mailoauth.mail.message import Message
from mailoauth.mail.parcel import pack
from tests.test_bad_input_sending import ADA, BOB, letter, refused


def test_bare_line_ends_are_made_whole() -> None:
    raw = b"To: bob@example.org\nFrom: x@example.org\rSubject: s\r\n\na\rb\nc\r\nd\n.\n"
    data = pack(raw, address=ADA).data
    assert data.endswith(b"From: x@example.org\r\nSubject: s\r\n\r\na\r\nb\r\nc\r\nd\r\n.\r\n")
    assert data.count(b"\r\n") == data.count(b"\r") == data.count(b"\n")


def test_a_line_that_no_server_must_take_is_refused_with_its_number() -> None:
    head = b"From: a@x.example\nDate: Sat, 31 Jan 2026 10:00:00 +0000\nMessage-ID: <1@x>\nTo: b@x.example\n"
    for last in (b"", b"\n", b"\nmore\n"):
        for body in (b"x" * 998, b"y\n" + b"x" * 998):
            assert pack(head + b"\n" + body + last, address=ADA).data.count(b"x" * 998) == 1
        refused(head + b"\n" + b"x" * 999 + last, "Line 6 of the message has more than 998")
        refused(head + b"\nshort\n" + b"x" * 50_000 + last, "Line 7 of the message")
    refused(b"To: b@x.example\nX-Long: " + b"x" * 991 + b"\n\n", "Line 5 of the message")


def test_a_text_with_long_lines_in_a_message_is_encoded() -> None:
    old = MIMEText("x" * 5_000 + "\nshort = \n")
    old["To"] = BOB
    new = letter(To=BOB)
    new.set_content("x" * 5_000 + "\nshort = \n", cte="7bit")
    new.add_attachment(b"pdf", maintype="application", subtype="pdf", filename="a.pdf")
    for message in (old, new):
        data = pack(message, address=ADA).data
        assert max(map(len, data.split(b"\r\n"))) <= 76 + len("boundary")
        assert data.lower().count(b"content-transfer-encoding: quoted-printable") == 1
        assert Message.from_bytes(data).text == "x" * 5_000 + "\nshort = \n"
    signed = email.message_from_string(
        "To: b@x.example\nContent-Type: multipart/signed; boundary=b\n\n"
        "--b\n\n" + "x" * 5_000 + "\n--b\n\nsignature\n--b--\n"
    )
    refused(signed, "more than 998")  # what is signed must not be changed


@pytest.mark.parametrize("policy", ["default", "SMTP", "compat32"])
def test_a_header_in_one_long_line_is_folded(policy: str) -> None:
    references = " ".join(f"<{number}@example.org>" for number in range(100))
    raw = f"To: b@x.example\nReferences: {references}\n\nx\n"
    message = email.message_from_string(raw, policy=getattr(email.policy, policy))
    data = pack(message, address=ADA).data
    assert Message.from_bytes(data).headers["References"] == references
    assert max(map(len, data.split(b"\r\n"))) <= 78


def test_a_nul_is_refused() -> None:
    refused(b"To: bob@example.org\n\na\0b", "NUL byte")
    assert Message.from_bytes(pack({"to": BOB, "text": "a\0b"}, address=ADA).data).text == "a\0b\n"


def test_headers_that_end_without_an_empty_line_are_refused() -> None:
    # What follows would be text, and a Bcc in it seen by everybody.
    raw = b"To: bob@example.org\nno header\nBcc: eve@example.org\n\nx"
    refused(raw, "headers of the message cannot be read")


def test_a_header_with_a_line_break_in_it_is_refused() -> None:
    for value in ("a\nBcc: eve@example.org", "ä\nBcc: eve@example.org", "a\r\n\r\nbody"):
        injected = StandardMessage()
        injected["To"] = BOB
        injected["Subject"] = value
        injected.set_payload("x")
        refused(injected, "cannot be written")


def test_a_message_without_from_is_sent_from_the_mailbox() -> None:
    for message in (letter(To=BOB), {"to": BOB}, b"To: bob@example.org\n\nx"):
        parcel = pack(message, address=ADA)
        assert parcel.sender == ADA
        assert Message.from_bytes(parcel.data).headers["From"] == ADA


def test_a_message_that_is_nested_without_end_is_written_or_refused() -> None:
    inner: StandardMessage = letter(To=BOB)
    for _ in range(2_000):
        outer = EmailMessage()
        outer["To"] = BOB
        outer["Content-Type"] = "multipart/mixed"
        outer.set_payload([inner])
        inner = outer
    refused(inner, "cannot be written")


def test_what_the_message_says_about_itself_wrongly_is_sent_as_it_is() -> None:
    raw = b"To: bob@example.org\nContent-Type: multipart/mixed\nMIME-Version: 1.0\n\nno boundary\n"
    for policy in (email.policy.default, email.policy.compat32):
        data = pack(email.message_from_bytes(raw, policy=policy), address=ADA).data
        assert data.endswith(b"\r\n\r\nno boundary\r\n")
