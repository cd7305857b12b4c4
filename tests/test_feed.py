"""Items that a blocking program makes for a coroutine on the loop thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from mailoauth.aio import Feed, run_on_loop
from mailoauth.errors import ConcurrentUse

if TYPE_CHECKING:
    from collections.abc import Iterator


async def both(feed: Feed[int]) -> list[int]:
    return [await anext(feed), await anext(feed)]


async def everything(feed: Feed[int]) -> list[int]:
    return [item async for item in feed]


def test_items_are_made_where_they_are_waited_for() -> None:
    threads = set()

    def items() -> Iterator[int]:
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    feed = Feed(items())
    assert feed.serve(both(feed)) == [0, 1]
    assert feed.serve(everything(feed)) == [2, 3, 4]
    assert feed.serve(everything(feed)) == []
    assert threads == {threading.get_ident()}


def test_what_goes_wrong_while_an_item_is_made_is_raised_where_it_is_awaited() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more rows")

    feed = Feed(items())
    with pytest.raises(LookupError, match="no more rows"):
        feed.serve(everything(feed))


def test_two_threads_do_not_share_what_is_asked_for() -> None:
    entered, leave = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        entered.set()
        leave.wait(10)
        yield 1
        yield 2

    feed = Feed(items())
    results: list[list[int]] = []
    first = threading.Thread(target=lambda: results.append(feed.serve(both(feed))))
    first.start()
    entered.wait(10)
    with pytest.raises(ConcurrentUse, match="Two threads"):
        feed.serve(both(feed))
    leave.set()
    first.join()
    assert results == [[1, 2]]


def test_a_blocking_call_on_the_thread_that_would_carry_it_out_is_refused() -> None:
    async def nested() -> None:
        feed = Feed([1, 2])
        feed.serve(both(feed))

    with pytest.raises(ConcurrentUse, match="on the thread"):
        run_on_loop(nested())


class InterruptedOnce:
    """Numbers; Ctrl-C is pressed while the second one is made."""

    def __init__(self) -> None:
        self._made = 0

    def __iter__(self) -> InterruptedOnce:
        return self

    def __next__(self) -> int:
        self._made += 1
        if self._made == 2:
            raise KeyboardInterrupt
        return self._made


def test_an_interruption_ends_one_call_and_not_the_next() -> None:
    feed = Feed(InterruptedOnce())
    with pytest.raises(KeyboardInterrupt):
        feed.serve(both(feed))
    assert feed.serve(both(feed)) == [3, 4]
