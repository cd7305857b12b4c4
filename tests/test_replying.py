"""Answers and messages sent on: who gets them, their thread, what they quote and keep."""

from __future__ import annotations

from typing import Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.compose import compose
from mailoauth.mail.message import Address, Message
from mailoauth.mail.parcel import pack
from mailoauth.mail.replying import forward, reply

ADA = "ada@example.com"
HEADERS = (
    "From: Bob <bob@example.org>\r\nTo: Ada <ada@example.com>, Carol <carol@example.org>\r\n"
    "Cc: Dan <dan@example.org>\r\nBcc: eve@example.org\r\nSubject: Report\r\n"
    "Date: Sat, 31 Jan 2026 10:00:00 +0100\r\nMessage-ID: <2@example.org>\r\n"
    "References: <0@example.org> <1@example.org>\r\n"
)


def received(headers: str = HEADERS, body: str = "one\r\n\r\n> two\r\n") -> Message:
    return Message.from_bytes(f"{headers}\r\n{body}".encode())


def answer(message: Message, **parts: Any) -> Message:
    return Message.from_bytes(pack(reply(message, **parts), address=ADA).data)


def sent_on(message: Message, **parts: Any) -> Message:
    return Message.from_bytes(pack(forward(message, to="z@example.net", **parts), address=ADA).data)


def addresses(found: tuple[Address, ...]) -> list[str]:
    return [each.address for each in found]


# Who gets it.


def test_an_answer_goes_to_the_author() -> None:
    mail = answer(received(), text="yes", sender=ADA)
    assert (mail.to, mail.cc) == ((Address("Bob", "bob@example.org"),), ())
    assert mail.sender == Address("", ADA)
    assert b"eve@" not in mail.raw


def test_every_author_and_every_reply_to_is_answered() -> None:
    two = received("From: b@example.org, c@example.org\r\nSender: s@example.org\r\n")
    assert addresses(answer(two).to) == ["b@example.org", "c@example.org"]
    asked = received("From: b@example.org\r\nReply-To: x@example.org, Y <y@example.org>\r\n")
    assert addresses(answer(asked).to) == ["x@example.org", "y@example.org"]


def test_an_answer_to_all_leaves_out_oneself_and_bcc_and_names_nobody_twice() -> None:
    twice = HEADERS.replace(
        "Dan <dan@example.org>", "dan@example.org, BOB@example.org, Ada@EXAMPLE.com"
    )
    mail = answer(received(twice), to_all=True, sender="Me <ADA@example.com>")
    assert addresses(mail.to) == ["bob@example.org", "carol@example.org"]
    assert addresses(mail.cc) == ["dan@example.org"]
    assert b"eve@" not in mail.raw
    known = answer(received(), to_all=True)
    assert addresses(known.to) == ["bob@example.org", ADA, "carol@example.org"]


def test_an_answer_to_a_list_goes_where_its_reply_to_says() -> None:
    listed = received(
        "From: Bob via List <list@example.org>\r\nReply-To: list@example.org, bob@example.org\r\n"
        "To: list@example.org\r\nList-Id: <list.example.org>\r\n"
    )
    assert addresses(answer(listed).to) == ["list@example.org", "bob@example.org"]
    assert addresses(answer(listed, to_all=True).to) == ["list@example.org", "bob@example.org"]


def test_an_answer_to_ones_own_message_goes_to_those_who_got_it() -> None:
    own = received("From: Ada <ada@example.com>\r\nTo: bob@example.org\r\nCc: dan@example.org\r\n")
    assert addresses(answer(own, sender=ADA).to) == ["bob@example.org"]
    to_all = answer(own, sender=ADA, to_all=True)
    assert (addresses(to_all.to), addresses(to_all.cc)) == (
        ["bob@example.org"],
        ["dan@example.org"],
    )
    note = received("From: ada@example.com\r\nTo: ada@example.com\r\n")
    assert addresses(answer(note, sender=ADA, to_all=True).to) == [ADA]


def test_more_may_get_a_copy() -> None:
    mail = reply(received(), cc="x@example.org", bcc=["y@example.org"])
    assert (mail["Cc"], mail["Bcc"]) == ("x@example.org", "y@example.org")


@pytest.mark.parametrize(
    "headers", ["", "From: \r\n", "From: nobody\r\nReply-To: <>\r\n", "To: bob@example.org\r\n"]
)
def test_where_nobody_can_be_answered_the_error_says_so(headers: str) -> None:
    for to_all in (False, True) if "To: bob" not in headers else (False,):
        with pytest.raises(ConfigError, match="nobody to reply to") as caught:
            reply(received(headers), to_all=to_all)
        assert caught.value.remedy


# Its thread.


def test_an_answer_continues_the_thread() -> None:
    mail = answer(received())
    assert mail.headers["In-Reply-To"] == "<2@example.org>"
    assert mail.headers["References"] == "<0@example.org> <1@example.org> <2@example.org>"


