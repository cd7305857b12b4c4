"""Flags and keywords: what is one, and what a server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.flags import check_flag, is_kept
from mailoauth.mail.mailbox import Mailbox
from tests.judges import TIMEOUT, note, signed_in_source

if TYPE_CHECKING:
    from tests.judges import Judge

ADA = "ada@example.com"


@pytest.mark.parametrize(
    "flag", ["\\Flagged", "\\Answered", "$Forwarded", "NonJunk", "$Label1", "a.b-c_d:e/f"]
)
def test_a_word_of_plain_letters_is_a_flag(flag: str) -> None:
    assert check_flag(flag) == flag


@pytest.mark.parametrize(
    "flag",
    [
        "",
        "\\",
        "\\\\Seen",
        "two words",
        "a\r\nX1 DELETE INBOX",
        "a)",
        "(a",
        'a"b',
        "a*",
        "\\*",
        "a%",
        "a{3}",
        "a]",
        "a\\b",
        "ü",
        "a\0",
        "a" * 201,
        "\\Recent",
        "\\RECENT",
        None,
        b"\\Seen",
        3,
    ],
)
def test_what_is_no_flag_is_refused(flag: Any) -> None:
    with pytest.raises(ConfigError, match="flag"):
        check_flag(flag)


@pytest.mark.parametrize(
    ("flag", "permanent", "kept"),
    [
        ("mine", None, True),
        ("mine", (), False),
        ("mine", ("\\Seen",), False),
        ("mine", ("\\Seen", "Mine"), True),
        ("mine", ("\\*",), True),
        ("\\Flagged", ("\\flagged",), True),
        ("\\Flagged", ("\\*",), False),
        ("\\Flagged", None, True),
    ],
)
def test_permanent_flags_say_what_is_kept(
    flag: str, permanent: tuple[str, ...] | None, kept: bool
) -> None:
    assert is_kept(flag, permanent) is kept


def mailbox_of(judge: Judge) -> Mailbox:
    account = judge.account(ADA)
    return Mailbox(account, tokens=signed_in_source(judge, account), timeout=TIMEOUT)


def test_system_flags_are_set_and_removed(judge: Judge) -> None:
    for subject in ("one", "two", "three"):
        judge.deliver(ADA, note(subject))
    with mailbox_of(judge) as mail:
        found = list(mail.unseen())
        mail.flag(found)
        mail.flag(found[0], flag="\\Answered")
        mail.flag(found[0], flag="\\Draft")
        mail.unflag(found[1:])
        mail.unflag(found[0], flag="\\Draft")
        kept = [set(message.flags) - {"\\Recent"} for message in mail.search()]
    assert kept == [{"\\Flagged", "\\Answered"}, set(), set()]


def test_a_keyword_is_kept_or_refused_and_never_lost_in_silence(judge: Judge) -> None:
    judge.deliver(ADA, note("one"))
    with mailbox_of(judge) as mail:
        (message,) = mail.unseen()
        try:
            mail.flag(message, flag="mine")
        except ConfigError as error:
            refused = "does not keep the keyword mine" in str(error)
        else:
            refused = False
        mail.unflag(message, flag="theirs")
        (message,) = mail.unseen()
    assert refused is ("mine" not in message.flags)
    assert refused is hasattr(judge, "refuse")  # the emulator's providers keep none


def test_a_keyword_that_the_server_names_is_kept(judge: Judge) -> None:
    judge.deliver(ADA, note("one"))
    with mailbox_of(judge) as mail:
        mail.flag(mail.unseen(), flag="$MDNSent")
        (message,) = mail.unseen()
    assert "$MDNSent" in message.flags


@pytest.mark.parametrize("flag", ["two words", "\\Recent", "a\r\nb"])
def test_a_flag_that_is_none_is_refused_before_anything_is_sent(judge: Judge, flag: str) -> None:
    judge.deliver(ADA, note("one"))
    with mailbox_of(judge) as mail:
        found = list(mail.unseen())
        for verb in (mail.flag, mail.unflag):
            with pytest.raises(ConfigError, match="flag"):
                verb(found, flag=flag)
        with pytest.raises(ConfigError, match="flag"):
            mail.append(note("two"), "INBOX", flags=[flag])
        assert len(list(mail.unseen())) == 1
