"""Sessions in daily use: one connection for much, many users of one mailer, mailboxes of every size."""

from __future__ import annotations

import asyncio
import imaplib
import time
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import AsyncMailSession, ConcurrentUse, Mailer, Message
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Reply
from mailoauth.errors import (
    ConnectionFailed,
    FolderNotFound,
)
from mailoauth.mail import batches
from mailoauth.network import tls_context
from tests.emulator_clients import once, xoauth2
from tests.judges import note, signed_in_source
from tests.real.servers import RealServers
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message as StandardMessage

    from tests.judges import Colour, Judge, Wire

BOB = "bob@example.com"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        made.add_user(BOB)
        yield made


def connections(judge: Judge, wire: Wire) -> int:
    return sum(one.protocol == wire for one in judge.connections)


def parsed(raw: bytes) -> StandardMessage:
    return BytesParser().parsebytes(raw)


def sent_subjects(emulator: OutlookEmulator) -> list[str]:
    return [str(parsed(sent.raw)["Subject"]) for sent in emulator.sent]


def numbered(count: int) -> list[str]:
    return [f"message-{number}" for number in range(count)]


def another_client(judge: Judge) -> imaplib.IMAP4_SSL:
    other = imaplib.IMAP4_SSL(
        "localhost", judge.imap.port, ssl_context=tls_context(judge.ca_file), timeout=10
    )
    other.authenticate("XOAUTH2", once(xoauth2(ADA, judge.identity.issue(ADA)[0])))
    return other


# Connections.


def test_nothing_connects_before_the_first_verb(judge: Judge, colour: Colour) -> None:
    before = len(judge.connections)
    with session_of(judge, colour) as mail:
        mail.unseen()
    assert len(judge.connections) == before


def test_one_session_uses_one_connection_for_many_sends_and_one_for_many_reads(
    judge: Judge, colour: Colour
) -> None:
    smtp, imap = connections(judge, "smtp"), connections(judge, "imap")
    with session_of(judge, colour) as mail:
        for subject in numbered(5):
            assert (
                mail.send(to="carol@example.org", subject=subject, text="text").reply[:3] == "250"
            )
            assert list(mail.unseen()) == []
    assert connections(judge, "smtp") == smtp + 1
    assert connections(judge, "imap") == imap + 1


@pytest.mark.parametrize("used", [True, False])
def test_a_session_that_was_left_says_so(judge: Judge, used: bool) -> None:
    with session_of(judge, "sync") as mail:
        if used:
            mail.send(to="carol@example.org", subject="s", text="t")
    with pytest.raises(ConnectionFailed, match="is closed"):
        list(mail.unseen())
    with pytest.raises(ConnectionFailed, match="is closed"):
        mail.send(to=BOB, subject="s", text="t")


def test_an_asynchronous_session_that_was_left_says_so(judge: Judge) -> None:
    account = judge.account(ADA)
    tokens = signed_in_source(judge, account)

    async def main() -> None:
        async with AsyncMailSession(account, tokens=tokens) as mail:
            assert [one async for one in mail.unseen()] == []
        with pytest.raises(ConnectionFailed, match="is closed"):
            await mail.mark_seen(Message.from_bytes(note("one"), uid=1, folder="INBOX"))
        with pytest.raises(ConnectionFailed, match="is closed"):
            await mail.send(to=BOB, subject="s", text="t")

    asyncio.run(main())


def test_a_second_thread_is_told_that_the_session_is_not_its_own(judge: Judge) -> None:
    with session_of(judge, "sync") as mail, ThreadPoolExecutor(1) as pool:
        assert list(mail.unseen()) == []
        with pytest.raises(ConcurrentUse, match="another thread"):
            pool.submit(lambda: list(mail.unseen())).result()
        assert list(mail.unseen()) == []


# Many users at once.


