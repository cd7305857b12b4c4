"""Slots: so many at a time among processes, tasks, threads and forks, whatever becomes of them."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import stat
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import ConfigError, ConnectionTimedOut
from mailoauth.mail.limits.slots import Slots
from mailoauth.network import Deadline
from tests.limits_worker import NAME, empty, worker

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.mail.limits.slots import Slot

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has neither modes nor fork")


def slots(folder: Path, count: int = 1) -> Slots:
    return Slots(NAME, count, folder)


async def is_free(some: Slots) -> bool:
    try:
        (await some.take(Deadline(0))).release()
    except ConnectionTimedOut:
        return False
    return True


async def fill(some: Slots, count: int) -> list[Slot]:
    return [await some.take(Deadline(10)) for _ in range(count)]


# Among processes


def test_forty_takers_in_four_processes_are_three_at_a_time_and_all_have_their_turn(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(worker("takers", tmp_path, 3, 10, 3)) for _ in range(4)]
        for one in workers:
            assert one.says() == "ready"
        for one in workers:
            one.tell()
        assert [one.rest() for one in workers] == [["all had their turn"]] * 4


def test_a_slot_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    with worker("hold", tmp_path, 1) as holder:
        assert [holder.says(), holder.says()] == ["begun", "held"]
        assert not asyncio.run(is_free(slots(tmp_path)))
        holder.kill()
        assert asyncio.run(is_free(slots(tmp_path)))


@pytest.mark.parametrize("victim", [0, 1])
def test_who_is_killed_while_it_waits_stands_in_nobodys_way(tmp_path: Path, victim: int) -> None:
    """Whichever of the two is next in line."""

    async def scenario() -> None:
        held = await slots(tmp_path).take(Deadline(10))
        with worker("hold", tmp_path, 1) as first, worker("hold", tmp_path, 1) as second:
            assert [first.says(), second.says()] == ["begun", "begun"]
            await wait_until_wanted(slots(tmp_path))
            both = [first, second]
            both.pop(victim).kill()
            held.release()
            assert both[0].says() == "held"

    asyncio.run(scenario())


async def wait_until_wanted(some: Slots) -> None:
    async with asyncio.timeout(10):
        while not some.wanted():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.005)


@posix_only
def test_who_is_next_and_does_not_move_is_passed_by(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = await slots(tmp_path).take(Deadline(10))
        with worker("hold", tmp_path, 1) as stopped:
            assert stopped.says() == "begun"
            await wait_until_wanted(slots(tmp_path))
            os.kill(stopped.process.pid, signal.SIGSTOP)
            held.release()
            (await slots(tmp_path).take(Deadline(20))).release()
            os.kill(stopped.process.pid, signal.SIGCONT)
            assert stopped.says() == "held"

    asyncio.run(scenario())


def test_who_is_next_shows_others_that_it_lives(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path)
        held = await some.take(Deadline(10))
        waiting = asyncio.ensure_future(some.take(Deadline(10)))
        await asyncio.sleep(0)
        sign = tmp_path / f"{NAME}.next"
        os.utime(sign, (0, 0))
        async with asyncio.timeout(10):
            while sign.stat().st_mtime < time.time() - 1:  # noqa: ASYNC110 - a file tells
                await asyncio.sleep(0.005)
        held.release()
        (await waiting).release()

    asyncio.run(scenario())


def test_a_holder_learns_that_another_process_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        mine = slots(tmp_path)
        held = await mine.take(Deadline(10))
        assert not mine.wanted()
        with worker("hold", tmp_path, 1) as other:
            assert other.says() == "begun"
            await wait_until_wanted(mine)
            held.release()
            assert other.says() == "held"
            assert not mine.wanted()
            waiting = asyncio.ensure_future(mine.take(Deadline(10)))
            await asyncio.sleep(0)
            other.tell()
            assert [other.says(), other.says()] == ["wanted True", "released"]
            (await waiting).release()

    asyncio.run(scenario())


def test_nobody_waits_for_more_than_a_few_turns_of_who_gives_back_what_is_wanted(
    tmp_path: Path,
) -> None:
    turn = 0.02
    with ExitStack() as stack:
        busy = stack.enter_context(worker("give_back_when_wanted", tmp_path, 3, turn))
        assert busy.says() == "busy"
        visitors = [stack.enter_context(worker("visit", tmp_path, 3, turn, 8)) for _ in range(3)]
        for visitor in visitors:
            assert visitor.says() == "ready"
        for visitor in visitors:
            visitor.tell()
        waits = [float(wait) for visitor in visitors for wait in visitor.rest()]
        busy.tell()
        assert busy.rest() == []
    assert len(waits) == 24
    # Turns of 20 ms, looks 10 to 50 ms apart, and a machine with other work to do.
    assert max(waits) < 2.0


def test_the_smaller_count_is_the_stricter(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = await fill(slots(tmp_path, 3), 2)
        with worker("hold", tmp_path, 2) as strict:
            assert strict.says() == "begun"
            await wait_until_wanted(slots(tmp_path, 3))
            held[0].release()  # and not the third, which has been free all the time
            assert strict.says() == "held"

    asyncio.run(scenario())


# Among tasks and threads


def test_tasks_are_served_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        some, order = slots(tmp_path), list[int]()

        async def one(number: int) -> None:
            slot = await some.take(Deadline(10))
            order.append(number)
            await asyncio.sleep(0)
            slot.release()

        await asyncio.gather(*(one(number) for number in range(50)))
        assert order == list(range(50))

    asyncio.run(scenario())


def test_two_objects_share_the_slots_and_see_each_other_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, two = slots(tmp_path, 2), slots(tmp_path, 2)
        held = [await one.take(Deadline(1)), await two.take(Deadline(1))]
        assert not await is_free(one)
        waiting = asyncio.ensure_future(one.take(Deadline(10)))
        await asyncio.sleep(0)
        assert not one.wanted(), "what it gave back it would get itself"
        assert two.wanted()
        held[1].release()
        (await waiting).release()
        assert not two.wanted()

    asyncio.run(scenario())


def test_threads_with_loops_of_their_own_exclude_each_other(tmp_path: Path) -> None:
    most, inside, guard = [0], [0], threading.Lock()

    async def takes() -> None:
        some = slots(tmp_path, 2)
        for _ in range(20):
            slot = await some.take(Deadline(30))
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            await asyncio.sleep(0.001)
            with guard:
                inside[0] -= 1
            slot.release()

    threads = [threading.Thread(target=asyncio.run, args=(takes(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [2]


def test_waiting_leaves_the_loop_free_and_ends_with_the_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path)
        held = await some.take(Deadline(1))
        gaps = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.001)
                gaps.append(time.monotonic() - before)

        ticking = asyncio.ensure_future(tick())
        begun = time.monotonic()
        with pytest.raises(ConnectionTimedOut, match=r"All 1 connections .* nothing was sent"):
            await some.take(Deadline(0.3))
        assert 0.3 <= time.monotonic() - begun < 2
        ticking.cancel()
        assert len(gaps) > 30
        held.release()
        assert await is_free(some)

    asyncio.run(scenario())


def test_cancelling_at_any_moment_loses_no_slot(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path, 2)

        async def uses() -> None:
            slot = await asyncio.create_task(some.take(Deadline(10)))
            try:
                await asyncio.sleep(0)
            finally:
                slot.release()

        for _ in range(100):
            tasks = [asyncio.ensure_future(uses()) for _ in range(6)]
            for _ in range(random.randrange(8)):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            del tasks, task
            for slot in await fill(some, 2):
                slot.release()

    asyncio.run(scenario())


def test_a_loop_that_ended_in_the_middle_stands_in_nobodys_way(tmp_path: Path) -> None:
    some = slots(tmp_path)
    loop = asyncio.new_event_loop()
    held = loop.run_until_complete(some.take(Deadline(1)))
    abandoned = loop.create_task(some.take(Deadline(None)))
    loop.run_until_complete(asyncio.sleep(0))
    loop.stop()
    loop.close()
    held.release()
    assert asyncio.run(is_free(some))
    del abandoned


def test_a_slot_is_released_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path)
        first = await some.take(Deadline(1))
        first.release()
        second = await some.take(Deadline(1))
        first.release()
        assert not await is_free(some)
        second.release()

    asyncio.run(scenario())


# Forks


@posix_only
def test_a_forked_child_neither_holds_nor_frees_nor_inherits_a_slot(tmp_path: Path) -> None:
    some = slots(tmp_path)
    held = asyncio.run(some.take(Deadline(1)))
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            held.release()
            answers = [asyncio.run(is_free(some))]
            os.write(from_child, b"x")
            os.read(to_child, 1)
            answers.append(asyncio.run(is_free(some)))
            os.write(from_child, repr(answers).encode())
            os.read(to_child, 1)
        os._exit(0)
    assert os.read(to_parent, 1) == b"x"
    assert not asyncio.run(is_free(slots(tmp_path))), "the child freed it"
    held.release()
    # The child lives and has inherited every descriptor, but holds nothing.
    assert asyncio.run(is_free(some))
    os.write(from_parent, b"x")
    assert os.read(to_parent, 100) == b"[False, True]"
    os.write(from_parent, b"x")
    os.waitpid(child, 0)
    for descriptor in (to_child, from_parent, to_parent, from_child):
        os.close(descriptor)


@posix_only
def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_slot(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if not parent:
        with suppress(BaseException):
            held = asyncio.run(slots(tmp_path).take(Deadline(1)))
            child = os.fork()
            if child:
                os.write(writer, b"%d\n" % child)
            signal.pause()
            held.release()
        os._exit(0)
    child = int(os.read(reader, 100))
    try:
        assert not asyncio.run(is_free(slots(tmp_path)))
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert asyncio.run(is_free(slots(tmp_path)))
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        os.close(writer)


# Folders


@posix_only
def test_folder_and_files_are_for_this_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "limits"
    assert asyncio.run(is_free(slots(folder)))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_nothing_is_touched_before_the_first_take(tmp_path: Path) -> None:
    assert not slots(tmp_path / "limits").wanted()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_the_slots_are_shared_within_the_process_which_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "limits").write_text("a file is in the way")
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        one, two = slots(tmp_path / "limits", 2), slots(tmp_path / "limits", 2)
        held = [await one.take(Deadline(1)), await two.take(Deadline(1))]
        waiting = asyncio.ensure_future(two.take(Deadline(10)))
        await asyncio.sleep(0)
        assert one.wanted()
        held[0].release()
        held[0] = await waiting
        assert not await is_free(one)
        held[1].release()
        assert await is_free(one)

    asyncio.run(scenario())
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "within this process only" in record.message


def test_a_folder_that_is_emptied_under_those_who_wait_is_filled_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path)
        held = await some.take(Deadline(1))
        waiting = asyncio.ensure_future(some.take(Deadline(10)))
        await asyncio.sleep(0)
        empty(tmp_path)
        await asyncio.sleep(0.06)
        assert not waiting.done(), "this process still knows what it holds"
        held.release()
        (await waiting).release()

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\nb", ".a", "é", "a" * 101])
def test_a_name_that_cannot_be_a_files_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name limits"):
        Slots(name, 1, tmp_path)


def test_a_count_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="count is 0"):
        slots(tmp_path, 0)


# Cost


def test_asking_who_waits_takes_less_than_50_microseconds(tmp_path: Path) -> None:
    async def scenario() -> None:
        some = slots(tmp_path, 3)
        held = await fill(some, 3)
        costs = []
        for _ in range(200):
            before = time.perf_counter()
            some.wanted()
            costs.append(time.perf_counter() - before)
        assert sorted(costs)[20] < 50e-6
        for slot in held:
            slot.release()

    asyncio.run(scenario())
