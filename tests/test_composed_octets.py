"""What is composed is what the standard library's parser reads, over a wide corpus."""

from __future__ import annotations

import copy
import email
import email.policy
import pickle
import random
import re
import subprocess
import sys
from email.message import EmailMessage
from typing import Any

import pytest

from mailoauth.mail.compose import compose
from mailoauth.mail.message import Address, Message
from mailoauth.mail.parcel import pack
from mailoauth.mail.writing.serial import serialize

ADA = Address("Ada", "ada@example.com")
BOB = Address("", "bob@example.org")
OUTLOOK_ID = f"<{'A0B1C2D3' * 12}@AM0PR04MB1234.eurprd04.prod.outlook.example>"
SUBJECTS = [
    "Report",
    "",
    "Grüße aus Köln",
    "漢字と仮名" * 40,
    "emoji 👩‍👩‍👧‍👦 and 🇩🇪",
    "x" * 10_000,
    "word " * 2_000 + "end",
    "ä" * 10_000,
    "two  spaces   three",
    " spaces around ",
    "a" + " " * 1_200 + "b",
    "=?utf-8?q?not_encoded?=",
    'quotes " and \\ and (comment) <a@b>',
    "a, b; c: d",
    "\xa0no-break\u200d",
]
NAMES = [
    "",
    "Ada",
    "Ada Lovelace",
    "Lovelace, Ada",
    "Jörg Müller",
    "山田 太郎",
    'The "Countess"',
    "back\\slash",
    "=?utf-8?q?x?=",
    "ada@example.com",
    "A. N. Other (home)",
    "😀",
    "Ä" * 30,
    "Ada" + " of Lovelace" * 30,
    "é è" * 30,
    "x" * 2_000,
]
LOCALS = ["ada", "a.b+c", '"a b"', '"a@b"', '"a\\"b"', "o'brien", "x" * 64]
TEXTS = [
    "",
    "one line",
    "with a line end\n",
    "a\nb\n\nc\n\n\n",
    "CRLF\r\nLF\nCR\rend",
    ".\n..\n.dot\n",
    "From here\n>From there\nFrom\n",
    "x" * 2_000,
    "word " * 400,
    "Grüße\nund Küsse\n",
    "ü" * 2_000,
    "漢字\n" * 300,
    "👩‍👩‍👧‍👦\n",
    "trailing space \n-- \nAda\t\n",
    "=41 =\n=?utf-8?q?x?=\n",
    "--=_boundary\n--\n",
    "nul \0 and form feed \f\n",
    "a\u2028b\x85c\x0bd\n",
    "short\n" * 5_000,
    "\n",
    " ",
]
FILES = [
    ("a.bin", bytes(range(256)) * 9),
    ("Übersicht äöü.pdf", b"%PDF"),
    ("漢" * 60 + ".txt", b"text\nlines\r\nmixed\r"),
    ('semi;colon "quoted".csv', b""),
    ("x" * 190 + ".txt", b"\n.\n"),
    ("57", b"x" * 57),
    ("large", random.Random(1).randbytes(57 * 1024 * 2 + 1)),
]


