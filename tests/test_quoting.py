"""What an answer quotes and what is sent on: texts, HTML, pictures, files."""

from __future__ import annotations

import email
import email.policy

import pytest

from mailoauth.mail.message import Message
from mailoauth.mail.parcel import pack
from mailoauth.mail.replying import forward
from tests.test_replying import ADA, HEADERS, addresses, answer, received, sent_on

# What it quotes.


def test_the_text_is_quoted_below_with_who_wrote_it() -> None:
    mail = answer(received(), text="Thanks!")
    assert mail.text == (
        "Thanks!\n\nOn Sat, 31 Jan 2026 10:00:00 +0100, Bob <bob@example.org> wrote:\n"
        "> one\n>\n>> two\n"
    )
    assert mail.html is None
    assert answer(received(), text="Thanks!", quote=False).text == "Thanks!\n"
    bare = answer(received("From: b@example.org\r\n"))
    assert bare.text == "b@example.org wrote:\n> one\n>\n>> two\n"


def test_html_is_quoted_in_a_block_and_left_as_it_is() -> None:
    page = (
        "<!DOCTYPE html><html><head><title>T</title><style><!-- p {color: red} --></style></head>"
        "<body class=a><p>one <img src='https://example.org/a.png'></p></body></html>"
    )
    html_mail = received(f"{HEADERS}Content-Type: text/html\r\n", page)
    mail = answer(html_mail, html="<html><body><p>Thanks!</p></body></html>")
    assert mail.html is not None
    before, _, quoted = mail.html.partition("<blockquote")
    assert before.startswith("<html><body><p>Thanks!</p><br>")
    assert "Bob &lt;bob@example.org&gt; wrote:" in before
    assert (
        "<style><!-- p {color: red} --></style><p>one <img src='https://example.org/a.png'></p>"
        in quoted
    )
    assert quoted.endswith("</blockquote>\n</body></html>\n")
    assert (quoted.count("<body"), quoted.count("<title")) == (0, 0)
    assert mail.text.startswith("Thanks!\n\nOn Sat")
    assert "> one" in mail.text


def test_a_text_answer_to_html_and_an_html_answer_to_text_are_escaped() -> None:
    html_mail = received(f"{HEADERS}Content-Type: text/html\r\n", "<p>one</p>")
    mail = answer(html_mail, text="a < b & c\nd")
    assert mail.html is not None
    assert mail.html.startswith("<div>a &lt; b &amp; c<br>\nd</div>")
    assert mail.text.startswith("a < b & c\nd\n\nOn Sat")
    text_mail = received(body="<script>x</script>\r\n")
    mail = answer(text_mail, html="<p>a</p>")
    assert mail.html is not None
    assert "&lt;script&gt;x&lt;/script&gt;" in mail.html
    assert "<script" not in mail.html


def with_picture(content_id: str = "logo@x") -> Message:
    return Message.from_bytes(
        pack(
            {
                "sender": "bob@example.org",
                "to": ADA,
                "html": f"<p>see</p><img src='cid:{content_id}'>",
                "inline": {content_id: ("logo.png", b"theirs")},
                "attachments": [("report.pdf", b"pdf")],
            },
            address="bob@example.org",
        ).data
    )


def test_pictures_are_kept_where_the_quoted_html_shows_them() -> None:
    mail = answer(with_picture(), text="nice")
    assert [(each.content_id, each.content) for each in mail.inline] == [("logo@x", b"theirs")]
    assert mail.attachments == ()
    assert answer(with_picture(), text="nice", quote=False).inline == ()


def test_a_picture_of_ones_own_may_have_the_same_name() -> None:
    mail = answer(
        with_picture(), html="<img src='cid:logo@x'>", inline={"logo@x": ("mine.png", b"mine")}
    )
    assert mail.html is not None
    own, _, quoted = mail.html.partition("<blockquote")
    assert "'cid:logo@x'" in own
    assert "'cid:2.logo@x'" in quoted
    assert {each.content_id: each.content for each in mail.inline} == {
        "logo@x": b"mine",
        "2.logo@x": b"theirs",
    }


# What is sent on.


def test_what_is_sent_on_says_what_it_was() -> None:
    mail = sent_on(received(), text="FYI", attachments=[("own.txt", b"x")])
    assert mail.text == (
        "FYI\n\n---------- Forwarded message ----------\nFrom: Bob <bob@example.org>\n"
        "Date: Sat, 31 Jan 2026 10:00:00 +0100\nSubject: Report\n"
        "To: Ada <ada@example.com>, Carol <carol@example.org>\nCc: Dan <dan@example.org>\n"
        "\none\n\n> two\n"
    )
    assert addresses(mail.to) == ["z@example.net"]
    assert [each.filename for each in mail.attachments] == ["own.txt"]
    assert b"eve@" not in mail.raw


def test_everything_attached_is_sent_on() -> None:
    mail = sent_on(with_picture(), text="FYI")
    assert [(each.filename, each.content) for each in mail.attachments] == [("report.pdf", b"pdf")]
    assert [(each.content_id, each.content) for each in mail.inline] == [("logo@x", b"theirs")]
    assert mail.html is not None
    assert "<b>From:</b> bob@example.org<br>" in mail.html
    page = "<!DOCTYPE html><html><p>one</p></html>"
    mail = sent_on(received(f"{HEADERS}Content-Type: text/html\r\n", page))
    assert mail.html is not None
    assert "<b>From:</b> Bob &lt;bob@example.org&gt;<br>" in mail.html
    assert mail.html.endswith("\n<p>one</p>\n")
    assert mail.html.startswith("<div>---------- Forwarded")
    assert "<html" not in mail.html


@pytest.mark.parametrize(
    ("nested", "kept_as"),
    [
        (b"Subject: nested\r\n\r\nhello\r\n", "message/rfc822"),
        (b"Subject: nested\r\n\r\nhell\xc3\xb6\r\n", "application/octet-stream"),
        (b"Subject: nested\r\n\r\n" + b"x" * 2_000 + b"\r\n", "application/octet-stream"),
    ],
)
def test_attached_messages_are_sent_on_as_what_passes_every_server(
    nested: bytes, kept_as: str
) -> None:
    raw = (
        HEADERS.encode() + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\neJ8+Ig==\r\n"
        b"--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-16\r\n"
        b"Content-Disposition: attachment; filename=a.ics\r\n\r\nBEGIN\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + nested + b"--b--\r\n"
    )
    mail = sent_on(Message.from_bytes(raw))
    tnef, invitation, message = mail.attachments
    assert (tnef.filename, tnef.content_type) == ("winmail.dat", "application/ms-tnef")
    assert tnef.content == b"\x78\x9f\x3e\x22"
    assert b'Content-Type: text/calendar; charset="utf-16"; method="REQUEST"\r\n' in mail.raw
    assert (invitation.filename, invitation.content) == ("a.ics", b"BEGIN")
    assert (message.filename, message.content_type) == ("attachment.eml", kept_as)
    assert message.content.rstrip() == nested.rstrip()
    if kept_as == "message/rfc822":
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        built = forward(Message.from_bytes(raw), to="z@example.net")
        for either in (parsed, built):
            assert [part["Subject"] for part in either.walk()][-1] == "nested"
