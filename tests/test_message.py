"""Messages as they come, whole and broken."""

from __future__ import annotations

import email.message
import pickle
from datetime import UTC, datetime

import pytest

from mailoauth.mail.message import Address, Message

PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]


def message(headers: str, body: str | bytes = "") -> Message:
    content = body if isinstance(body, bytes) else body.encode()
    raw = headers.strip("\n").encode() + b"\n\n" + content
    return Message.from_bytes(raw.replace(b"\n", b"\r\n"))


WHOLE = message(
    """
From: =?utf-8?B?QWRhIEzDtnZlbGFjZQ==?= <ada@example.com>
To: "Bob, the one" <bob@example.org>, carol@example.org
Cc: team: dan@example.org, eve@example.org;
Bcc: fred@example.org
Reply-To: (the desk) desk@example.com
Subject: Report =?utf-8?Q?f=C3=BCr?=
 =?utf-8?Q?_Mai?=
Date: Sat, 31 Jan 2026 10:00:00 +0100
Message-ID: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="m"
""",
    """preamble
--m
Content-Type: multipart/related; boundary="r"

--r
Content-Type: multipart/alternative; boundary="a"

--a
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--a
Content-Type: text/html; charset=utf-8

<p>Grüße <img src="cid:logo%401"></p>
--a--
--r
Content-Type: image/png; name=logo.png
Content-ID: <logo@1>
Content-Transfer-Encoding: base64

cG5n
--r--
--m
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''%C3%9Cber; filename*1="sicht.pdf"
Content-Transfer-Encoding: base64

cGRm
--m
Content-Type: message/rfc822

Subject: inner

inner text
--m
Content-Type: application/ms-tnef; name="winmail.dat"

tnef
--m--
epilogue
""",
)


def test_a_whole_message_shows_its_headers() -> None:
    assert WHOLE.sender == Address("Ada Lövelace", "ada@example.com")
    assert WHOLE.to == (
        Address("Bob, the one", "bob@example.org"),
        Address("", "carol@example.org"),
    )
    assert [each.address for each in WHOLE.cc] == ["dan@example.org", "eve@example.org"]
    assert WHOLE.bcc == (Address("", "fred@example.org"),)
    assert WHOLE.reply_to == (Address("the desk", "desk@example.com"),)
    assert WHOLE.subject == "Report für Mai"
    assert WHOLE.date == datetime(2026, 1, 31, 9, tzinfo=UTC)
    assert WHOLE.message_id == "<1@example.com>"


def test_a_whole_message_shows_its_parts() -> None:
    assert WHOLE.text == "Grüße"
    assert WHOLE.html == '<p>Grüße <img src="cid:logo%401"></p>'
    assert [(each.filename, each.content_type, each.content) for each in WHOLE.attachments] == [
        ("Übersicht.pdf", "application/pdf", b"pdf"),
        ("", "message/rfc822", b"Subject: inner\r\n\r\ninner text"),
        ("winmail.dat", "application/ms-tnef", b"tnef"),
    ]
    (picture,) = WHOLE.inline
    assert (picture.filename, picture.content_id, picture.content) == ("logo.png", "logo@1", b"png")
    assert picture.inline
    assert not WHOLE.attachments[0].inline
    assert WHOLE.attachments[0].size == 3
    assert WHOLE.defects == ()


def test_what_the_server_says_comes_with_the_message() -> None:
    seen = Message.from_bytes(
        b"Subject: a\r\n\r\n",
        uid=7,
        folder="INBOX",
        flags=[r"\Seen"],
        internal_date=datetime(2026, 1, 31),  # noqa: DTZ001 - a naive time is the case
        size=1234,
    )
    assert (seen.uid, seen.folder, seen.flags, seen.size) == (7, "INBOX", (r"\Seen",), 1234)
    assert seen.internal_date == datetime(2026, 1, 31, tzinfo=UTC)
    assert seen.raw == b"Subject: a\r\n\r\n"
    assert Message.from_bytes(b"abc").size == 3


def test_a_message_cannot_be_changed_from_outside() -> None:
    for name in PROPERTIES:
        with pytest.raises(AttributeError):
            setattr(WHOLE, name, "changed")
    WHOLE.email["X-Mark"] = "changed"
    assert "X-Mark" not in WHOLE.email
    WHOLE.headers.items().clear()
    assert len(WHOLE.headers) > 0


def test_reprs_show_no_content() -> None:
    shown = repr(Message.from_bytes(WHOLE.raw, uid=7, folder="INBOX"))
    assert shown == f"<Message uid=7 folder='INBOX' size={len(WHOLE.raw)}>"
    shown = f"{WHOLE.headers!r} {WHOLE.attachments!r}"
    for private in ("Ada", "example", "Report", "sicht"):
        assert private not in shown


def test_a_message_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(WHOLE))
    assert (again.subject, again.text) == (WHOLE.subject, WHOLE.text)


