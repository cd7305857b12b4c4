"""Many messages against the emulator and the real servers."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import AsyncMailer
from mailoauth.emulator import Cut, OutlookEmulator, Reply
from mailoauth.mail.many import AsyncReceipts
from tests.judges import signed_in_source
from tests.many_world import Time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.mail.receipt import SendReceipt
    from tests.judges import Judge

ADA = "ada@example.com"


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        yield emulator


def to_ada(count: int) -> list[dict[str, Any]]:
    return [{"to": ADA, "subject": f"note {number}", "text": "hello"} for number in range(count)]


def sent(judge: Judge, count: int, waiting: Time, **options: Any) -> list[SendReceipt]:
    """Send so many with a real mailer; waiting takes no time."""

    async def everything() -> list[SendReceipt]:
        account = judge.account(ADA)
        async with AsyncMailer(account, tokens=signed_in_source(judge, account)) as mailer:
            many = AsyncReceipts(mailer, to_ada(count), pace=waiting.pace(), **options)
            return [receipt async for receipt in many]

    return asyncio.run(everything())


def arrived(judge: Judge, count: int) -> list[int]:
    """Wait for so many messages, and return their numbers."""
    ends = time.monotonic() + 10
    while len(messages := judge.messages(ADA)) < count and time.monotonic() < ends:
        time.sleep(0.05)
    found = [re.search(rb"Subject: note (\d+)", message.raw) for message in messages]
    return sorted(int(match[1]) for match in found if match)


def test_many_messages_arrive_once_each_over_few_connections(judge: Judge) -> None:
    before = len(judge.connections)
    receipts = sent(judge, 30, Time())
    assert [receipt.error for receipt in receipts] == [None] * 30
    assert arrived(judge, 30) == list(range(30))
    assert len(judge.connections) - before <= 3


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (None, 2.0),  # 432 4.3.2
        ("451 4.7.500 Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92.415),
        ("421 4.3.2 Service not active", 2.0),
    ],
)
def test_a_busy_server_is_waited_for_as_it_told(
    emulator: OutlookEmulator, reply: str | None, seconds: float
) -> None:
    waiting = Time()
    emulator.throttle("smtp", reply)
    receipts = sent(emulator, 5, waiting, connections=1)
    assert [receipt.error for receipt in receipts] == [None] * 5
    assert arrived(emulator, 5) == list(range(5))
    assert waiting.slept == [pytest.approx(seconds)]


def test_a_line_cut_after_a_message_is_one_unknown_and_the_others_arrive(
    emulator: OutlookEmulator,
) -> None:
    emulator.on("smtp", ".", Cut(carried_out=True))
    receipts = sent(emulator, 10, Time())
    assert len([receipt for receipt in receipts if receipt.error]) == 1
    assert arrived(emulator, 10) == list(range(10)), "none twice"


def test_a_refusal_after_the_message_is_certain_and_repeated(emulator: OutlookEmulator) -> None:
    emulator.on("smtp", ".", Reply("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"))
    receipts = sent(emulator, 6, Time())
    assert [receipt.error for receipt in receipts] == [None] * 6
    assert arrived(emulator, 6) == list(range(6))