def test_many_tasks_of_one_session_send_and_read_without_mixing(judge: Judge) -> None:
    subjects = numbered(6)
    for subject in subjects:
        judge.deliver(ADA, note(subject))
    account = judge.account(ADA)
    source = signed_in_source(judge, account)
    before = connections(judge, "imap"), connections(judge, "smtp")

    async def read(mail: AsyncMailSession) -> list[tuple[str, str]]:
        return [(one.subject, one.text) async for one in mail.search(limit=6)]

    async def main() -> None:
        async with AsyncMailSession(account, tokens=source) as mail:
            sends = [mail.send(to="carol@example.org", subject=one, text=one) for one in subjects]
            results: list[Any] = await asyncio.gather(*sends, *(read(mail) for _ in range(6)))
        receipts, readings = results[:6], results[6:]
        assert len({receipt.message_id for receipt in receipts}) == 6
        expected = [(subject, f"body of {subject}\n") for subject in subjects]
        assert [[(s, t.replace("\r\n", "\n")) for s, t in one] for one in readings] == [
            expected
        ] * 6

    asyncio.run(main())
    assert connections(judge, "imap") == before[0] + 1
    assert before[1] < connections(judge, "smtp") <= before[1] + 3


def test_a_mailer_sends_from_eight_threads_at_once(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    subjects = numbered(40)
    with (
        Mailer(account, tokens=signed_in_source(emulator, account)) as mailer,
        ThreadPoolExecutor(8) as pool,
    ):
        receipts = list(pool.map(lambda one: mailer.send(to=BOB, subject=one, text=one), subjects))
    assert len({receipt.message_id for receipt in receipts}) == 40
    assert sorted(sent_subjects(emulator)) == sorted(subjects)
    for sent in emulator.sent:
        message = parsed(sent.raw)
        assert str(message.get_payload()).strip() == message["Subject"]
    assert connections(emulator, "smtp") <= 3


# Reading much, and little.


def test_an_empty_folder_and_a_folder_that_is_not_there(judge: Judge, colour: Colour) -> None:
    with session_of(judge, colour) as mail:
        assert list(mail.search()) == []
        with pytest.raises(FolderNotFound):
            list(mail.search(folder="No such folder"))
        assert list(mail.unseen()) == []


def test_many_messages_come_in_uid_order_over_several_batches(judge: Judge, colour: Colour) -> None:
    subjects = numbered(120)
    for subject in subjects:
        judge.deliver(ADA, note(subject))
    with session_of(judge, colour) as mail:
        found = list(mail.search())
        assert [message.subject for message in found] == subjects
        uids = [message.uid for message in found]
        assert uids == sorted(set(uids))
        newest = [message.uid for message in mail.search(newest_first=True, limit=70)]
        assert newest == uids[:-71:-1]


def test_messages_that_are_expunged_meanwhile_are_left_out(
    judge: Judge, colour: Colour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_MESSAGES", 20)  # those to be removed are not here yet
    for subject in numbered(120):
        judge.deliver(ADA, note(subject))
    with session_of(judge, colour) as mail:
        found = []
        for message in mail.search():
            found.append(message.subject)
            if len(found) == 10:
                with another_client(judge) as other:
                    other.select()
                    other.store("61:70", "+FLAGS", r"(\Deleted)")
                    other.expunge()
    gone = set(numbered(70)[60:])
    assert [one for one in found if one not in gone] == [*numbered(60), *numbered(120)[70:]]
    if isinstance(judge, RealServers):  # RFC 2180 section 4.1.2 lets servers still show them
        assert gone.isdisjoint(found)


def test_a_message_of_twenty_megabytes_goes_out_and_comes_back_whole(
    judge: Judge, colour: Colour
) -> None:
    content = bytes(range(256)) * (14 * 4096)
    with session_of(judge, colour, timeout=30.0) as mail:
        mail.send(to=ADA, subject="large", text="t", attachments=[("large.bin", content)])
        for _ in range(200):
            if found := list(mail.unseen()):
                break
            time.sleep(0.05)
        (message,) = found
        assert message.size > 19_000_000
        assert message.attachments[0].content == content


def test_a_goodbye_in_place_of_the_sign_in_because_the_token_ended_is_a_refusal(
    colour: Colour,
) -> None:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.deliver(ADA, note("one"))
        bye = "* BYE Session invalidated - AccessTokenExpired"
        emulator.on("imap", "AUTHENTICATE", Reply(bye))
        with session_of(emulator, colour) as mail:
            assert [message.subject for message in mail.unseen()] == ["one"]
        assert len(emulator.token_requests) == 1
