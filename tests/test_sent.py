"""The Sent folder: finding what was sent by its Message-ID, and copies put there once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import AsyncMailbox, Mailer, SendReceipt
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut, Reply
from mailoauth.errors import ConfigError, DeliveryUnknown, FolderNotFound, ServerError
from mailoauth.mail.sent import is_in_sent, pauses, save_copy, settle, with_copy
from tests.judges import TIMEOUT, note, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from mailoauth.accounts import Account
    from tests.judges import Judge

ADA = "ada@example.com"
TEAM = "team@example.com"


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        yield made


def mailbox_of(judge: Judge) -> AsyncMailbox:
    account = judge.account(ADA)
    return AsyncMailbox(account, tokens=signed_in_source(judge, account), timeout=TIMEOUT)


def in_mailbox(judge: Judge, use: Callable[[AsyncMailbox], Coroutine[Any, Any, Any]]) -> Any:
    """Return what a coroutine makes of ada's mailbox."""

    async def run() -> Any:
        async with mailbox_of(judge) as mailbox:
            return await use(mailbox)

    return asyncio.run(run())


def put_into_sent(*messages: bytes) -> Callable[[AsyncMailbox], Coroutine[Any, Any, None]]:
    async def put(mailbox: AsyncMailbox) -> None:
        for message in messages:
            await mailbox.append(message, await mailbox.special("sent"))

    return put


def in_sent_folder(judge: Judge) -> list[tuple[str, str, bool]]:
    """Return the id, the text and whether it is seen of each message in ada's Sent folder."""

    async def read(mailbox: AsyncMailbox) -> list[tuple[str, str, bool]]:
        found = mailbox.search(folder=await mailbox.special("sent"))
        return [(one.message_id, one.text.strip(), "\\Seen" in one.flags) async for one in found]

    listed: list[tuple[str, str, bool]] = in_mailbox(judge, read)
    return listed


def test_a_message_is_found_in_the_sent_folder(judge: Judge) -> None:
    async def look(mailbox: AsyncMailbox) -> list[bool]:
        await put_into_sent(note("one"), note("two"))(mailbox)
        ids = ["<one@example.com>", "<three@example.com>"]
        return [await is_in_sent(mailbox, each, wait=0) for each in ids]

    assert in_mailbox(judge, look) == [True, False]


def test_a_message_whose_id_only_contains_the_one_that_is_wanted_is_another(judge: Judge) -> None:
    """SEARCH finds parts of fields."""

    async def look(mailbox: AsyncMailbox) -> bool:
        await put_into_sent(note("one"))(mailbox)
        return await is_in_sent(mailbox, "one@example.com", wait=0)

    assert in_mailbox(judge, look) is False


@pytest.mark.parametrize(
    "header", ["X-Microsoft-Original-Message-ID", "x-google-original-message-id"]
)
def test_a_message_that_the_provider_gave_another_id_is_found(judge: Judge, header: str) -> None:
    """Outlook.com gives what it sends an id of its own."""
    changed = note("theirs").replace(
        b"Subject:", f"{header}:\r\n <ours@example.com>\r\nSubject:".encode()
    )

    async def look(mailbox: AsyncMailbox) -> bool:
        await put_into_sent(changed)(mailbox)
        return await is_in_sent(mailbox, "<ours@example.com>", wait=0)

    assert in_mailbox(judge, look) is True


def test_a_message_that_no_index_knows_yet_is_found(emulator: OutlookEmulator) -> None:
    async def look(mailbox: AsyncMailbox) -> bool:
        await put_into_sent(note("one"), note("two"))(mailbox)
        emulator.on("imap", "SEARCH", Reply("OK SEARCH completed."))  # and finds nothing
        return await is_in_sent(mailbox, "<one@example.com>", wait=0)

    assert in_mailbox(emulator, look) is True


