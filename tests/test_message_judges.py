"""The standard library's email as the judge of well-formed mail, and its own mail read by us."""

from __future__ import annotations

import email
import email.policy
import importlib.resources
import random
import string
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage

import pytest

from mailoauth.mail.message import Address, Message
from tests.test_broken_mail import check_types

PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]
LETTERS = string.ascii_letters + string.digits
WORDS = [
    "Report",
    "Größe",
    "und",
    "Zahlen",
    "日本語",
    "a=b",
    "50%",
    "naïve",
    "Ωmega",
    "x_y",
    "(draft)",
    "it's",
]


def made(chance: random.Random) -> tuple[EmailMessage, list[tuple[str, bytes]]]:
    """Make a message of random words, correspondents and files."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))
    mail["From"] = person(chance)
    mail["To"] = [person(chance) for _ in range(chance.randint(1, 5))]
    mail["Cc"] = [person(chance) for _ in range(chance.randint(1, 2))]
    zone = chance.choice(["+0000", "-0330", "+1245"])
    mail["Date"] = (
        f"Mon, {chance.randint(1, 28):02} Feb 2026 10:{chance.randrange(60):02}:00 {zone}"
    )
    words = [
        word + chance.choice(" \n") for word in chance.choices(WORDS, k=chance.randint(1, 300))
    ]
    ways = [
        ("8bit", "utf-8"),
        ("quoted-printable", "utf-8"),
        ("base64", "utf-8"),
        ("base64", "gb18030"),
    ]
    encoding, charset = chance.choice(ways)
    mail.set_content("".join(words) + "\n", cte=encoding, charset=charset)
    if chance.random() < 0.6:
        mail.add_alternative(f"<p>{''.join(words)}</p>", subtype="html")
    files = []
    for number in range(chance.randrange(4)):
        name = (
            f"{number}-{''.join(chance.choices([*LETTERS, 'ö', '日', ' ', '_'], k=30)).strip()}.bin"
        )
        files.append((" ".join(name.split(" ")), chance.randbytes(chance.randrange(3000))))
        mail.add_attachment(
            files[-1][1],
            maintype="application",
            subtype="octet-stream",
            filename=name,
            cte=chance.choice(["base64", "base64", "quoted-printable"]),
        )
    return mail, files


def person(chance: random.Random) -> HeaderAddress:
    name = " ".join(
        chance.choices(["Ada", "Lovelace,", "Zoë", "B.", '"Bob"', "O'Neil", "日本"], k=2)
    )
    name = chance.choice([name, ""])
    user = "".join(chance.choices(LETTERS, k=8))
    return HeaderAddress(name, username=user, domain=chance.choice(["example.com", "example.org"]))


@pytest.mark.parametrize("line_break", ["\r\n", "\n"])
def test_well_formed_mail_is_read_as_the_standard_library_reads_it(line_break: str) -> None:
    chance = random.Random(2026)
    for _ in range(100):
        mail, files = made(chance)
        raw = mail.as_bytes(policy=email.policy.default.clone(linesep=line_break))
        judge = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(judge, EmailMessage)
        ours = Message.from_bytes(raw)
        assert ours.subject == judge["Subject"]
        assert ours.date == judge["Date"].datetime
        assert (ours.sender,) == addresses(mail, "From") == addresses(judge, "From")
        for name, found in (("To", ours.to), ("Cc", ours.cc)):
            assert found == addresses(mail, name)
            # Some versions fold "," into an encoded word, which they cannot read themselves.
            assert found == addresses(judge, name) or b"=?utf-8?q?=2C?= " in raw
        assert ours.text == body(judge, "plain")
        assert ours.html == body(judge, "html")
        assert [(each.filename, each.content) for each in ours.attachments] == [
            (each.get_filename(), each.get_content()) for each in judge.iter_attachments()
        ]
        assert [(each.filename, each.content) for each in ours.attachments] == files
        assert ours.defects == ()


def addresses(mail: EmailMessage, name: str) -> tuple[Address, ...]:
    return tuple(Address(each.display_name, each.addr_spec) for each in mail[name].addresses)


def body(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


def test_the_mail_that_the_interpreter_is_tested_with_can_be_read() -> None:
    """Its test package holds broken mail of many kinds; not every system installs it."""
    try:
        folder = importlib.resources.files("test.test_email") / "data"
        found = [each for each in folder.iterdir() if each.name.startswith("msg_")]
    except (ModuleNotFoundError, FileNotFoundError, NotADirectoryError):
        found = []
    if not found:
        print("skipped: this interpreter comes without the package test.test_email")
        pytest.skip("this interpreter comes without the package test.test_email")
    for each in found:
        for raw in (each.read_bytes(), each.read_bytes().replace(b"\n", b"\r\n")):
            mail = Message.from_bytes(raw)
            try:
                for name in PROPERTIES:
                    getattr(mail, name)
                check_types(mail)
            except Exception as exc:
                raise AssertionError(f"{each.name}: {exc!r}") from exc
    assert len(found) > 20
