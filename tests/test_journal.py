"""The journal of a run: continued, each message is sent once or said to be unknown."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError, DeliveryUnknown, SignInRequired, StoreError, Throttled
from mailoauth.mail.mailing.journal import Journal
from mailoauth.mail.many import AsyncReceipts, Progress
from mailoauth.mail.submission.dialogue import Reply
from tests.many_world import ADA, FakeMailer, drain, note, notes, raw, refusal, run, unknown, until

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.mail.receipt import SendReceipt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mailing.journal"


def states(path: Path) -> dict[str, str]:
    database = sqlite3.connect(path)
    try:
        return dict(database.execute("SELECT key, state FROM messages ORDER BY position"))
    finally:
        database.close()


def set_state(path: Path, key: str, state: str) -> None:
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute("UPDATE messages SET state = ? WHERE key = ?", (state, key))
    finally:
        database.close()


def test_a_second_run_sends_only_what_the_first_one_did_not(path: Path) -> None:
    run(FakeMailer(), notes(3), journal=path)
    mailer = FakeMailer()
    seen: list[Progress] = []
    receipts = run(mailer, notes(5), journal=path, on_progress=seen.append)
    assert mailer.subjects() == ["note 4", "note 5"]
    assert len(receipts) == 2
    assert seen[-1] == Progress(done=5, sent=2, skipped=3, total=5)
    assert set(states(path).values()) == {"sent"}


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
def test_the_file_is_for_its_owner_alone_and_nothing_lies_beside_it(path: Path) -> None:
    mask = os.umask(0)
    try:
        run(FakeMailer(), notes(3), journal=str(path))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_each_ending_has_its_state(path: Path) -> None:
    mailer = FakeMailer(connections=1)
    mailer.refused = {"no@example.com": Reply(550, "5.1.1 no such user")}
    mailer.trouble = lambda _, parcel: (
        refusal("550 5.1.1 User unknown") if b"note 3\r\n" in parcel.data else None
    )
    mailer.after_data = lambda _, parcel: (
        unknown(parcel.message_id) if b"note 4\r\n" in parcel.data else None
    )
    messages = [note(1), note(2, cc="no@example.com"), note(3), note(4), {"subject": "nobody"}]
    run(mailer, messages, journal=path)
    assert states(path) == {
        "#1": "sent",
        "#2": "partly",
        "#3": "refused",
        "#4": "unknown",
        "#5": "failed",
    }
    mailer = FakeMailer(connections=1)
    again = run(mailer, [*messages[:4], note(5)], journal=path)
    assert [type(receipt.error) for receipt in again] == [DeliveryUnknown, type(None)]
    assert again[0].key == "#4"
    assert mailer.subjects() == ["note 5"], "what failed is sent, when it is mended"


def test_a_message_is_known_by_its_key_else_its_message_id_else_its_position(path: Path) -> None:
    messages = [raw(1, message_id="<1@example.com>"), raw(2), raw(3, message_id="<3@example.com>")]
    run(FakeMailer(), messages, journal=path)
    assert list(states(path)) == ["<1@example.com>", "#2", "<3@example.com>"]
    other = path.with_name("keyed")
    keys = {messages[0]: "first", messages[1]: None, messages[2]: None}
    run(FakeMailer(), messages, journal=other, key=keys.get)
    assert list(states(other)) == ["first", "#2", "<3@example.com>"]


def test_reordered_messages_are_known_by_their_key(path: Path) -> None:
    def key(message: dict[str, Any]) -> str:
        return str(message["to"])

    run(FakeMailer(), notes(3), journal=path, key=key)
    mailer = FakeMailer()
    receipts = run(mailer, list(reversed(notes(4))), journal=path, key=key)
    assert [receipt.key for receipt in receipts] == ["bob4@example.com"]


def test_a_key_given_twice_is_a_receipt_with_an_error(path: Path) -> None:
    mailer = FakeMailer(connections=1)
    receipts = run(mailer, [note(1), note(1)], journal=path, key=lambda message: message["to"])
    assert [type(receipt.error) for receipt in receipts] == [type(None), ConfigError]
    assert "bob1@example.com" in str(receipts[1].error)
    assert len(mailer.accepted) == 1
    assert states(path) == {"bob1@example.com": "sent"}


@pytest.mark.parametrize("nonsense", ["", 7, b"x"])
def test_a_key_that_is_no_text_is_a_receipt_with_an_error(path: Path, nonsense: Any) -> None:
    receipts = run(FakeMailer(), [note(1)], journal=path, key=lambda _: nonsense)
    assert [type(receipt.error) for receipt in receipts] == [ConfigError]


def test_the_message_id_that_was_drawn_is_used_again(path: Path) -> None:
    """Also where the message never got through: it may lie in somebody's quarantine."""
    mailer = FakeMailer(connections=1)
    mailer.after_data = lambda _, __: refusal("450 4.2.1 busy mailbox")
    (first,) = run(mailer, [note(1)], journal=path)
    assert first.error is not None
    assert states(path) == {"#1": "failed"}
    mailer = FakeMailer(connections=1)
    (second,) = run(mailer, [note(1)], journal=path)
    assert second.error is None
    assert second.message_id == first.message_id
    assert first.message_id.encode() in mailer.accepted[0].data


