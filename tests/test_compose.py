"""Messages from keywords: what goes over the line, and what cannot."""

from __future__ import annotations

import email
import email.policy
import io
import random
from email.message import EmailMessage
from email.message import Message as StandardMessage
from email.mime.text import MIMEText
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.compose import compose
from mailoauth.mail.message import Address, Message
from mailoauth.mail.writing.serial import envelope, serialize

if TYPE_CHECKING:
    from pathlib import Path

LONG_ID = f"<{'A0B1C2D3' * 8}@AM0PR04MB1234.eurprd04.prod.outlook.example>"


def sent(**parts: Any) -> Message:
    """Compose and serialize a message and read it as its receiver does."""
    raw = serialize(compose(**parts))
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return Message.from_bytes(raw)


def test_a_plain_message_arrives_as_it_was_composed() -> None:
    mail = sent(
        sender="Ada <ada@example.com>",
        to="bob@example.org",
        cc=["carol@example.org", Address("Dan, the man", "dan@example.org")],
        reply_to="desk@example.com",
        subject="Report",
        text="line one\nline two",
    )
    assert mail.sender == Address("Ada", "ada@example.com")
    assert mail.to == (Address("", "bob@example.org"),)
    assert mail.cc == (Address("", "carol@example.org"), Address("Dan, the man", "dan@example.org"))
    assert mail.reply_to == (Address("", "desk@example.com"),)
    assert (mail.subject, mail.text, mail.html) == ("Report", "line one\nline two\n", None)
    assert mail.date is not None
    assert mail.message_id.endswith("@example.com>")
    assert mail.headers["MIME-Version"] == "1.0"
    assert mail.defects == ()


def test_the_message_id_does_not_tell_this_computers_name() -> None:
    assert sent(to="bob@example.org").message_id.endswith("@mailoauth.invalid>")


def test_html_brings_a_text_along() -> None:
    mail = sent(to="bob@example.org", html="<p>Grüße</p><p>two</p>")
    assert mail.text == "Grüße\n\ntwo\n"
    assert mail.html == "<p>Grüße</p><p>two</p>\n"
    assert mail.headers["Content-Type"].startswith("multipart/alternative")
    assert sent(to="bob@example.org", html="<p>a</p>", text="b").text == "b\n"


def test_pictures_are_shown_inline() -> None:
    mail = sent(
        to="bob@example.org",
        html="<img src='cid:logo'>",
        inline={"logo": ("logo.png", b"png")},
        attachments=[("a.pdf", b"pdf")],
    )
    assert [(each.filename, each.content, each.content_id) for each in mail.inline] == [
        ("logo.png", b"png", "logo")
    ]
    assert [each.filename for each in mail.attachments] == ["a.pdf"]


def test_attachments_come_from_paths_bytes_files_and_other_messages(tmp_path: Path) -> None:
    path = tmp_path / "Übersicht.pdf"
    path.write_bytes(b"pdf")
    memory = io.BytesIO(b"memory")
    (received,) = sent(to="bob@example.org", attachments=[("c.csv", b"a;b\r\n")]).attachments
    with path.open("rb") as file:
        mail = sent(
            to="bob@example.org",
            attachments=[
                path,
                str(path),
                file,
                memory,
                ("../x.txt", b"x\n"),
                received,
                ("m.eml", b"S: x"),
            ],
        )
    assert [(each.filename, each.content_type, each.content) for each in mail.attachments] == [
        ("Übersicht.pdf", "application/pdf", b"pdf"),
        ("Übersicht.pdf", "application/pdf", b"pdf"),
        ("Übersicht.pdf", "application/pdf", b"pdf"),
        ("attachment", "application/octet-stream", b"memory"),
        ("x.txt", "text/plain", b"x\n"),
        ("c.csv", "text/csv", b"a;b\r\n"),
        ("m.eml", "application/octet-stream", b"S: x"),
    ]


def test_random_subjects_and_names_arrive_as_they_were_written() -> None:
    chance = random.Random(2026)
    letters = "aä漢😀 ,.;:\"'()<>@\\=?_-"
    for _ in range(300):
        words = " ".join("".join(chance.choices(letters, k=chance.randint(1, 30))).split())
        text = (words * chance.randint(1, 8)).replace("=?", "=").strip() or "a"
        mail = sent(
            sender=Address(text, "ada@example.com"),
            to=[Address(text, "b@example.org")] * 3,
            subject=text,
        )
        assert mail.subject == text
        assert mail.sender == Address(text, "ada@example.com")
        assert mail.to == (Address(text, "b@example.org"),) * 3
        theirs = email.message_from_bytes(mail.raw, policy=email.policy.default)
        assert str(theirs["Subject"]) == text


