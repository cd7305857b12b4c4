"""A call that is cancelled, or made from a second thread, harms nothing of what comes after it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mailoauth import AsyncMailSession, MailSession, StaticToken
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Silent
from mailoauth.errors import ConcurrentUse, DeliveryUnknown
from tests.endings.programs import ADA, PROMPT, subjects
from tests.endings.world import chain
from tests.judges import client, note, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailoauth.mail.async_mailbox import AsyncMessageIterator
    from tests.judges import Colour, Judge

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as started:
        started.add_user(ADA)
        yield started


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


async def session_at(emulator: OutlookEmulator) -> AsyncMailSession:
    tokens = StaticToken(emulator.identity.issue(ADA)[0])
    return AsyncMailSession(emulator.account(ADA), tokens=tokens, timeout=60.0)


def test_a_send_that_is_cancelled_is_not_repeated_and_the_next_has_a_new_connection(
    emulator: OutlookEmulator, runner: asyncio.Runner
) -> None:
    async def story() -> BaseException:
        async with await session_at(emulator) as mail:
            emulator.on("smtp", ".", Silent(carried_out=True))
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(1):
                    await mail.send(to=ADA, subject="first", text="text")
            await mail.send(to=ADA, subject="second", text="text")
            return caught.value

    error = runner.run(story())
    known = [one for one in chain(error) if isinstance(one, DeliveryUnknown)]
    assert [one.message_id.encode() in emulator.sent[0].raw for one in known] == [True]
    assert subjects(emulator) == ["first", "second"]
    assert len(emulator.connections) == 2


def test_a_send_that_is_cancelled_before_the_message_was_handed_over_claims_nothing(
    emulator: OutlookEmulator, runner: asyncio.Runner
) -> None:
    async def story() -> BaseException:
        async with await session_at(emulator) as mail:
            emulator.on("smtp", "MAIL", Silent())
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(1):
                    await mail.send(to=ADA, subject="first", text="text")
            await mail.send(to=ADA, subject="second", text="text")
            return caught.value

    error = runner.run(story())
    assert not [one for one in chain(error) if isinstance(one, DeliveryUnknown)]
    assert subjects(emulator) == ["second"]


def test_a_loop_that_was_cancelled_goes_on_with_the_same_message(
    emulator: OutlookEmulator, runner: asyncio.Runner
) -> None:
    names = [f"message-{number}" for number in range(60)]
    for name in names:
        emulator.deliver(ADA, note(name))

    async def story() -> list[str | None]:
        got: list[str | None]
        async with await session_at(emulator) as mail:
            messages = mail.unseen(mark_seen=True)
            got = [(await anext(messages)).subject]
            # The second batch of messages; the sizes of all are known by now.
            emulator.on("imap", "UID FETCH", Silent())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    got += [one.subject async for one in messages]
            return got + [one.subject async for one in messages]

    got = runner.run(story())
    assert sorted(got, key=lambda name: int(str(name).split("-")[1])) == got
    # Those of the loop that was thrown away with its list are gone; none of the rest is.
    assert got[0] == names[0]
    assert got[-10:] == names[-10:]
    assert len([one for one in emulator.connections if one.protocol == "imap"]) == 2


def test_messages_are_yielded_once_though_each_step_is_cancelled_first(
    emulator: OutlookEmulator, runner: asyncio.Runner
) -> None:
    names = [f"message-{number}" for number in range(5)]
    for name in names:
        emulator.deliver(ADA, note(name))

    async def step(messages: AsyncMessageIterator, patience: float) -> str | None:
        async with asyncio.timeout(patience):
            return (await anext(messages)).subject

    async def story() -> list[str | None]:
        got: list[str | None] = []
        async with await session_at(emulator) as mail:
            messages = mail.unseen(mark_seen=True)
            for number in range(1000):
                # From "at once" to "long enough", so that every moment is hit.
                try:
                    got.append(await step(messages, number % 40 * 0.0005))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
        return got

    assert runner.run(story()) == names
    assert all("\\Seen" in one.flags for one in emulator.messages(ADA))


def test_a_session_that_is_left_while_it_connects_does_not_wait_for_that(
    emulator: OutlookEmulator, runner: asyncio.Runner
) -> None:
    emulator.on("imap", "CONNECT", Silent())

    async def story() -> None:
        async with asyncio.timeout(1), await session_at(emulator) as mail:
            await anext(mail.unseen())

    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        runner.run(story())
    assert time.monotonic() - begun < PROMPT


def test_a_second_thread_is_refused_and_the_first_goes_on(emulator: OutlookEmulator) -> None:
    emulator.deliver(ADA, note("one"))
    tokens = StaticToken(emulator.identity.issue(ADA)[0])
    with MailSession(emulator.account(ADA), tokens=tokens) as mail:
        messages = mail.unseen()
        message = next(messages)
        verbs: list[Callable[[], object]] = [
            lambda: list(mail.unseen()),
            lambda: mail.mark_seen(message),
        ]
        with ThreadPoolExecutor(1) as other:
            errors = [other.submit(verb).exception(PROMPT) for verb in verbs]
        assert [type(error) for error in errors] == [ConcurrentUse] * 2
        assert "another thread" in str(errors[0])
        mail.mark_seen(message)
    assert len(emulator.connections) == 1


def test_marks_that_are_outstanding_do_not_hold_up_ctrl_c(emulator: OutlookEmulator) -> None:
    emulator.deliver(ADA, note("one"))
    emulator.deliver(ADA, note("two"))
    tokens = StaticToken(emulator.identity.issue(ADA)[0])
    begun = time.monotonic()

    def read_and_be_interrupted() -> None:
        with MailSession(emulator.account(ADA), tokens=tokens, timeout=60.0) as mail:
            messages = mail.unseen(mark_seen=True)
            assert [next(messages).subject, next(messages).subject] == ["one", "two"]
            emulator.on("imap", "STORE", Silent())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_and_be_interrupted()
    assert time.monotonic() - begun < PROMPT


def test_marks_that_are_outstanding_are_written_at_ctrl_c(emulator: OutlookEmulator) -> None:
    emulator.deliver(ADA, note("one"))
    emulator.deliver(ADA, note("two"))
    tokens = StaticToken(emulator.identity.issue(ADA)[0])

    def read_and_be_interrupted() -> None:
        with MailSession(emulator.account(ADA), tokens=tokens) as mail:
            messages = mail.unseen(mark_seen=True)
            assert [next(messages).subject, next(messages).subject] == ["one", "two"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_and_be_interrupted()
    flags = ["\\Seen" in one.flags for one in emulator.messages(ADA)]
    assert flags == [True, False]  # the one in hand was not finished with


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_mail_that_arrives_between_two_readings_of_a_session_is_found(
    judge: Judge, colour: Colour
) -> None:
    account = judge.account(ADA)
    session = client(colour, account, signed_in_source(judge, account))
    try:
        judge.deliver(ADA, note("one"))
        assert session.use("imap") == ["one"]
        judge.deliver(ADA, note("two"))
        assert session.use("imap") == ["one", "two"]
    finally:
        session.end()