def test_it_is_in_the_journal_before_the_first_octet_goes_out(path: Path) -> None:
    mailer = FakeMailer(connections=1)
    seen: list[Any] = []

    def look(_: int, parcel: Any) -> None:
        # The file as a killed process leaves it: a copy, since the run holds the lock.
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        seen.append((states(copy), parcel.message_id.encode() in copy.read_bytes()))

    mailer.after_data = look
    run(mailer, notes(2), journal=path)
    assert seen == [({"#1": "sending"}, True), ({"#1": "sent", "#2": "sending"}, True)]


@pytest.mark.parametrize("state", ["sending", "unknown"])
def test_what_was_on_its_way_is_unknown_and_never_sent_again(path: Path, state: str) -> None:
    (first,) = run(FakeMailer(), notes(1), journal=path)
    set_state(path, "#1", state)
    for _ in range(2):
        mailer = FakeMailer()
        (receipt,) = run(mailer, notes(1), journal=path)
        assert isinstance(receipt.error, DeliveryUnknown)
        assert receipt.error.message_id == receipt.message_id == first.message_id
        assert mailer.submissions == []


def test_what_the_account_prevents_stays_unsent(path: Path) -> None:
    mailer = FakeMailer(connections=1)
    mailer.trouble = lambda number, _: SignInRequired("sign in") if number > 1 else None
    assert len(run(mailer, notes(4), journal=path)) == 4
    mailer = FakeMailer()
    assert len(run(mailer, notes(4), journal=path)) == 3


def test_a_refusal_that_is_certain_is_not_left_as_sending(path: Path) -> None:
    """A kill while the run waits must not make it unknown."""
    mailer = FakeMailer(connections=1)
    mailer.after_data = lambda number, _: SignInRequired("ended") if number == 1 else None
    run(mailer, notes(1), journal=path)
    assert states(path) == {"#1": "pending"}


def test_closed_in_the_middle_nothing_is_lost(path: Path) -> None:
    """What was on its way is waited for; what was not begun is sent by the next run."""

    async def closed() -> None:
        mailer = FakeMailer(connections=2)
        mailer.trouble = lambda number, _: _hold(mailer) if number == 2 else None
        mailer.held_after = asyncio.Event()
        many = AsyncReceipts(mailer, notes(9), journal=path)
        waiting = asyncio.ensure_future(anext(many))
        await until(lambda: (len(mailer.submissions), mailer.begun) == (2, 1))
        ending = asyncio.ensure_future(many.aclose())
        await asyncio.sleep(0)
        mailer.held_after.set()
        await ending
        assert (await waiting).key == "#1"
        with pytest.raises(StopAsyncIteration):
            await anext(many)

    asyncio.run(closed())
    assert states(path) == {"#1": "sent"}
    assert len(run(FakeMailer(), notes(9), journal=path)) == 8