def test_a_message_that_comes_late_is_waited_for(judge: Judge) -> None:
    paused: list[float] = []

    async def look(mailbox: AsyncMailbox) -> bool:
        async def pause(seconds: float) -> None:
            paused.append(seconds)
            if len(paused) == 3:
                async with mailbox_of(judge) as server:  # plays its part
                    await put_into_sent(note("late"))(server)

        return await is_in_sent(mailbox, "<late@example.com>", wait=30, pause=pause)

    assert in_mailbox(judge, look) is True
    assert paused == [1, 2, 4]


def test_a_message_that_never_comes_is_not_waited_for_longer_than_told(
    emulator: OutlookEmulator,
) -> None:
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    async def look(mailbox: AsyncMailbox) -> bool:
        return await is_in_sent(mailbox, "<never@example.com>", wait=10, pause=pause)

    assert in_mailbox(emulator, look) is False
    assert paused == [1, 2, 4, 3]


@pytest.mark.parametrize(
    ("wait", "expected"), [(0, []), (0.5, [0.5]), (7, [1, 2, 4]), (30, [1, 2, 4, 8, 15])]
)
def test_pauses_grow_and_make_up_the_time(wait: float, expected: list[float]) -> None:
    assert list(pauses(wait)) == expected


def test_a_refusal_is_not_taken_for_a_message_that_is_not_there(emulator: OutlookEmulator) -> None:
    emulator.on("imap", "SEARCH", Reply("NO [SERVERBUG] Internal error"), times=3)
    with pytest.raises(ServerError, match="Internal error"):
        in_mailbox(emulator, lambda mailbox: is_in_sent(mailbox, "<one@example.com>", wait=0))


# Copies.


def test_a_copy_is_put_into_sent_once(judge: Judge) -> None:
    async def save(mailbox: AsyncMailbox) -> list[bool]:
        return [await save_copy(mailbox, note("one"), "<one@example.com>") for _ in range(2)]

    assert in_mailbox(judge, save) == [True, True]
    assert in_sent_folder(judge) == [("<one@example.com>", "body of one", True)]


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_copy_whose_outcome_is_unknown_is_not_made_twice(
    emulator: OutlookEmulator, *, carried_out: bool
) -> None:
    emulator.on("imap", "APPEND", Cut(carried_out=carried_out))
    saved = in_mailbox(
        emulator, lambda mailbox: save_copy(mailbox, note("one"), "<one@example.com>")
    )
    assert saved is carried_out
    assert len(in_sent_folder(emulator)) == int(carried_out)


def no_sent_folder(mailbox: AsyncMailbox) -> Coroutine[Any, Any, None]:
    async def remove() -> None:
        await mailbox.delete_folder(await mailbox.special("sent"))

    return remove()


def test_a_mailbox_without_a_sent_folder_gets_no_copy(emulator: OutlookEmulator) -> None:
    in_mailbox(emulator, no_sent_folder)
    with pytest.raises(FolderNotFound, match='"sent"'):
        in_mailbox(emulator, lambda mailbox: save_copy(mailbox, note("one"), "<one@example.com>"))


def receipt_with_copy(judge: Judge) -> SendReceipt:
    receipt = SendReceipt("<one@example.com>", "250 OK", accepted=("bob@example.com",))
    account = judge.account(ADA)
    tokens = signed_in_source(judge, account)
    return asyncio.run(with_copy(receipt, note("one"), account, ADA, tokens))


def test_a_receipt_says_that_a_copy_lies_in_sent(judge: Judge) -> None:
    assert receipt_with_copy(judge).saved is True
    assert in_sent_folder(judge) == [("<one@example.com>", "body of one", True)]


