"""The connections of a mailer, shared by its tasks and with other processes."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailoauth import Account
from mailoauth.errors import ConnectionFailed, ConnectionTimedOut, SignInRequired
from mailoauth.mail.pool import Line, Pool
from mailoauth.network import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mailoauth.mail.limits.slots import Slots
    from mailoauth.mail.smtp import SubmissionConnection


def long() -> Deadline:
    return Deadline(20.0)


class Wire:
    """A connection that goes nowhere."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.usable = True
        self.deadline = long()
        self.said_goodbye = False
        lab.wires.append(self)

    async def quit(self) -> None:
        await asyncio.sleep(0)
        self.usable = False
        self.said_goodbye = True

    def close(self) -> None:
        self.usable = False


class Turn:
    """A slot; it may be held by nobody else meanwhile."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        lab.held += 1
        lab.most = max(lab.most, lab.held)

    def release(self) -> None:
        self._lab.held -= 1


class Lab:
    """Makes pools whose connections and slots are counted."""

    def __init__(self, limit: int) -> None:
        self.wires: list[Wire] = []
        self.held = self.most = 0
        self.wanted_elsewhere = False
        self.free = asyncio.Event()
        self.free.set()
        self.trouble: list[Exception] = []
        self.ends: float | None = None
        account = Account.outlook("ada@example.com", client_id="id")
        slots = cast("Callable[[], Slots]", lambda: self)
        self.pool = Pool(self.open_line, slots, limit, account)

    async def take(self, deadline: Deadline) -> Turn:
        await self.free.wait()
        return Turn(self)

    def wanted(self) -> bool:
        return self.wanted_elsewhere

    async def open_line(self) -> Line:
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.pop(0)
        return Line(cast("SubmissionConnection", Wire(self)), self.ends)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what it looks at are plain numbers
                await asyncio.sleep(0.01)


def wire_of(line: Line) -> Wire:
    return cast("Wire", line.connection)


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def messages(lab: Lab, count: int) -> None:
    async def one() -> None:
        line = await lab.pool.take(long())
        await asyncio.sleep(0.001)
        lab.pool.give_back(line)

    await asyncio.gather(*[one() for _ in range(count)])


@on_a_loop
async def test_no_more_connections_are_opened_than_are_allowed_and_each_is_used_again() -> None:
    lab = Lab(3)
    await messages(lab, 40)
    assert len(lab.wires) == lab.most == 3
    await lab.pool.aclose()
    assert lab.held == 0
    assert all(wire.said_goodbye for wire in lab.wires)


@on_a_loop
async def test_one_after_the_other_needs_one_connection() -> None:
    lab = Lab(3)
    for _ in range(5):
        await messages(lab, 1)
    assert len(lab.wires) == 1
    await lab.pool.aclose()


@on_a_loop
async def test_whoever_waits_longest_is_served_first() -> None:
    lab = Lab(1)
    order: list[int] = []

    async def one(number: int) -> None:
        line = await lab.pool.take(long())
        order.append(number)
        await asyncio.sleep(0)
        lab.pool.give_back(line)

    await asyncio.gather(*[one(number) for number in range(10)])
    assert order == list(range(10))
    await lab.pool.aclose()


@on_a_loop
async def test_an_error_of_opening_belongs_to_one_and_the_next_gets_a_connection() -> None:
    lab = Lab(1)
    lab.trouble = [SignInRequired("nobody is signed in")]
    first, second = await asyncio.gather(
        lab.pool.take(long()), lab.pool.take(long()), return_exceptions=True
    )
    assert isinstance(first, SignInRequired)
    assert isinstance(second, Line)
    lab.pool.give_back(second)
    await lab.pool.aclose()
    assert lab.held == 0


@on_a_loop
async def test_a_connection_that_broke_is_not_used_again_and_frees_its_slot() -> None:
    lab = Lab(1)
    line = await lab.pool.take(long())
    wire_of(line).usable = False
    lab.pool.give_back(line)
    second = await lab.pool.take(long())
    assert second is not line
    assert lab.most == 1
    lab.pool.give_back(second)
    await lab.pool.aclose()


@on_a_loop
async def test_a_fresh_one_is_none_of_those_that_were_idle() -> None:
    lab = Lab(2)
    await messages(lab, 2)
    old = [*lab.wires]
    assert len(old) == 2
    line = await lab.pool.take(long(), fresh=True)
    assert wire_of(line) not in old
    lab.pool.give_back(line)
    await lab.pool.aclose()
    assert lab.held == 0


@on_a_loop
async def test_a_connection_whose_token_has_ended_is_given_up() -> None:
    lab = Lab(1)
    lab.ends = time.time() + 0.05
    line = await lab.pool.take(long())
    await lab.until(lambda: not line.usable)
    lab.pool.give_back(line)
    lab.ends = None
    second = await lab.pool.take(long())
    assert second is not line
    lab.pool.give_back(second)
    await lab.pool.aclose()


@on_a_loop
async def test_a_token_that_has_ended_by_our_clock_alone_serves_for_one_message() -> None:
    lab = Lab(1)
    lab.ends = time.time() - 3600
    for number in range(1, 4):
        line = await lab.pool.take(long())
        assert wire_of(line).usable
        lab.pool.give_back(line)
        assert len(lab.wires) == number
    await lab.pool.aclose()


@on_a_loop
async def test_waiting_ends_with_the_deadline_and_leaves_nothing_behind() -> None:
    lab = Lab(2)
    lab.free.clear()
    with pytest.raises(ConnectionTimedOut, match=r"smtp\.office365\.com:587.*nothing was sent"):
        await lab.pool.take(Deadline(0.02))
    lab.free.set()
    await lab.pool.aclose()
    assert lab.held == 0
    assert all(wire.said_goodbye for wire in lab.wires)


@on_a_loop
async def test_a_sign_in_that_takes_longer_than_the_deadline_serves_the_next_message() -> None:
    lab = Lab(1)
    lab.free.clear()
    with pytest.raises(ConnectionTimedOut):
        await lab.pool.take(Deadline(0.02))
    lab.free.set()
    await lab.until(lambda: lab.held == 1)
    lab.pool.give_back(await lab.pool.take(Deadline(1.0)))
    assert len(lab.wires) == 1
    await lab.pool.aclose()


@on_a_loop
async def test_a_pool_that_was_refused_opens_nothing_more() -> None:
    lab = Lab(1)
    lab.pool.refuse(lambda: ConnectionFailed("closed"))
    with pytest.raises(ConnectionFailed, match="closed"):
        await lab.pool.take(long())
    assert lab.wires == []
    await lab.pool.aclose()


@on_a_loop
async def test_who_gave_way_to_another_process_is_served_when_that_is_gone() -> None:
    lab = Lab(2)
    busy = await lab.pool.take(long())
    lab.wanted_elsewhere = True
    waiting = asyncio.ensure_future(lab.pool.take(long()))
    await asyncio.sleep(0.05)
    lab.wanted_elsewhere = False
    second = await waiting  # though the first is still busy
    assert second is not busy
    lab.pool.give_back(busy)
    lab.pool.give_back(second)
    await lab.pool.aclose()


@on_a_loop
async def test_a_connection_that_comes_for_somebody_who_left_serves_the_next() -> None:
    lab = Lab(1)
    lab.free.clear()
    leaving = asyncio.ensure_future(lab.pool.take(long()))
    staying = asyncio.ensure_future(lab.pool.take(long()))
    await asyncio.sleep(0)
    leaving.cancel()
    lab.free.set()
    line = await staying
    assert len(lab.wires) == 1
    lab.pool.give_back(line)
    await lab.pool.aclose()
    assert lab.held == 0


@on_a_loop
async def test_one_who_is_cancelled_at_the_moment_of_being_served_gives_it_back() -> None:
    lab = Lab(1)
    line = await lab.pool.take(long())
    unlucky = asyncio.ensure_future(lab.pool.take(long()))
    await asyncio.sleep(0)
    lab.pool.give_back(line)  # it is his now, and he does not know
    unlucky.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unlucky
    again = await lab.pool.take(Deadline(1.0))
    assert again is line
    lab.pool.give_back(again)
    await lab.pool.aclose()
    assert lab.held == 0


@on_a_loop
async def test_an_idle_connection_makes_room_for_another_process() -> None:
    lab = Lab(2)
    await messages(lab, 2)
    assert lab.held == 2
    lab.wanted_elsewhere = True
    await lab.until(lambda: lab.held == 0)
    assert all(wire.said_goodbye for wire in lab.wires)
    await lab.pool.aclose()


@on_a_loop
async def test_a_busy_one_makes_room_after_its_time_though_others_wait_here() -> None:
    lab = Lab(1)
    lab.wanted_elsewhere = True
    line = await lab.pool.take(long())
    lab.pool.give_back(line)
    assert (await lab.pool.take(long())) is line, "a second of its own it has"
    line.opened -= 2.0
    lab.free.clear()  # the other process takes it
    waiting = asyncio.ensure_future(lab.pool.take(long()))
    lab.pool.give_back(line)
    await lab.until(lambda: lab.held == 0)
    assert not waiting.done()
    lab.free.set()
    lab.pool.give_back(await waiting)
    lab.wanted_elsewhere = False
    await lab.pool.aclose()


@on_a_loop
async def test_a_second_connection_is_not_opened_while_another_process_waits_for_one() -> None:
    lab = Lab(3)
    first = await lab.pool.take(long())
    lab.wanted_elsewhere = True
    second = asyncio.ensure_future(lab.pool.take(long()))
    await asyncio.sleep(0.05)
    assert lab.most == 1
    lab.wanted_elsewhere = False
    third = asyncio.ensure_future(lab.pool.take(long()))
    lab.pool.give_back(first)
    await asyncio.gather(second, third)
    assert lab.most == 2
    lab.pool.give_back(second.result())
    lab.pool.give_back(third.result())
    await lab.pool.aclose()


@on_a_loop
async def test_nobody_waits_for_a_pool_that_is_refused() -> None:
    lab = Lab(1)
    lab.free.clear()
    waiting = asyncio.ensure_future(lab.pool.take(long()))
    await asyncio.sleep(0)
    lab.pool.refuse(lambda: ConnectionFailed("closed"))
    with pytest.raises(ConnectionFailed, match="closed"):
        await waiting
    await lab.pool.aclose()
    assert lab.held == 0


@on_a_loop
async def test_dropping_closes_at_once_and_frees_every_slot() -> None:
    lab = Lab(2)
    first, second = await lab.pool.take(long()), await lab.pool.take(long())
    lab.pool.give_back(first)
    lab.pool.drop()
    assert lab.held == 0
    assert not any(wire.usable for wire in lab.wires)
    lab.pool.give_back(second)
    await lab.pool.aclose()
    assert lab.held == 0