def test_a_mailbox_name_outside_ascii_is_written_in_utf_8() -> None:
    raw = serialize(compose(to="Jörg <jörg@example.org>"))
    assert "<jörg@example.org>".encode() in raw  # RFC 6532; an encoded word would be another name


def test_very_long_words_do_not_make_very_long_lines() -> None:
    assert sent(to="bob@example.org", subject="x" * 5000).subject == "x" * 5000
    assert sent(to="bob@example.org", text="x" * 5000).text == "x" * 5000 + "\n"


def test_an_answer_continues_the_thread() -> None:
    first = Message.from_bytes(
        f"Message-ID: {LONG_ID}\r\nReferences: <0@x.example>\r\n\r\n".encode()
    )
    raw = serialize(compose(to="bob@example.org", in_reply_to=first))
    # The standard library writes ids of this length in encoded words, which ends threads.
    assert f"In-Reply-To: {LONG_ID}\r\n".encode() in raw
    assert b"References: <0@x.example>\r\n " + LONG_ID.encode() in raw
    assert sent(to="bob@example.org", in_reply_to=LONG_ID).headers["In-Reply-To"] == LONG_ID


def test_headers_of_ones_own_are_written_and_may_set_date_and_id() -> None:
    given = {
        "X-Mark": "Größe",
        "Message-ID": "<1@example.com>",
        "Date": "Sat, 31 Jan 2026 10:00:00 +0000",
    }
    mail = sent(to="bob@example.org", headers=given)
    assert mail.headers["X-Mark"] == "Größe"
    assert mail.message_id == "<1@example.com>"
    assert [mail.date and mail.date.day, len(mail.headers.get_all("Date"))] == [31, 1]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"to": "bob"}, "'bob'"),
        ({"to": "bob@"}, "'bob@'"),
        ({"to": "bob@one@example.org"}, "mail address"),
        ({"to": "bob\xa0x@example.org"}, "mail address"),
        ({"to": "bob@example.org, carol"}, "'carol'"),
        ({"to": "Lovelace, Ada <ada@example.com>"}, "'Lovelace'"),
        ({"to": "bob@exam ple.org extra"}, "mail address"),
        ({"to": "bob@example.org\r\nBcc: eve@example.org"}, "line break"),
        ({"to": Address("a\nb", "bob@example.org")}, "line break"),
        ({"to": Address("", "bob@example.org>\x00")}, "control"),
        ({"to": Address("", "bob@example.org, eve@example.org")}, "mail address"),
        ({"to": [5]}, "not an address"),
        ({"to": 5}, "list of addresses"),
        ({"to": b"bob@example.org"}, "list of addresses"),
        ({"to": "bob@" + "ü" * 70 + ".example"}, "mail address"),
        ({"subject": "a\r\nBcc: eve@example.org"}, "subject contains a line break"),
        ({"subject": "a\0"}, "control"),
        ({"subject": "\udc80"}, "not text"),
        ({"subject": 5}, "subject is a text"),
        ({"text": "\udc80"}, "not text"),
        ({"html": "\udc80"}, "not text"),
        ({"headers": {"X": "a\nB: c"}}, "line break"),
        ({"headers": {"X\nB": "a"}}, "name of a header"),
        ({"headers": {"X Y": "a"}}, "name of a header"),
        ({"headers": {"": "a"}}, "name of a header"),
        ({"headers": {"Subject": "a"}}, "Use subject="),
        ({"headers": {"from": "a@b.example"}}, "Use sender="),
        ({"headers": {"Content-Type": "a/b"}}, "follows from the content"),
        ({"headers": {"Date": "x"}}, "date 'x'"),
        ({"in_reply_to": "<1@x>\nBcc: a@b"}, "line break"),
        ({"inline": {"logo": ("a.png", b"")}}, "no html"),
        ({"html": "x", "inline": {"a b": ("a.png", b"")}}, "'a b'"),
        ({"attachments": ["/no/such/file.pdf"]}, r"file\.pdf"),
        ({"attachments": "report.pdf"}, "not a list"),
        ({"attachments": [("a\nb", b"")]}, "line break"),
        ({"attachments": [("a.txt", "text")]}, "cannot be attached"),
        ({"attachments": [io.StringIO("text")]}, "cannot be attached"),
        ({"attachments": [None]}, "cannot be attached"),
        ({"attachments": 5}, "attachments is a list of files, but was given as int"),
        ({"headers": ["X"]}, "headers is a mapping .* given as list"),
        ({"html": "x", "inline": ["a"]}, "inline is a mapping .* given as list"),
        ({"in_reply_to": 5}, "in_reply_to is a Message-ID or .* given as int"),
    ],
)  # fmt: skip
def test_what_would_break_a_message_is_a_configuration_error(
    parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        compose(**{"to": "bob@example.org", **parts})


def test_a_folder_cannot_be_attached(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        compose(to="bob@example.org", attachments=[tmp_path])


def test_the_envelope_names_everybody_once() -> None:
    message = compose(
        sender="Ada <ada@example.com>",
        to="bob@example.org, Bob <bob@EXAMPLE.org>, Bob@example.org",
        cc="jörg@bücher.example",
        bcc=["eve@example.org", "bob@example.org"],
    )
    assert envelope(message) == (
        "ada@example.com",
        ["bob@example.org", "Bob@example.org", "jörg@xn--bcher-kva.example", "eve@example.org"],
    )
    assert envelope(b"To: a@example.org\nBcc: b@example.org\n\nCc: c@example.org") == (
        "",
        ["a@example.org", "b@example.org"],
    )


def test_the_envelope_of_other_peoples_messages_is_read_too() -> None:
    message = MIMEText("hello")
    message["From"] = "one@example.com"
    message["Sender"] = "two@example.com"
    message["To"] = "=?utf-8?Q?L,_A?= <a@example.org>"
    assert envelope(message) == ("two@example.com", ["a@example.org"])


@pytest.mark.parametrize(
    "message",
    [EmailMessage(), b"", b"To: undisclosed-recipients:;\r\n\r\n", b"\r\nTo: a@b.example"],
)
def test_a_message_to_nobody_is_a_configuration_error(message: EmailMessage | bytes) -> None:
    with pytest.raises(ConfigError, match="no recipients"):
        envelope(message)


def test_a_recipient_without_a_domain_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="'bob'"):
        envelope(b"To: bob\r\n\r\n")


def test_bcc_is_never_sent() -> None:
    message = compose(to="bob@example.org", bcc="eve@example.org", text="x")
    assert b"eve" not in serialize(message)
    assert message["Bcc"] == "eve@example.org"  # kept for the envelope
    compat = MIMEText("hello")
    compat["bcc"] = "eve@example.org"
    assert b"eve" not in serialize(compat)
    raw = b"To: b@example.org\nBCC : eve@example.org,\n\tmallory@example.org\nSubject: a\n\nBcc: stays\n"
    assert serialize(raw) == b"To: b@example.org\r\nSubject: a\r\n\r\nBcc: stays\r\n"
    assert serialize(b"Resent-Bcc: eve@example.org") == b""


def test_bytes_that_are_right_are_left_as_they_are() -> None:
    raw = b"Subject:   odd   spaces \r\nX: \xff\r\n\r\n8-bit \xc3\xb6\r\n"
    assert serialize(raw) == raw
    assert serialize(b"\r\nbody") == b"\r\nbody"


def test_a_parsed_message_goes_out_as_it_came() -> None:
    raw = (
        b"From: Ada <ada@example.com>\r\nSubject: =?utf-8?q?=C3=B6?=\r\n  two\r\n"
        b"References: " + LONG_ID.encode() + b"\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"Gr\xc3\xbc\xc3\x9fe\r\nFrom here\r\n"
    )
    policies: tuple[Any, ...] = (email.policy.compat32, email.policy.default, email.policy.SMTP)
    for policy in policies:
        assert serialize(email.message_from_bytes(raw, policy=policy)) == raw


def test_a_message_that_cannot_be_written_is_a_configuration_error() -> None:
    injected = StandardMessage()
    injected["Subject"] = "a\nBcc: eve@example.org"
    injected.set_payload("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        serialize(injected)