def test_a_receipt_says_that_no_copy_could_be_saved(
    emulator: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    in_mailbox(emulator, no_sent_folder)
    with caplog.at_level(logging.WARNING, "mailoauth.mail"):
        receipt = receipt_with_copy(emulator)
    assert (receipt.saved, receipt.reply) == (False, "250 OK")
    assert "no copy of a message was put into Sent" in caplog.text


# Settling.


def settled(judge: Judge, account: Account, message_id: str, *, address: str = ADA) -> bool:
    unknown = DeliveryUnknown("The line was lost.", message_id=message_id)
    tokens = signed_in_source(judge, account)
    return asyncio.run(settle(account, address, tokens, unknown, wait=0.1))


def test_an_unknown_delivery_is_settled(judge: Judge) -> None:
    account = judge.account(ADA)
    account = replace(account, provider=replace(account.provider, saves_sent=True))
    in_mailbox(judge, put_into_sent(note("one")))
    assert settled(judge, account, "<one@example.com>") is True
    assert settled(judge, account, "<two@example.com>") is False


def test_what_was_sent_from_a_shared_mailbox_is_looked_for_with_who_signed_in(
    emulator: OutlookEmulator,
) -> None:
    emulator.add_user(TEAM)
    emulator.share(TEAM, with_user=ADA)
    emulator.deliver(ADA, note("one"), "Sent Items")
    assert settled(emulator, emulator.account(ADA), "<one@example.com>", address=TEAM) is True


def test_settling_works_where_the_name_that_signs_in_is_not_the_address(
    emulator: OutlookEmulator,
) -> None:
    emulator.add_user("grace@outlook.example", upn="grace@tenant.example.com")
    emulator.deliver("grace@outlook.example", note("one"), "Sent Items")
    account = emulator.account("grace@outlook.example")
    unknown = DeliveryUnknown("The line was lost.", message_id="<one@example.com>")
    tokens = signed_in_source(emulator, account, holder="grace@outlook.example")
    assert asyncio.run(settle(account, account.address, tokens, unknown, wait=0.1)) is True


@pytest.mark.parametrize(
    ("changes", "message_id", "expected"),
    [
        (
            {"saves_sent": False},
            "<one@example.com>",
            r"is not known to keep copies.*saves_sent = true",
        ),
        ({"imap": None}, "<one@example.com>", r"has no imap server.*imap = \{ host, port, tls \}"),
        ({}, "", r"names no message.*DeliveryUnknown that was raised"),
    ],
)
def test_what_nobody_can_settle_is_refused_and_says_what_to_do(
    emulator: OutlookEmulator, changes: dict[str, Any], message_id: str, expected: str
) -> None:
    account = emulator.account(ADA)
    account = replace(account, provider=replace(account.provider, **changes))
    with pytest.raises(ConfigError, match=expected):
        settled(emulator, account, message_id)
    assert emulator.connections == []


# By a mailer.


def mailer_of(judge: Judge, *, saves_sent: bool) -> Mailer:
    account = judge.account(ADA)
    account = replace(account, provider=replace(account.provider, saves_sent=saves_sent))
    return Mailer(account, tokens=signed_in_source(judge, account), timeout=TIMEOUT)


def test_a_mailer_sees_to_exactly_one_copy(judge: Judge) -> None:
    """The emulator keeps copies like Outlook, here unbeknown to the client; Dovecot keeps none."""
    with mailer_of(judge, saves_sent=False) as mailer:
        receipt = mailer.send(
            to="carol@example.org", bcc="dora@example.org", text="text", save_sent=True
        )
        unsaved = mailer.send(to="carol@example.org", text="text")
    assert (receipt.saved, unsaved.saved) == (True, None)
    assert [each for each in in_sent_folder(judge) if each[0] == receipt.message_id] == [
        (receipt.message_id, "text", True)
    ]


def test_a_mailer_leaves_the_copy_to_a_provider_that_keeps_one(emulator: OutlookEmulator) -> None:
    with mailer_of(emulator, saves_sent=True) as mailer:
        receipt = mailer.send(to="carol@example.org", text="text", save_sent=True)
    assert receipt.saved is None
    assert len(in_sent_folder(emulator)) == 1
    assert {one.protocol for one in emulator.connections[:1]} == {"smtp"}


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_mailer_settles_what_became_of_a_message(
    emulator: OutlookEmulator, *, carried_out: bool
) -> None:
    emulator.on("smtp", ".", Cut(carried_out=carried_out))
    with mailer_of(emulator, saves_sent=True) as mailer:
        with pytest.raises(DeliveryUnknown) as unknown:
            mailer.send(to="carol@example.org", text="text")
        assert mailer.settle(unknown.value, wait=0.1) is carried_out
    assert len(emulator.sent) == int(carried_out)
