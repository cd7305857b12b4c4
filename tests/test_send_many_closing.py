"""Many messages: a run that is bounded by its reader, left, closed or asked from two sides."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConcurrentUse, ConnectionFailed
from mailoauth.mail.many import AsyncReceipts, Progress
from tests.many_world import FakeMailer, drain, note, notes, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.mail.receipt import SendReceipt

pytestmark = pytest.mark.usefixtures("_no_tasks_left")


@pytest.fixture
def _no_tasks_left() -> Iterator[None]:
    """Collect what a test leaves: a task that was never finished is an error then."""
    yield
    gc.collect()


def test_memory_is_bounded_by_whoever_takes_the_receipts() -> None:
    """Input is not taken further ahead than the connections and as many receipts."""
    taken = 0

    def messages() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield note(number)

    async def slowly() -> list[int]:
        ahead = []
        many = AsyncReceipts(FakeMailer(connections=3), messages())
        async for _ in many:
            for _ in range(50):
                await asyncio.sleep(0)
            ahead.append(taken - many.progress.done)
            if many.progress.done == 100:
                break
        await many.aclose()
        return ahead

    assert max(asyncio.run(slowly())) <= 6


@pytest.mark.parametrize("ending", ["aclose", "drop", "nothing"])
def test_a_loop_that_is_left_sends_no_more_and_leaves_nothing_behind(ending: str) -> None:
    mailer = FakeMailer(connections=3)

    async def first_only() -> None:
        many = AsyncReceipts(mailer, (note(number) for number in range(1000)))
        async for _ in many:
            break
        if ending == "aclose":
            await many.aclose()
            assert [
                task for task in asyncio.all_tasks() if task is not asyncio.current_task()
            ] == []
            await drain(many)
            assert many.progress.done == len(mailer.accepted), "none of their receipts is lost"
            with pytest.raises(StopAsyncIteration):
                await anext(many)
        if ending == "drop":
            del many
            gc.collect()
            for _ in range(20):
                await asyncio.sleep(0)
            assert [
                task for task in asyncio.all_tasks() if task is not asyncio.current_task()
            ] == []

    asyncio.run(first_only())
    assert len(mailer.submissions) < 10


def test_closing_waits_for_messages_on_their_way_and_sends_no_others() -> None:
    mailer = FakeMailer(connections=2)

    async def closing() -> None:
        mailer.held_after = asyncio.Event()
        many = AsyncReceipts(mailer, notes(10))
        waiting = asyncio.ensure_future(anext(many))
        await until(lambda: len(mailer.submissions) == 2)
        ending = asyncio.ensure_future(many.aclose(ConnectionFailed("The mailer is closed.")))
        await asyncio.sleep(0)
        assert not ending.done()
        mailer.held_after.set()
        await ending
        assert (await waiting).error is None
        assert (await anext(many)).error is None
        with pytest.raises(ConnectionFailed, match="closed"):
            await anext(many)

    asyncio.run(closing())
    assert len(mailer.accepted) == len(mailer.submissions) == 2


def test_closing_does_not_wait_for_messages_that_were_not_begun() -> None:
    mailer = FakeMailer(connections=2)

    async def closing() -> None:
        mailer.held = asyncio.Event()  # for ever
        many = AsyncReceipts(mailer, notes(10))
        waiting = asyncio.ensure_future(anext(many))
        await until(lambda: len(mailer.submissions) == 2)
        await many.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(closing())
    assert mailer.accepted == []


def test_shut_from_another_thread_ends_a_run() -> None:
    mailer = FakeMailer(connections=2)
    threads: list[threading.Thread] = []

    async def shutting() -> None:
        many = AsyncReceipts(mailer, (note(number) for number in range(1000)))
        await anext(many)
        threads.append(threading.Thread(target=many.shut, args=(ConnectionFailed("closed"),)))
        threads[0].start()
        with pytest.raises(ConnectionFailed, match="closed"):
            await drain(many)

    asyncio.run(shutting())
    threads[0].join()
    assert len(mailer.submissions) < 1000


def test_two_tasks_cannot_ask_at_the_same_time() -> None:
    async def both() -> None:
        many = AsyncReceipts(FakeMailer(), notes(3))
        first = asyncio.ensure_future(anext(many))
        await asyncio.sleep(0)
        with pytest.raises(ConcurrentUse, match="Two tasks"):
            await anext(many)
        await first
        await many.aclose()

    asyncio.run(both())


@pytest.mark.parametrize("awaited", [False, True])
def test_progress_that_raises_ends_the_run_and_takes_no_receipt_away(awaited: bool) -> None:
    mailer = FakeMailer(connections=3)
    told: list[int] = []

    def plainly(progress: Progress) -> None:
        told.append(progress.done)
        if progress.done >= 5:
            raise ValueError("mine")

    async def later(progress: Progress) -> None:
        plainly(progress)

    async def everything() -> list[SendReceipt]:
        many = AsyncReceipts(mailer, notes(50), on_progress=later if awaited else plainly)
        got = [await anext(many) for _ in range(4)]
        await until(lambda: len(mailer.accepted) >= 7)  # as many as may wait to be taken
        with pytest.raises(ValueError, match="mine"):
            await anext(many)
        got += [receipt async for receipt in many]
        assert many.progress.done == len(got)
        return got

    got = asyncio.run(everything())
    assert told == [1, 2, 3, 4, 5], "it is not called again"
    assert 7 <= len(mailer.accepted) < 50
    assert sorted(each.message_id for each in got) == sorted(
        each.message_id for each in mailer.accepted
    )


def test_a_run_that_is_closed_in_its_first_moment_ends() -> None:
    mailer = FakeMailer()

    async def closing() -> None:
        many = AsyncReceipts(mailer, notes(5))
        waiting = asyncio.ensure_future(anext(many))
        ending = asyncio.ensure_future(many.aclose())  # before the run's own first step
        async with asyncio.timeout(5):
            await ending
            with pytest.raises(StopAsyncIteration):
                await waiting

    asyncio.run(closing())
    assert mailer.submissions == []