def _hold(mailer: FakeMailer) -> None:
    mailer.held = asyncio.Event()  # for ever


def test_cancelled_in_the_middle_it_is_unknown(path: Path) -> None:
    async def cancelled() -> None:
        mailer = FakeMailer(connections=1)
        mailer.held_after = asyncio.Event()
        task = asyncio.ensure_future(drain(AsyncReceipts(mailer, notes(9), journal=path)))
        await until(lambda: mailer.begun)
        task.cancel()

    asyncio.run(cancelled())  # which cancels the tasks that are left
    assert states(path) == {"#1": "sending"}
    mailer = FakeMailer()
    receipts = run(mailer, notes(9), journal=path)
    assert [receipt.key for receipt in receipts if receipt.error] == ["#1"]
    assert len(mailer.accepted) == 8


def test_a_second_run_at_the_same_time_gets_an_error_at_once(path: Path) -> None:
    async def both() -> None:
        first = AsyncReceipts(FakeMailer(), notes(30), journal=path)
        await anext(first)
        mailer = FakeMailer()
        with pytest.raises(Throttled, match="Another run is using the journal"):
            await anext(AsyncReceipts(mailer, notes(3), journal=path))
        assert mailer.submissions == []
        await first.aclose()

    asyncio.run(both())
    assert len(run(FakeMailer(), notes(30), journal=path)) < 30


def test_a_sized_input_counts_only_what_is_still_to_be_sent(path: Path) -> None:
    run(FakeMailer(), notes(30), journal=path)
    assert len(run(FakeMailer(left=10), notes(40), journal=path)) == 10
    with pytest.raises(ConfigError, match="20 recipients, and 10 are left"):
        run(FakeMailer(left=10), notes(60), journal=path)


def test_a_generator_that_stopped_at_the_limit_is_continued(path: Path) -> None:
    mailer = FakeMailer(connections=2)
    mailer.trouble = lambda _, __: (
        Throttled.after("the day", 9.0) if len(mailer.accepted) > 4 else None
    )
    first: list[SendReceipt] = []
    with pytest.raises(Throttled, match="stopped at message"):
        run(mailer, iter(notes(12)), journal=path, receipts=first)
    mailer = FakeMailer()
    second = run(mailer, iter(notes(12)), journal=path)
    assert len(first) + len(second) == 12
    assert sorted(states(path).values()) == ["sent"] * 12


def test_rows_have_what_is_needed_and_no_more(path: Path) -> None:
    mailer = FakeMailer(connections=1)
    mailer.refused = {"no@example.com": Reply(550, "5.1.1 no such user")}
    (receipt,) = run(mailer, [note(1, cc="no@example.com")], journal=path)

    async def read() -> list[Any]:
        journal = Journal(path, account=ADA, mailbox=ADA, keyed=False)
        await journal.open()
        rows = await journal.rows()
        await journal.close()
        return rows

    (row,) = asyncio.run(read())
    assert row[:6] == ("#1", 1, receipt.message_id, "partly", receipt.reply, dict(receipt.refused))
    assert row.time.endswith("+00:00")
    content = path.read_bytes()
    assert b"bob1" not in content
    assert b"hello" not in content


def test_an_error_of_the_journal_says_what_is_wrong_before_anything_is_sent(path: Path) -> None:
    path.parent.joinpath("folder").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        run(FakeMailer(), notes(1), journal=path.parent / "folder")
    with pytest.raises(StoreError, match="Nothing was sent"):
        run(FakeMailer(), notes(1), journal=path.parent / "missing" / "journal")
