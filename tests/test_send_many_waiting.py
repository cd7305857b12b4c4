"""Many messages: what servers and networks make a run wait for, repeat and give up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import (
    ConnectionFailed,
    DeliveryUnknown,
    MailOAuthError,
    SendingDisabled,
    ServerError,
    SignInRequired,
    StoreError,
    Throttled,
)
from mailoauth.mail.many import AsyncReceipts
from tests.many_world import (
    ADA,
    FakeMailer,
    Time,
    lost,
    note,
    notes,
    refusal,
    refused_by_all,
    run,
    unknown,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BUSY = "432 4.3.2 Concurrent connections limit exceeded."


def first(count: int, error: Callable[[], MailOAuthError]) -> Callable[[int, Any], Any]:
    """Return a trouble of the first so many submissions."""
    return lambda number, _: error() if number <= count else None


def test_a_busy_server_makes_all_wait_longer_each_time_and_all_is_sent() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = first(9, lambda: refusal(BUSY))
    receipts = run(mailer, notes(5), time=time)
    assert [receipt.error for receipt in receipts] == [None] * 5
    assert time.slept == [2, 4, 8, 16, 32, 64, 120, 120, 120]


def test_what_the_server_tells_is_waited_with_up_to_a_fifth_more() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = first(
        1,
        lambda: refusal(
            "451 4.7.500 Request is throttled. Suggested Backoff Time: 92415 milliseconds"
        ),
    )

    async def everything() -> None:
        async for receipt in AsyncReceipts(mailer, notes(2), pace=time.pace(chance=0.5)):
            assert receipt.error is None

    asyncio.run(everything())
    assert time.slept == [pytest.approx(92.415 * 1.1)]


def test_one_trouble_of_all_connections_counts_once() -> None:
    time = Time()
    mailer = FakeMailer(connections=3)
    mailer.trouble = first(6, lambda: refusal(BUSY))
    run(mailer, notes(9), time=time)
    assert time.now == 1000 + 2 + 4
    assert len(mailer.submissions) == 6 + 9


def test_nobody_sends_while_the_server_asks_to_wait() -> None:
    time = Time()
    mailer = FakeMailer(connections=3)
    when: list[float] = []

    def trouble(number: int, _: Any) -> MailOAuthError | None:
        when.append(time.now)
        return refusal(BUSY) if number == 4 else None

    mailer.trouble = trouble
    run(mailer, notes(30), time=time)
    before = [moment for moment in when if moment == 1000]
    assert len(before) <= 4 + 2, "only those who were under way"
    assert all(moment >= 1002 for moment in when[len(before) :])


def test_ten_times_busy_in_a_row_is_the_receipt_of_a_message() -> None:
    mailer = FakeMailer(connections=1)
    mailer.trouble = first(10, lambda: refusal(BUSY))
    receipts = run(mailer, notes(3))
    assert [type(receipt.error) for receipt in receipts] == [Throttled, type(None), type(None)]


def test_a_passing_refusal_of_one_message_does_not_stop_the_others() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = lambda number, parcel: (
        refusal("450 4.2.1 The mailbox is busy")
        if b"note 1\r\n" in parcel.data and number < 9
        else None
    )
    receipts = run(mailer, notes(5), time=time)
    assert mailer.subjects() == ["note 2", "note 3", "note 4", "note 5"]
    assert receipts[-1].key == "#1"
    assert isinstance(receipts[-1].error, ServerError)
    assert len(mailer.submissions) == 5 + 3, "three more attempts"
    assert time.now == 1000 + 2 + 4 + 8


def test_a_message_that_was_refused_in_passing_arrives_later() -> None:
    mailer = FakeMailer(connections=2)
    mailer.trouble = lambda number, _: (
        refused_by_all("450 4.7.1 Greylisted") if number <= 4 else None
    )
    receipts = run(mailer, notes(4))
    assert [receipt.error for receipt in receipts] == [None] * 4
    assert {parcel.message_id for parcel in mailer.submissions[:4]} == {
        receipt.message_id for receipt in receipts
    }


def test_messages_that_wait_for_a_repetition_are_bounded() -> None:
    mailer = FakeMailer(connections=2)
    taken: list[int] = []
    waiting: list[int] = []

    def messages() -> Any:
        for number in range(300):
            taken.append(number)
            yield note(number)

    def greylisted(_: int, parcel: Any) -> MailOAuthError | None:
        waiting.append(len(taken) - len(done))
        again = sum(one.message_id == parcel.message_id for one in mailer.submissions) > 1
        return None if again else refused_by_all("450 4.7.1 Greylisted")

    mailer.trouble = greylisted
    done: list[Any] = []
    run(mailer, messages(), receipts=done)
    assert len(done) == 300
    assert max(waiting) <= 2 * 16 + 2 * 2 + 2


def test_a_repetition_does_not_wait_for_an_input_that_is_slow() -> None:
    mailer = FakeMailer(connections=2)
    mailer.trouble = first(1, lambda: refusal("450 4.2.1 The mailbox is busy"))

    async def everything() -> None:
        more = asyncio.Event()

        async def messages() -> AsyncIterator[dict[str, Any]]:
            yield note(1)
            await more.wait()
            yield note(2)

        many = AsyncReceipts(mailer, messages(), pace=Time().pace())
        assert (await anext(many)).key == "#1"
        more.set()
        assert (await anext(many)).key == "#2"
        with pytest.raises(StopAsyncIteration):
            await anext(many)

    asyncio.run(everything())


def test_a_lost_network_is_waited_for() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = first(4, lost)
    receipts = run(mailer, notes(3), time=time)
    assert [receipt.error for receipt in receipts] == [None] * 3
    assert time.slept == [2, 4, 8, 16]


def test_five_times_lost_is_given_up_and_the_next_ones_get_one_try_each() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = lambda number, _: lost() if number <= 7 or number in {9, 10} else None
    receipts = run(mailer, notes(6), time=time)
    assert [type(receipt.error) for receipt in receipts] == [
        ConnectionFailed,  # attempts 1 to 5
        ConnectionFailed,  # 6
        ConnectionFailed,  # 7
        type(None),  # 8: the network is there again
        type(None),  # 9 and 10 are waited for once more, 11
        type(None),
    ]
    assert time.slept == [2, 4, 8, 16, 2, 4]


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize(
    "error",
    [
        SignInRequired("A person must sign in."),
        StoreError("The record cannot be opened."),
        refusal("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant"),
    ],
)
def test_what_concerns_the_account_ends_all_that_follow_without_the_network(
    error: MailOAuthError, connections: int
) -> None:
    mailer = FakeMailer(connections=connections)
    mailer.trouble = lambda number, _: error if number > 3 else None
    receipts = run(mailer, notes(50))
    assert [receipt.error for receipt in receipts if receipt.error] == [error] * 47
    assert len(mailer.submissions) <= 3 + connections


def test_a_sender_who_is_refused_is_not_tried_again_and_others_are() -> None:
    mailer = FakeMailer(connections=1)
    denied = refusal("553 5.7.1 <team@example.com>: Sender address rejected: not owned by user")
    assert isinstance(denied, SendingDisabled)
    mailer.trouble = lambda _, parcel: denied if parcel.sender == "team@example.com" else None
    messages = [note(number, sender="team@example.com") for number in range(5)] + notes(3)
    receipts = run(mailer, messages)
    assert [receipt.error for receipt in receipts] == [denied] * 5 + [None] * 3
    assert len(mailer.submissions) == 1 + 3


def test_an_unknown_outcome_is_a_receipt_and_never_repeated() -> None:
    mailer = FakeMailer(connections=2)
    mailer.after_data = lambda number, parcel: unknown(parcel.message_id) if number == 2 else None
    receipts = run(mailer, notes(6))
    lost_ones = [receipt for receipt in receipts if receipt.error]
    assert [type(receipt.error) for receipt in lost_ones] == [DeliveryUnknown]
    assert lost_ones[0].message_id == mailer.submissions[1].message_id
    assert len(mailer.submissions) == 6


def test_a_message_refused_after_its_data_is_repeated() -> None:
    """A reply to DATA is certain, whatever it is."""
    mailer = FakeMailer(connections=2)
    mailer.after_data = first(
        1, lambda: refusal("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit")
    )
    assert [receipt.error for receipt in run(mailer, notes(2))] == [None, None]


def test_waiting_is_said_once_and_without_correspondents(caplog: pytest.LogCaptureFixture) -> None:
    mailer = FakeMailer(connections=3)
    mailer.trouble = first(3, lambda: refusal(BUSY))
    with caplog.at_level(logging.INFO, logger="mailoauth"):
        run(mailer, notes(5))
    assert caplog.messages == [f"{ADA}: told to wait (432 4.3.2): waiting for 2 seconds"]


def test_a_bug_of_the_mailer_is_raised_after_the_others() -> None:
    mailer = FakeMailer(connections=2)

    def bug(number: int, _: Any) -> None:
        if number == 2:
            raise ZeroDivisionError

    mailer.trouble = bug
    receipts: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        run(mailer, notes(9), receipts=receipts)
    assert len(receipts) == len(mailer.accepted)
