"""`mailoauth-sendmail`: what callers of sendmail give it, and what they may do about its code."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message, save_account
from mailoauth.cli import sendmail, sendmail_options
from mailoauth.emulator import Cut, OutlookEmulator, Silent
from mailoauth.errors import (
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    DeliveryUnknown,
    MailOAuthError,
    RecipientsRefused,
    SendingDisabled,
    ServerError,
    SignInFailed,
    SignInRequired,
    StoreError,
    Throttled,
    TokenRefused,
)
from mailoauth.mail.addresses import Address
from tests.cli_world import ADA, World, environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.sendmail_world import BOB, LETTER, program, run


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


# What it takes


def test_options_that_callers_give_are_taken(world: World) -> None:
    for arguments in (
        ("-i", BOB),
        ("-oi", "-oem", "-odb", "-bm", "-B8BITMIME", "-f", ADA, "--", BOB),
        ("-t", "-i", f"-f{ADA}"),
        ("-m", "-n", "-U", "-G", "-v", "-h", "5", "-Lx", "-NNEVER", "-Rhdrs", "-Vid", "-X/x", BOB),
        ("-OQueueLag=1", "-C/etc/x", "-p", "ESMTP", "-A", "m", "-em", "-r", ADA, BOB),
    ):
        done = run(*arguments)
        assert (done.code, done.out) == (0, b""), done
        assert "-v" in arguments or done.err == ""
    assert [each.recipients for each in world.emulator.sent] == [(BOB,)] * 5
    assert {each.envelope_from for each in world.emulator.sent} == {ADA}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-bs",), "-bs asks for speaking SMTP"),
        (("-bd",), "-bd asks for a server"),
        (("-bp",), "-bp asks for a queue"),
        (("-q",), "-q asks for a queue"),
        (("-q30m",), "-q asks for a queue"),
        (("-Z",), "option -Z not recognized"),
        (("-f",), "option -f requires argument"),
        (("--retry-for", "soon", BOB), "'soon' is not a duration"),
        (("--alias", "root", BOB), "write it like root=ada@example.com"),
        ((BOB, "-f", ADA), "-f stands among the recipients"),
        ((f"{BOB}\nBcc: eve@example.org",), "it has a control character in it"),
        (("-f", f"{ADA}\r\nRCPT TO:<eve@example.org>", BOB), "it has a control character in it"),
        ((), "No recipient is given; name them as arguments"),
    ],
)
def test_wrong_use_is_said_on_one_line(world: World, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (64, b"")
    assert done.err.startswith("mailoauth-sendmail: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert world.emulator.sent == []


def test_recipients_of_the_headers_are_added_to_those_given(world: World) -> None:
    message = (
        f"From: {ADA}\nTo: Bob <{BOB}>,\n  cy@example.org\nBcc: di@example.org\nSubject: x\n\nHi\n"
    ).encode()
    assert run("-t", "eve@example.org", message=message).code == 0
    (sent,) = world.emulator.sent
    assert sent.recipients == ("eve@example.org", BOB, "cy@example.org", "di@example.org")
    assert b"di@example.org" not in sent.raw


def test_a_message_sent_again_goes_to_those_it_is_sent_to_again(world: World) -> None:
    message = f"Resent-To: cy@example.org\nResent-From: {ADA}\n".encode() + LETTER
    assert run("-t", message=message).code == 0
    assert world.emulator.sent[0].recipients == ("cy@example.org",)


def test_nobody_in_the_headers_is_wrong_use(world: World) -> None:
    done = run("-t", message=b"Subject: x\n\nHi\n")
    assert (done.code, done.err) == (
        64,
        "mailoauth-sendmail: No recipient is given, and To, Cc and Bcc name nobody.\n",
    )


@pytest.mark.parametrize(("options", "text"), [((), "one"), (("-i",), "one\r\n.\r\ntwo")])
def test_a_dot_alone_ends_the_message_unless_told_otherwise(
    world: World, options: tuple[str, ...], text: str
) -> None:
    assert run(*options, BOB, message=b"Subject: x\n\none\n.\ntwo\n").code == 0
    assert world.emulator.sent[0].raw.split(b"\r\n\r\n", 1)[1].decode().strip() == text


@pytest.mark.parametrize(
    "message",
    [b"Hello, Bob.\n", b"From ada Fri Jan  2 03:04:05 2026\nSubject: x\nHello, Bob.\n"],
)
def test_text_without_a_proper_header_becomes_a_message(world: World, message: bytes) -> None:
    assert run("-F", "Ada Lövelace", BOB, message=message).code == 0
    sent = Message.from_bytes(world.emulator.sent[0].raw)
    assert sent.text.strip() == "Hello, Bob."
    assert sent.sender == Address("Ada Lövelace", ADA)
    assert sent.date is not None
    assert sent.message_id


def test_a_message_of_another_program_is_passed_on_octet_for_octet(world: World) -> None:
    head = (
        b"Received: by x (0.1)\r\n\tid 1\r\nDKIM-Signature: a=b;\r\n  c=d\r\n"
        b"From: =?utf-8?q?Ada?= <ada@example.com>\r\nTo:bob@example.com\r\n"
        b"Date: Fri, 02 Jan 2026 03:04:05 +0100\r\nMessage-ID: <1@example.com>\r\n\r\n"
    )
    assert run("-i", BOB, message=head + b"diff --git a b\r\n \r\n-x\r\n").code == 0
    raw = world.emulator.sent[0].raw
    assert raw[raw.index(b"Received: by x") :] == head + b"diff --git a b\r\n \r\n-x\r\n"


@pytest.mark.parametrize(
    ("name", "author"),
    [("Ada\r\nBcc: eve@example.org", "Ada Bcc: eve@example.org"), ("Ad\udce9", "Ad\ufffd")],
)
def test_a_name_on_the_command_line_is_a_name_whatever_is_in_it(
    world: World, name: str, author: str
) -> None:
    assert run("-F", name, f"-f<{ADA}>", f"<{BOB}>", message=b"Hi\n").code == 0
    (sent,) = world.emulator.sent
    assert sent.recipients == (BOB,)
    assert Message.from_bytes(sent.raw).sender == Address(author, ADA)


# Who sends and who gets it


def test_the_only_account_sends_and_more_than_one_are_listed(world: World) -> None:
    world.emulator.add_user(BOB)
    save_account(world.emulator.account(BOB))
    done = run("-t")
    assert done.code == 78
    assert f"more than one account: {ADA}, {BOB}" in done.err
    assert run("-t", "--account", ADA).code == 0
    assert run("-t", MAILOAUTH_SENDMAIL_ACCOUNT=ADA).code == 0
    assert run("-t", "--account", "eve@example.com").code == 78


def test_no_account_at_all_says_how_to_get_one() -> None:
    done = run("-t")
    assert done.code == 78
    assert "mailoauth login ADDRESS" in done.err


def test_local_names_are_the_account_unless_an_alias_says_otherwise(world: World) -> None:
    settings: dict[str, str | None] = {"MAILOAUTH_SENDMAIL_ALIASES": f"www={BOB}, ops={BOB}"}
    message = b"From: www\nTo: root, www@localhost, Cy <cy@example.org>\nSubject: x\n\nHi\n"
    done = run("-t", "--alias", "Ops=cy@example.org", "ops", message=message, **settings)
    assert (done.code, done.err) == (0, "")
    (sent,) = world.emulator.sent
    assert sent.recipients == ("cy@example.org", ADA, BOB)
    assert b"To: ada@example.com,\r\n bob@example.com,\r\n Cy <cy@example.org>\r\n" in sent.raw
    assert b"From: ada@example.com\r\n" in sent.raw


def test_another_author_moves_to_reply_to(world: World) -> None:
    message = LETTER.replace(b"From: ada@example.com", b"From: Ann <ann@example.org>")
    assert run("--rewrite-from", "-f", "ann@example.org", BOB, message=message).code == 0
    (sent,) = world.emulator.sent
    found = Message.from_bytes(sent.raw)
    assert (sent.envelope_from, found.sender) == (ADA, Address("Ann", ADA))
    assert found.reply_to == (Address("Ann", "ann@example.org"),)
    again = run(BOB, message=message, MAILOAUTH_SENDMAIL_REWRITE_FROM="1")
    assert again.code == 0
    assert Message.from_bytes(world.emulator.sent[1].raw).sender == Address("Ann", ADA)


def test_a_dry_run_shows_the_message_and_needs_no_key(world: World) -> None:
    before = len(world.emulator.connections), len(world.emulator.token_requests)
    done = run("-t", "--dry-run", MAILOAUTH_KEY=None)
    assert done.code == 0
    assert b"\r\nTo: bob@example.com\r\nSubject: Hello\r\n\r\nHello, Bob.\r\n" in done.out
    assert f"from {ADA} to {BOB}" in done.err
    assert (len(world.emulator.connections), len(world.emulator.token_requests)) == before


# What went wrong


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 78),
        (StoreError("x"), 78),
        (SignInRequired("x"), 77),
        (SignInFailed("x"), 77),
        (TokenRefused("x"), 77),
        (SendingDisabled("x"), 77),
        (RecipientsRefused.of("x", {}), 67),
        (ServerError("x"), 69),
        (ConcurrentUse("x"), 69),
        (ConnectionFailed("x"), 75),
        (Throttled("x"), 75),
        (DeliveryUnknown("x"), 76),
    ],
)
def test_each_error_has_its_code_of_sysexits(error: MailOAuthError, code: int) -> None:
    assert sendmail.code_of(error) == code


def test_all_refused_is_no_user_and_some_refused_says_that_the_others_have_it(
    world: World,
) -> None:
    world.emulator.refuse_recipient(BOB, "550 5.1.1 no such user")
    done = run(BOB)
    assert (done.code, done.err.count("\n")) == (67, 1)
    assert "550 5.1.1 no such user" in done.err
    done = run(BOB, "cy@example.org")
    assert done.code == 67
    assert "do not repeat it" in done.err
    assert world.emulator.sent[0].recipients == ("cy@example.org",)


def test_a_recipient_that_may_be_accepted_later_is_worth_a_repeat(world: World) -> None:
    world.emulator.refuse_recipient(BOB, "450 4.2.0 mailbox busy")
    assert run(BOB).code == 75


def test_a_lost_line_at_the_end_is_not_worth_a_repeat(world: World) -> None:
    world.emulator.on("smtp", ".", Cut(), times=9)
    done = run(BOB)
    assert (done.code, done.err.count("\n")) == (76, 1)
    assert "may or may not have been sent" in done.err
    assert "Hello" not in done.err


def test_no_connection_is_worth_a_repeat(world: World) -> None:
    world.emulator.on("smtp", "EHLO", Cut(), times=99)
    done = run(BOB)
    assert (done.code, done.err.count("\n")) == (75, 1)


def test_a_sign_in_that_is_over_needs_a_person(world: World) -> None:
    world.emulator.revoke(ADA)
    world.emulator.expire_tokens()
    done = run(BOB)
    assert done.code == 77
    assert f"mailoauth login {ADA}" in done.err


@pytest.mark.parametrize("recipient", ["bob@", "bob bob@x", "a@b@c d"])
def test_what_is_no_address_is_wrong_data(world: World, recipient: str) -> None:
    done = run(recipient)
    assert done.code in {64, 65}, done
    assert world.emulator.sent == []


def test_help_and_version_need_no_account() -> None:
    assert run("--help").out.decode().startswith("usage: mailoauth-sendmail")
    assert run("--version").out.startswith(b"mailoauth-sendmail ")
    assert max(map(len, sendmail_options.HELP.splitlines())) <= 80


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_ends_it_and_says_that_it_may_have_gone_out(world: World) -> None:
    world.emulator.on("smtp", ".", Silent())
    with subprocess.Popen(
        program(BOB), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment_of()
    ) as process:
        assert process.stdin is not None
        process.stdin.write(LETTER)
        process.stdin.close()
        while not any("." in each.commands for each in world.emulator.connections):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        assert process.stderr is not None
        assert b"may have gone out" in process.stderr.read()