def lines(text: str) -> str:
    """A text with the line ends that mail has, and one at its end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def read(raw: bytes) -> EmailMessage:
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert raw.endswith(b"\r\n")
    words = re.findall(rb"=\?utf-8\?[bq]\?[^? ]*\?=", raw)
    assert max(map(len, words), default=0) <= 75  # RFC 2047 section 2
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def as_said(part: Any) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


def check(**given: Any) -> None:
    """Go every way to the octets, and compare what is read with what was given."""
    parts = {"sender": ADA, "to": [BOB], "subject": "s", "text": "t", **given}
    composed = compose(**parts)
    ways = [
        pack(parts, address=ADA.address).data,
        pack(composed, address=ADA.address).data,
        serialize(composed),
        composed.as_bytes(policy=composed.policy.clone(linesep="\r\n")),
    ]
    for raw in ways:
        assert raw.isascii()
        compare(read(raw), parts)
        assert Message.from_bytes(raw).to == tuple(parts["to"])
    compare(composed, parts)


def compare(message: EmailMessage, parts: dict[str, Any]) -> None:
    assert message["Subject"] == parts["subject"]
    for name, given in (("From", [parts["sender"]]), ("To", parts["to"])):
        found = [(each.display_name, each.addr_spec) for each in message[name].addresses]
        # The library puts spaces between the encoded words of a long name.
        assert [
            (name.replace(" ", ""), spec) if len(name) > 20 else (name, spec)
            for name, spec in found
        ] == [
            (each.name.replace(" ", "") if len(each.name) > 20 else each.name, each.address)
            for each in given
        ]
    assert as_said(message.get_body(("plain",))) == lines(parts["text"])
    if "html" in parts:
        assert as_said(message.get_body(("html",))) == lines(parts["html"])
    files = [
        (each.get_filename(), each.get_payload(decode=True)) for each in message.iter_attachments()
    ]
    assert files == [(name.replace('"', "_"), data) for name, data in parts.get("attachments", [])]


@pytest.mark.parametrize("subject", SUBJECTS, ids=range(len(SUBJECTS)))
def test_every_subject_is_read_as_it_was_written(subject: str) -> None:
    check(subject=subject)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_every_name_is_read_as_it_was_written(name: str) -> None:
    check(sender=Address(name, "ada@example.com"), to=[Address(name, "bob@example.org"), BOB])


@pytest.mark.parametrize("local", LOCALS)
@pytest.mark.parametrize("domain", ["example.com", "xn--bcher-kva.example", "[192.0.2.1]"])
def test_every_address_is_read_as_it_was_written(local: str, domain: str) -> None:
    check(to=[Address("Bob", f"{local}@{domain}"), Address("", f"{local}@{domain}")])


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_text_is_read_as_it_was_written(text: str) -> None:
    check(text=text)
    check(text="x", html=text)
    check(text=text, html=text, attachments=FILES[:1])


@pytest.mark.parametrize("file", FILES, ids=range(len(FILES)))
def test_every_file_is_read_as_it_was_given(file: tuple[str, bytes]) -> None:
    check(attachments=[file])
    check(html="<p>x</p>", attachments=[file, file])


def test_five_hundred_recipients_are_all_read() -> None:
    check(to=[Address(f"Bob Número {number}", f"bob{number}@example.org") for number in range(500)])


def test_all_of_it_mixed_is_read_as_it_was_given() -> None:
    chance = random.Random(4)
    for _ in range(60):
        check(
            subject=chance.choice(SUBJECTS),
            sender=Address(chance.choice(NAMES), "ada@example.com"),
            to=[
                Address(chance.choice(NAMES), f"{chance.choice(LOCALS)}@example.org")
                for _ in range(chance.randint(1, 9))
            ],
            text=chance.choice(TEXTS),
            html=chance.choice(TEXTS),
            attachments=chance.choices(FILES, k=chance.randint(0, 3)),
        )


def test_an_international_domain_is_written_in_ascii() -> None:
    raw = pack({"to": "Bob <bob@bücher.example>", "text": "x"}, address=ADA.address)
    assert b"To: Bob <bob@xn--bcher-kva.example>\r\n" in raw.data
    assert raw.recipients == ("bob@xn--bcher-kva.example",)


def test_a_text_is_encoded_in_the_way_that_is_shorter() -> None:
    german = pack(
        {"to": "b@x.example", "text": "Grüße aus der Stadt am Rhein\n" * 50}, address=ADA.address
    )
    assert german.data.count(b"Gr=C3=BC=C3=9Fe aus der Stadt am Rhein\r\n") == 50
    chinese = pack({"to": "b@x.example", "text": "漢字仮名\n" * 500}, address=ADA.address)
    assert b"Content-Transfer-Encoding: base64\r\n" in chinese.data
    assert b"=?" not in german.data + chinese.data


def test_long_message_ids_stay_in_one_piece() -> None:
    raw = pack(
        {"to": "bob@example.org", "in_reply_to": OUTLOOK_ID, "headers": {"Message-ID": OUTLOOK_ID}},
        address=ADA.address,
    ).data
    assert raw.count(OUTLOOK_ID.encode()) == 3
    assert read(raw)["In-Reply-To"].strip() == OUTLOOK_ID


def test_inline_pictures_keep_their_names_and_content() -> None:
    inline = {"logo@x": ("logo.png", b"png"), "b%20c": ("Größe.gif", b"gif")}
    raw = pack({"to": "b@example.org", "html": "<img>", "inline": inline}, address=ADA.address).data
    pictures = [part for part in read(raw).walk() if "Content-ID" in part]
    assert [
        (
            part["Content-ID"],
            part.get_filename(),
            part.get_content(),
            part["Content-Disposition"][:6],
        )
        for part in pictures
    ] == [
        ("<logo@x>", "logo.png", b"png", "inline"),
        ("<b%20c>", "Größe.gif", b"gif", "inline"),
    ]


def test_a_composed_message_can_be_worked_on() -> None:
    message = compose(sender=ADA, to="bob@example.org", subject="Grüße", text="t", html="<p>")
    for copied in (message, copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert copied["Subject"] == "Grüße"
        assert copied["To"].addresses[0].username == "bob"
        del copied["Subject"]
        copied["Subject"] = "Küsse"
        copied["X-Long"] = "word " * 50
        copied["List-Unsubscribe"] = f"<https://example.com/{'x' * 200}>"
        copied.add_attachment(b"pdf", maintype="application", subtype="pdf", filename="Ä.pdf")
        with pytest.raises(ValueError, match="linefeed"):
            copied["X-Bad"] = "a\nBcc: eve@example.org"
        again = read(serialize(copied))
        assert again["Subject"] == "Küsse"
        assert again["X-Long"].split() == ["word"] * 50
        assert again["List-Unsubscribe"] == f"<https://example.com/{'x' * 200}>"
        assert [part.get_filename() for part in again.iter_attachments()] == ["Ä.pdf"]
        assert as_said(again.get_body(("html",))) == "<p>\n"


def test_a_plain_message_is_written_as_the_standard_library_writes_it() -> None:
    for chosen in (email.policy.default, email.policy.compat32, email.policy.SMTP):
        raw = pack(
            {"to": "b@example.org", "text": "a\n", "html": "<p>ä</p>", "attachments": FILES[:3]},
            address=ADA.address,
        ).data
        parsed = email.message_from_bytes(raw, policy=chosen)
        assert serialize(parsed) == raw
        parsed.preamble = "This is a message in MIME format."
        assert b"\r\n\r\nThis is a message in MIME format.\r\n--=_" in serialize(parsed)


def test_keywords_are_packed_without_the_slow_part_of_the_standard_library() -> None:
    code = (
        "import sys; from mailoauth.mail.parcel import pack;"
        "pack({'to': 'b@x.example', 'text': 'x', 'html': '<p>ü'}, address='a@x.example');"
        "print([name for name in sys.modules if name.startswith(('email', 'asyncio', 'ssl'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