def test_headers_are_found_in_any_case_and_all_of_them() -> None:
    headers = message("Received: one\nreceived: two\nX-Mark: =?utf-8?Q?=C3=B6?=").headers
    assert headers["RECEIVED"] == "one"
    assert headers.get("x-mark") == "ö"
    assert headers.get("nothing") is None
    assert headers.get("nothing", "else") == "else"
    assert headers.get_all("Received") == ["one", "two"]
    assert headers.items() == [("Received", "one"), ("received", "two"), ("X-Mark", "ö")]
    assert "RECEIVED" in headers
    assert list(headers) == ["Received", "received", "X-Mark"]
    with pytest.raises(KeyError):
        headers["nothing"]


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        ("utf-8", "utf-8", "Grüße"),
        ("iso-8859-1", "cp1252", "Grüße “x”"),
        ("no-such", "utf-8", "Grüße"),
        ("no-such", "cp1252", "Grüße"),
        ("us-ascii", "cp1252", "Grüße"),
        ("windows-1251", "cp1251", "Привет"),
        ("GB2312", "gb18030", "中文"),
        ("utf-8", "utf-8-sig", "Grüße"),
    ],
)
def test_text_is_decoded_whatever_its_charset_says(charset: str, encoding: str, text: str) -> None:
    mail = message(f"Content-Type: text/plain; charset={charset}", text.encode(encoding))
    assert mail.text == text


def test_html_may_name_its_own_charset() -> None:
    page = "<meta charset=windows-1251><p>Привет</p>"
    assert message("Content-Type: text/html", page.encode("cp1251")).text == "Привет"


@pytest.mark.parametrize("name", ["base64", "zip", "rot13", "hex", "idna", "unicode_escape"])
def test_a_codec_that_is_no_charset_is_not_used(name: str) -> None:
    mail = message(f"Content-Type: text/plain; charset={name}", b"Gr\xfc\xdfe \\x41")
    assert mail.text == "Grüße \\x41"
    assert mail.defects == (f"unknown charset {name}",)
    assert message(f"Subject: =?{name}?Q?a?=").subject == f"=?{name}?Q?a?="


def test_an_unknown_charset_is_a_defect() -> None:
    mail = message("Content-Type: text/plain; charset=no-such", "hello")
    assert mail.defects == ("unknown charset no-such",)


def test_versions_of_one_text_are_shown_once_and_different_texts_all() -> None:
    mail = message(
        "Content-Type: multipart/mixed; boundary=m",
        """--m
Content-Type: text/html

<p>Hello</p>
--m
Content-Type: text/plain

footer
--m--""",
    )
    assert mail.text == "Hello\nfooter"
    assert mail.html == "<p>Hello</p>"
    assert mail.attachments == ()


def test_an_empty_text_beside_html_is_not_the_text() -> None:
    mail = message(
        "Content-Type: multipart/alternative; boundary=a",
        "--a\n\n \n--a\nContent-Type: text/html\n\n<b>Hello</b>\n--a--",
    )
    assert mail.text == "Hello"


def test_a_named_text_is_an_attachment_and_an_unshown_picture_too() -> None:
    mail = message(
        "Content-Type: multipart/mixed; boundary=m",
        """--m

hello
--m
Content-Type: text/plain; name=notes.txt
Content-Disposition: inline

notes
--m
Content-Type: image/png
Content-Disposition: inline; filename=a.png
Content-ID: <unused>

png
--m--""",
    )
    assert mail.text == "hello"
    assert [each.filename for each in mail.attachments] == ["notes.txt", "a.png"]
    assert mail.inline == ()


def test_a_signed_message_keeps_its_signature_as_an_attachment() -> None:
    mail = message(
        "Content-Type: multipart/signed; protocol=x; boundary=s",
        "--s\n\nhello\n--s\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\nsig\n--s--",
    )
    assert mail.text == "hello"
    assert [each.filename for each in mail.attachments] == ["smime.p7s"]


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    mail = message(
        "Content-Type: multipart/digest; boundary=d",
        "--d\n\nSubject: one\n--d\nContent-Type: nonsense\n\nx\n--d\nContent-Type: image/png\n\nx\n--d--",
    )
    kinds = [each.content_type for each in mail.attachments]
    assert kinds == ["message/rfc822", "message/rfc822", "image/png"]


def test_a_boundary_that_begins_like_another_is_not_taken_for_it() -> None:
    mail = message(
        "Content-Type: multipart/mixed; boundary=b",
        "--b\nContent-Type: multipart/mixed; boundary=b-2\n\n--b-2\n\none\n--b-2--\n--b\n\ntwo --b\n--b--",
    )
    assert mail.text == "one\ntwo --b"
    assert mail.defects == ()


def test_the_standard_librarys_message_is_there_for_what_is_not_offered() -> None:
    assert isinstance(WHOLE.email, email.message.Message)
    assert WHOLE.email.get_boundary() == "m"
