"""Many messages: one receipt each, taken lazily, stopped and ended without anything lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError, MailOAuthError, Throttled
from mailoauth.mail.addresses import Address
from mailoauth.mail.compose import compose
from mailoauth.mail.mailing.intake import count_recipients, own_message_id
from mailoauth.mail.many import AsyncReceipts, Progress
from mailoauth.mail.submission.dialogue import Reply
from tests.many_world import ADA, FakeMailer, Time, note, notes, raw, refusal, run, unknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mailoauth.mail.receipt import SendReceipt


def errors_of(receipts: list[SendReceipt]) -> list[type[MailOAuthError] | None]:
    return [None if each.error is None else type(each.error) for each in receipts]


def test_each_message_has_one_receipt_and_all_connections_work() -> None:
    mailer = FakeMailer(connections=3)
    receipts = run(mailer, notes(20))
    assert sorted(mailer.subjects()) == sorted(f"note {number}" for number in range(1, 21))
    assert sorted(each.key for each in receipts) == sorted(f"#{number}" for number in range(1, 21))
    assert {each.message_id for each in receipts} == {one.message_id for one in mailer.accepted}
    assert mailer.most_at_once == 3


@pytest.mark.parametrize(("asked", "used"), [(1, 1), (2, 2), (50, 3)])
def test_never_more_connections_than_asked_for_or_than_the_mailer_has(
    asked: int, used: int
) -> None:
    mailer = FakeMailer(connections=3)
    run(mailer, notes(20), connections=asked)
    assert mailer.most_at_once == used


@pytest.mark.parametrize("nonsense", [0, -1])
def test_no_connections_are_refused(nonsense: int) -> None:
    with pytest.raises(ConfigError, match="connections"):
        AsyncReceipts(FakeMailer(), notes(1), connections=nonsense)


@pytest.mark.parametrize("one", [note(1), raw(1), "text", compose(to=ADA), 7])
def test_a_single_message_in_place_of_many_is_refused(one: Any) -> None:
    with pytest.raises(ConfigError, match="many messages"):
        AsyncReceipts(FakeMailer(), one)


def test_messages_of_every_kind_are_sent() -> None:
    mailer = FakeMailer()
    run(mailer, [note(1), raw(2), compose(to="bob@example.com", subject="note 3")])
    assert sorted(mailer.subjects()) == ["note 1", "note 2", "note 3"]


def test_an_async_generator_is_taken_one_at_a_time() -> None:
    mailer = FakeMailer(connections=3)

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for number in range(12):
            if number % 4 == 0:
                await asyncio.sleep(0)
            yield note(number)

    assert len(run(mailer, messages())) == 12
    assert mailer.most_at_once > 1


def test_a_failure_is_a_receipt_and_the_others_go_on() -> None:
    mailer = FakeMailer()
    mailer.trouble = lambda number, _: (
        refusal("550 5.1.1 <bob@example.com>: User unknown") if number == 2 else None
    )
    messages = [note(1), note(2), {"subject": "nobody"}, 7, note(5)]
    receipts = sorted(run(mailer, messages), key=lambda receipt: receipt.key)
    assert [each.error is None for each in receipts] == [True, False, False, False, True]
    assert receipts[1].reply == ""
    assert receipts[1].accepted == ()
    assert isinstance(receipts[2].error, ConfigError)
    assert isinstance(receipts[3].error, ConfigError)


def test_progress_counts_every_kind_of_ending() -> None:
    mailer = FakeMailer(connections=1)
    mailer.refused = {"no@example.com": Reply(550, "5.1.1 no such user")}
    mailer.after_data = lambda _, parcel: (
        unknown(parcel.message_id) if b"lost" in parcel.data else None
    )
    messages = [
        note(1),
        note(2, cc="no@example.com"),
        note(3, subject="lost"),
        {"subject": "nobody"},
    ]
    seen: list[Progress] = []
    run(mailer, messages, on_progress=seen.append)
    assert seen[0] == Progress(done=1, sent=1, total=4)
    assert seen[-1] == Progress(done=4, sent=1, partly=1, failed=1, unknown=1, total=4)


def test_progress_may_be_a_coroutine_and_a_generator_has_no_total() -> None:
    seen: list[Progress] = []

    async def on_progress(progress: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(progress)

    run(FakeMailer(), iter(notes(3)), on_progress=on_progress)
    assert [progress.done for progress in seen] == [1, 2, 3]
    assert seen[-1].total is None


def test_an_exception_of_on_progress_ends_the_run() -> None:
    mailer = FakeMailer()
    with pytest.raises(ZeroDivisionError):
        run(mailer, iter(notes(100)), on_progress=lambda _: 1 // 0)
    assert len(mailer.submissions) < 10


def test_an_exception_of_the_generator_comes_after_what_is_under_way() -> None:
    mailer = FakeMailer(connections=2)
    mailer.trouble = lambda number, _: refusal("450 4.2.1 busy mailbox") if number == 1 else None

    def messages() -> Iterator[dict[str, Any]]:
        yield from notes(3)
        raise ZeroDivisionError

    receipts: list[SendReceipt] = []
    with pytest.raises(ZeroDivisionError):
        run(mailer, messages(), receipts=receipts)
    assert errors_of(receipts) == [None, None, None], "the one to be repeated, too"


def test_a_sized_input_that_cannot_end_today_is_refused_with_the_sum() -> None:
    mailer = FakeMailer(left=25)
    messages = [note(number, cc="a@example.com, b@example.com") for number in range(10)]
    with pytest.raises(ConfigError, match=r"30 recipients, and 25 are left for today"):
        run(mailer, messages)
    assert mailer.submissions == []
    assert len(run(mailer, messages[:8])) == 8


def test_a_generator_stops_at_the_limit_and_says_where() -> None:
    mailer = FakeMailer(connections=2, left=5)

    def day(_: int, parcel: Any) -> Throttled | None:
        if len(mailer.accepted) < 5:
            return None
        return Throttled.after("5 of 5 recipients were sent to today.", 40_000.0)

    mailer.trouble = day
    receipts: list[SendReceipt] = []
    with pytest.raises(
        Throttled, match=r"sent 5 messages and stopped at message 6 \(k6\)"
    ) as caught:
        run(
            mailer,
            iter(notes(100)),
            receipts=receipts,
            key=lambda message: "k" + message["subject"][5:],
        )
    assert errors_of(receipts) == [None] * 5
    assert caught.value.retry_after == 40_000.0
    assert len(mailer.submissions) <= 7


def test_the_servers_own_daily_limit_ends_a_run_too() -> None:
    time = Time()
    mailer = FakeMailer(connections=1)
    mailer.trouble = lambda number, _: (
        refusal("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException")
        if number > 2
        else None
    )
    with pytest.raises(Throttled, match=r"stopped at message 3"):
        run(mailer, notes(9), time=time)
    assert (len(mailer.submissions), time.slept) == (3, [])


@pytest.mark.parametrize(
    ("message", "own"),
    [
        (raw(1, message_id="<1@example.com>"), "<1@example.com>"),
        (b"message-id:\r\n <2@example.com>\r\n\r\nMessage-ID: <no@example.com>", "<2@example.com>"),
        (b"Message-ID:\r\nSubject: x\r\n\r\n", ""),
        (b"Subject: x\n\nMessage-ID: <no@example.com>", ""),
        (note(1), ""),
        ({"headers": {"message-id": "<3@example.com>"}}, "<3@example.com>"),
        (compose(to=ADA, headers={"Message-ID": "<4@example.com>"}), "<4@example.com>"),
        (7, ""),
    ],
)
def test_the_message_id_that_a_message_brings_along_is_found(message: Any, own: str) -> None:
    assert own_message_id(message) == own


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (note(1), 1),
        (
            {
                "to": ["a@example.com", Address("", "b@example.com")],
                "bcc": "c@example.com, d@x.org",
            },
            4,
        ),
        ({"subject": "nobody"}, 0),
        (raw(1), 1),
        (compose(to="a@example.com, b@example.com", bcc=ADA), 3),
        (b"Subject: nobody\r\n\r\n", 0),
        (7, 0),
    ],
)
def test_recipients_are_counted_without_packing(message: Any, count: int) -> None:
    assert count_recipients(message) == count


class Broken:
    """A list of files that its owner cannot make."""

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("the secret is not told")


@pytest.mark.parametrize(
    ("wrong", "said", "cause"),
    [
        ({"attachments": 5}, "list of files", None),
        ({"headers": ["X"]}, "mapping", None),
        ({"in_reply_to": 5}, "Message-ID", None),
        (
            {"attachments": Broken()},
            r"Message 2 \(#2\) could not be made.*RuntimeError",
            RuntimeError,
        ),
    ],
)
def test_a_message_that_cannot_be_made_is_a_receipt_and_the_others_go_on(
    wrong: dict[str, Any], said: str, cause: type[Exception] | None
) -> None:
    mailer = FakeMailer(connections=1)
    receipts = run(mailer, [note(1), {**note(2), **wrong}, note(3)])
    assert mailer.subjects() == ["note 1", "note 3"]
    assert errors_of(receipts) == [None, ConfigError, None]
    error = receipts[1].error
    with pytest.raises(ConfigError, match=said):
        raise error or AssertionError
    assert error is not None
    assert type(error.__cause__) is (cause or type(None))
    assert "secret" not in str(error)
