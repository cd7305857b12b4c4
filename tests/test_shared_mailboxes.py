"""Mailboxes that are not the user's own: shared ones, an app's, and users with another sign-in name."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest

from mailoauth import Mailbox, Mailer, MemoryStore, sign_in, token_source
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import ConfigError, SendingDisabled, SignInFailed, TokenRefused
from tests.judges import note, signed_in_source
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judges import Colour, Judge

TEAM = "team@example.com"
BOB = "bob@example.com"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        for address in (ADA, BOB, TEAM):
            made.add_user(address)
        made.deliver(TEAM, note("for the team", TEAM))
        made.deliver(ADA, note("for Ada"))
        yield made


def signed_in_as(emulator: OutlookEmulator, protocol: str) -> list[str | None]:
    return [one.signed_in_as for one in emulator.connections if one.protocol == protocol]


def test_a_shared_mailbox_is_read_with_the_users_token(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.share(TEAM, ADA)
    with session_of(emulator, colour, mailbox=TEAM) as mail:
        assert [message.subject for message in mail.unseen(mark_seen=True)] == ["for the team"]
    assert signed_in_as(emulator, "imap") == [TEAM]
    assert [stored.flags for stored in emulator.messages(TEAM)] == [{"\\Seen"}]
    assert [stored.flags for stored in emulator.messages(ADA)] == [frozenset()]
    assert emulator.token_requests == []


def test_sending_signs_in_as_the_user_and_sends_from_the_mailbox(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.share(TEAM, ADA)
    with session_of(emulator, colour, mailbox=TEAM) as mail:
        mail.send(to=BOB, subject="from us", text="text")
    (sent,) = emulator.sent
    assert (sent.envelope_from, sent.user) == (TEAM, ADA)
    assert message_from_bytes(sent.raw)["From"] == TEAM
    assert signed_in_as(emulator, "smtp") == [ADA]


def test_the_accounts_own_mailbox_field_does_the_same(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.share(TEAM, ADA)
    account = replace(emulator.account(ADA), mailbox=TEAM)
    with session_of(emulator, colour, account=account) as mail:
        assert [message.subject for message in mail.unseen()] == ["for the team"]
        mail.send(to=BOB, subject="from us", text="text")
    assert emulator.sent[0].envelope_from == TEAM


def test_without_permission_reading_is_refused_with_a_text_that_explains(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    account = emulator.account(ADA)
    tokens = signed_in_source(emulator, account)
    with session_of(emulator, colour, account=account, tokens=tokens) as own:
        assert [message.subject for message in own.unseen()] == ["for Ada"]
        with (
            session_of(emulator, colour, account=account, tokens=tokens, mailbox=TEAM) as mail,
            pytest.raises(TokenRefused) as caught,
        ):
            list(mail.unseen())
        assert [message.subject for message in own.unseen()] == ["for Ada"]
    said = str(caught.value)
    assert TEAM in said
    assert "Full Access" in said or "FullAccess" in said
    assert "tries once more by itself" not in said, "it has done so"
    assert caught.value.account == ADA
    assert [stored.flags for stored in emulator.messages(TEAM)] == [frozenset()]
    assert len(emulator.token_requests) == 1


def test_a_token_that_opens_other_mailboxes_is_said_to_be_good(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    account = emulator.account(ADA)
    tokens = signed_in_source(emulator, account)
    options = {"account": account, "tokens": tokens}
    with session_of(emulator, colour, **options, mailbox=TEAM) as mail:
        with pytest.raises(TokenRefused):
            list(mail.unseen())
        with session_of(emulator, colour, **options) as own:
            list(own.unseen())
        with pytest.raises(TokenRefused, match="same token opens other mailboxes"):
            list(mail.unseen())
    assert len(emulator.token_requests) == 1


def test_without_permission_sending_is_refused_with_a_text_that_explains(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    with session_of(emulator, colour, mailbox=TEAM) as mail:
        with pytest.raises(SendingDisabled) as caught:
            mail.send(to=BOB, subject="from us", text="text")
        with pytest.raises(SendingDisabled):
            mail.send(sender=BOB, to=BOB, subject="from Bob", text="text")
    said = str(caught.value)
    assert TEAM in said
    assert "Send As" in said or "SendAs" in said
    assert caught.value.code == "550"
    assert emulator.sent == []
    assert emulator.token_requests == []
    assert len(signed_in_as(emulator, "smtp")) == 1


def test_another_sender_in_the_headers_is_refused_as_outlook_does(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    with session_of(emulator, colour) as mail, pytest.raises(SendingDisabled) as caught:
        mail.send(b"Sender: ada@example.com\r\n" + note("forged", BOB))
    assert "SendAsDenied" in str(caught.value)
    assert emulator.sent == []


def test_a_mailbox_that_is_not_shared_is_neither_read_nor_sent_from(
    judge: Judge, colour: Colour
) -> None:
    before = len(judge.messages(BOB))
    with session_of(judge, colour, mailbox=BOB) as mail:
        with pytest.raises(TokenRefused, match=BOB):
            list(mail.unseen())
        with pytest.raises(SendingDisabled, match=BOB):
            mail.send(to="carol@example.org", subject="forged", text="text")
    assert len(judge.messages(BOB)) == before


def test_an_app_opens_every_mailbox_and_sends_as_it_with_one_token(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    account = emulator.app_account()
    tokens = token_source(account, store=MemoryStore())
    for address in (ADA, TEAM):
        with session_of(emulator, colour, account=account, tokens=tokens, mailbox=address) as mail:
            assert len(list(mail.unseen())) == 1
            mail.send(to=BOB, subject=f"from {address}", text="text")
    assert [(sent.envelope_from, sent.user) for sent in emulator.sent] == [
        (ADA, ADA),
        (TEAM, TEAM),
    ]
    assert len(emulator.token_requests) == 1


def test_an_app_without_permission_is_told_whose_matter_it_is(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.deny_app(TEAM)
    account = emulator.app_account()
    tokens = token_source(account, store=MemoryStore())
    with session_of(emulator, colour, account=account, tokens=tokens, mailbox=TEAM) as mail:
        with pytest.raises(TokenRefused, match=TEAM):
            list(mail.unseen())
        with pytest.raises(TokenRefused, match=TEAM):
            mail.send(to=BOB, subject="s", text="t")
    assert emulator.sent == []


def test_an_app_needs_to_be_told_which_mailbox(emulator: OutlookEmulator) -> None:
    account = emulator.app_account()
    for make in (Mailbox, Mailer):
        with pytest.raises(ConfigError, match="names no mailbox") as caught:
            make(account)
        assert "mailbox=" in caught.value.remedy
    assert emulator.connections == []


def test_a_user_whose_sign_in_name_differs_reads_and_sends_as_the_address(
    judge: Judge, colour: Colour
) -> None:
    judge.add_user("grace@example.com", upn="g.hopper@outlook.example")  # type: ignore[attr-defined] # both have it
    if not isinstance(judge, OutlookEmulator):
        judge.clear("grace@example.com")  # type: ignore[attr-defined] # and only the real ones need it
    judge.deliver("grace@example.com", note("for Grace", "grace@example.com"))
    account = judge.account("grace@example.com")
    assert account.user == "g.hopper@outlook.example"
    with session_of(judge, colour, account=account) as mail:
        assert [message.subject for message in mail.unseen()] == ["for Grace"]
        mail.send(to="carol@example.org", subject="from Grace", text="text")
    if isinstance(judge, OutlookEmulator):
        assert judge.sent[0].envelope_from == "grace@example.com"
        assert judge.sent[0].user == "grace@example.com"


def test_a_sign_in_under_another_name_is_refused_unless_the_account_names_it(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.add_user("grace@example.com", upn="g.hopper@outlook.example")
    emulator.deliver("grace@example.com", note("for Grace", "grace@example.com"))
    named = emulator.account("grace@example.com")
    unnamed = replace(named, user="grace@example.com", mailbox=None)
    browser = emulator.identity.browser_as("grace@example.com")
    store = MemoryStore()
    with pytest.raises(SignInFailed, match=r"g\.hopper@outlook\.example") as caught:
        sign_in(unnamed, open_url=browser, store=store)
    assert caught.value.reason == "wrong_user"
    assert "--user g.hopper@outlook.example" in caught.value.remedy
    assert store.list() == []
    sign_in(named, open_url=browser, store=store)
    tokens = token_source(named, store=store)
    with session_of(emulator, colour, account=named, tokens=tokens) as mail:
        assert [message.subject for message in mail.unseen()] == ["for Grace"]
        mail.send(to=BOB, subject="from Grace", text="text")
    assert emulator.sent[0].envelope_from == "grace@example.com"
