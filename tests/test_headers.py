"""Headers as they were meant: subjects, correspondents and dates."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import pytest

from mailoauth.mail.message import Address, Message


def header(line: bytes) -> Message:
    return Message.from_bytes(line + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        (b"Subject: plain", "plain"),
        (b"SUBJECT:plain", "plain"),
        (b"X: y", ""),
        ("Subject: Größe".encode(), "Größe"),
        ("Subject: Größe".encode("cp1252"), "Größe"),
        (b"Subject: =?iso-8859-1?q?Gr=F6=DFe?=", "Größe"),
        (b"Subject: =?utf-8?B?w7bD?= =?utf-8?B?nw==?=", "öß"),
        (b"Subject: =?utf-8*de?B?w7Y=?=", "ö"),
        (b"Subject: =?utf-8?B?w7Y?=", "ö"),
        (b"Subject: =?utf-8?Q?a_b?= c =?utf-8?Q?d?=", "a b c d"),
        (b"Subject: =?utf-8?Q?really?_yes?=", "really? yes"),
        (b"Subject: =?no-such?Q?a?=", "=?no-such?Q?a?="),
        (b"Subject: =?utf-8?Q?a=0D=0ABcc:_eve=40example.com?=", "a Bcc: eve@example.com"),
        (b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"Subject: =?gb2312?B?1tDOxA==?=", "中文"),
        (b"Subject: one\r\n\ttwo", "one two"),
    ],
)
def test_a_subject_is_read_as_it_was_meant(line: bytes, subject: str) -> None:
    assert header(line).subject == subject


@pytest.mark.parametrize(
    ("value", "sender"),
    [
        (b"ada@example.com", Address("", "ada@example.com")),
        (b"<ada@example.com>", Address("", "ada@example.com")),
        (b"Ada Lovelace <ada@example.com>", Address("Ada Lovelace", "ada@example.com")),
        (b"Lovelace, Ada <ada@example.com>", Address("Ada", "ada@example.com")),
        (b'"Lovelace, Ada" <ada@example.com>', Address("Lovelace, Ada", "ada@example.com")),
        (b'"A \\"x\\" L" <ada@example.com>', Address('A "x" L', "ada@example.com")),
        (b"=?utf-8?Q?L,_A?= <ada@example.com>", Address("L, A", "ada@example.com")),
        (b'"=?utf-8?Q?A?=" <ada@example.com>', Address("A", "ada@example.com")),
        (b"ada@example.com (Ada (the first))", Address("Ada the first", "ada@example.com")),
        (b"<@one,@two:ada@example.com>", Address("", "ada@example.com")),
        (b'"a b"@example.com', Address("", '"a b"@example.com')),
        (b"ada@[IPv6:::1]", Address("", "ada@[IPv6:::1]")),
        (b"bob@example.com <ada@example.com>", Address("bob@example.com", "ada@example.com")),
        (b"MAILER-DAEMON", Address("", "MAILER-DAEMON")),
        (b"Ada Lovelace", Address("Ada Lovelace", "")),
        (b"undisclosed-recipients:;", None),
        (b"", None),
    ],
)
def test_a_sender_is_read_as_it_was_meant(value: bytes, sender: Address | None) -> None:
    assert header(b"From: " + value).sender == sender


def test_a_comma_that_python_encoded_separates_addresses() -> None:
    people = header(
        b"To: =?utf-8?q?L=C3=B6v?= <a@example.com> =?utf-8?q?=2C?= b@example.com\r\n"
        b" =?utf-8?q?=2C?= c@example.com, Lovelace =?utf-8?q?=2C?= Ada <d@example.com>"
    ).to
    assert people == (
        Address("Löv", "a@example.com"),
        Address("", "b@example.com"),
        Address("", "c@example.com"),
        Address("Lovelace , Ada", "d@example.com"),
    )


def test_an_address_is_a_value() -> None:
    ada = Address("Ada", "ada@example.com")
    assert ada == Address("Ada", "ada@example.com") != Address("", "ada@example.com")
    assert ada != ("Ada", "ada@example.com")
    assert len({ada, Address(name="Ada", address="ada@example.com")}) == 1
    assert repr(ada) == "Address(name='Ada', address='ada@example.com')"
    assert pickle.loads(pickle.dumps(ada)) == copy.copy(ada) == ada
    match ada:
        case Address(name, address):
            assert (name, address) == ("Ada", "ada@example.com")
    for name in ("name", "address"):
        with pytest.raises(AttributeError):
            setattr(ada, name, "changed")


@pytest.mark.parametrize(
    ("value", "offset"),
    [("-0000", 0), ("+0530", 5.5), ("GMT", 0), ("EST", -5), ("", 0)],
)
def test_a_date_is_always_aware(value: str, offset: float) -> None:
    date = header(f"Date: 31 Jan 2026 10:00:00 {value}".encode()).date
    assert date is not None
    assert date.utcoffset() == timedelta(hours=offset)