@pytest.mark.parametrize(
    ("headers", "parent", "references"),
    [
        ("Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n", "<2@x>", "<1@x> <2@x>"),
        ("Message-ID: <2@x>\r\nIn-Reply-To: <1@x> <0@x>\r\n", "<2@x>", "<2@x>"),
        ("Message-ID: <2@x>\r\nReferences: <1@x>\r\n\t<2@x>\r\n", "<2@x>", "<1@x> <2@x>"),
        ("References: <1@x>\r\n", None, "<1@x>"),
        ("Message-ID: 2@x\r\n", "2@x", "2@x"),
        ("Message-ID: a b\r\n", None, None),
        ("Message-ID: <\xff@x>\r\n", None, None),
        ("Message-ID: <" + "x" * 2_000 + "@x>\r\n", None, None),
    ],
)
def test_threads_of_damaged_mail_go_on_as_far_as_they_can(
    headers: str, parent: str | None, references: str | None
) -> None:
    mail = answer(received(f"From: b@example.org\r\n{headers}"))
    assert (mail.headers.get("In-Reply-To"), mail.headers.get("References")) == (parent, references)


def test_a_thread_that_never_ends_keeps_its_root_and_its_latest() -> None:
    references = " ".join(f"<{number}@x>" for number in range(10_000))
    mail = answer(
        received(f"From: b@x.example\r\nMessage-ID: <a@x>\r\nReferences: {references}\r\n")
    )
    kept = mail.headers["References"].split()
    assert (len(kept), kept[0], kept[-2:]) == (101, "<0@x>", ["<9999@x>", "<a@x>"])


def test_what_is_sent_on_belongs_to_the_thread_and_answers_nothing() -> None:
    mail = sent_on(received())
    assert mail.headers["References"] == "<0@example.org> <1@example.org> <2@example.org>"
    assert "In-Reply-To" not in mail.headers
    own = sent_on(received(), headers={"References": "<9@example.com>", "X-Mark": "a"})
    assert (own.headers["References"], own.headers["X-Mark"]) == ("<9@example.com>", "a")


# Its subject.


@pytest.mark.parametrize(
    ("subject", "answered", "sent"),
    [
        ("Report", "Re: Report", "Fwd: Report"),
        ("Re: Report", "Re: Report", "Fwd: Re: Report"),
        ("RE: re: Report", "Re: Report", "Fwd: RE: re: Report"),
        ("AW: Report", "Re: Report", "Fwd: AW: Report"),
        ("SV: VS: Antw: Odp: Report", "Re: Report", "Fwd: SV: VS: Antw: Odp: Report"),
        ("Re[2]: Report", "Re: Report", "Fwd: Re[2]: Report"),
        ("Re : Report", "Re: Report", "Fwd: Re : Report"),
        ("=?utf-8?q?=E5=9B=9E=E5=A4=8D=EF=BC=9AReport?=", "Re: Report", "Fwd: 回复：Report"),  # noqa: RUF001 - as it is written there
        ("WG: Report", "Re: WG: Report", "Fwd: Report"),
        ("Fw: FWD: TR: Report", "Re: Fw: FWD: TR: Report", "Fwd: Report"),
        ("Regarding: Report", "Re: Regarding: Report", "Fwd: Regarding: Report"),
        ("Re", "Re: Re", "Fwd: Re"),
        ("Re:", "Re:", "Fwd: Re:"),
        ("", "Re:", "Fwd:"),
        ("a\x85b \x07c\x9bd", "Re: a b c d", "Fwd: a b c d"),
    ],
)
def test_the_subject_says_once_what_it_is(subject: str, answered: str, sent: str) -> None:
    mail = received(f"From: b@example.org\r\nSubject: {subject}\r\n")
    assert answer(mail).subject == answered
    assert sent_on(mail).subject == sent


# What cannot be.


def test_a_message_without_its_text_can_be_answered_but_not_quoted_or_sent_on() -> None:
    head = Message.from_bytes(HEADERS.encode(), headers_only=True)
    mail = answer(head, text="yes", quote=False)
    assert (mail.text, mail.subject) == ("yes\n", "Re: Report")
    assert mail.headers["In-Reply-To"] == "<2@example.org>"
    with pytest.raises(ConfigError, match="headers_only=True"):
        reply(head)
    with pytest.raises(ConfigError, match="headers_only=True"):
        forward(head, to="z@example.net")


def test_only_a_message_can_be_answered() -> None:
    wrong: Any = compose(to=ADA)
    with pytest.raises(ConfigError, match=r"reply\(\) takes a Message, not EmailMessage"):
        reply(wrong)
    with pytest.raises(ConfigError, match=r"forward\(\) takes a Message, not EmailMessage"):
        forward(wrong, to=ADA)


def test_the_most_broken_mail_is_answered_and_sent_on() -> None:
    raws = [
        b"From: b@example.org",
        b"From: =?x?q?=FF?= <b@example.org>\r\nTo: \xff\xfe, <@>, ;;\r\nDate: never\r\n\r\n\xff",
        b"From: b@example.org\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+2AA-\r\n",
        b"From: b@example.org\r\nContent-Type: multipart/mixed\r\n\r\n--x\r\nlost",
        b"From: b@example.org\r\nContent-Type: text/html\r\n\r\n<body <body <!-- </body",
        b"From: b@example.org\r\nSubject: \x00a\r\n\r\n\x00b",
    ]
    for raw in raws:
        message = Message.from_bytes(raw)
        assert addresses(answer(message, to_all=True, html="<p>a</p>").to) == ["b@example.org"]
        assert sent_on(message, text="a").text.startswith("a\n\n----------")
