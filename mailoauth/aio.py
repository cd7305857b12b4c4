"""The bridges between the two colours.

IMAP is synchronous underneath and SMTP asynchronous. A :class:`Worker` lends a
synchronous session to a program that awaits; :func:`run_on_loop` lends an
asynchronous one to a program that blocks. Both run on daemon threads: a session
that was never closed must not keep the interpreter alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import queue
import threading
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
)

from mailoauth.errors import ConcurrentUse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from concurrent.futures import Future

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: Seconds that an interrupted caller waits for a coroutine to let go of its connection.
_PATIENCE: Final = 1.0


class Worker:
    """One daemon thread that makes calls in the order in which they were asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._idle = asyncio.Lock()

    async def call(
        self,
        verb: Callable[P, R],
        on_cancel: Callable[[], None],
        *args: P.args,
        **options: P.kwargs,
    ) -> R:
        """Await a blocking call; when the task is cancelled, ``on_cancel`` makes the call end.

        The task does not wait for that; the next call does.
        """
        loop = asyncio.get_running_loop()
        async with self._idle:
            done: asyncio.Future[R] = loop.create_future()
            abandoned = threading.Event()

            def job() -> None:
                # One that waited behind another abandoned call is not begun at all.
                if not abandoned.is_set():
                    _run_job(loop, done, functools.partial(verb, *args, **options))

            self._start()
            self._jobs.put(job)
            try:
                return await asyncio.shield(done)
            except asyncio.CancelledError:
                abandoned.set()
                done.add_done_callback(_look_at)
                on_cancel()
                raise

    def stop(self) -> None:
        """Let the thread end after the call in hand."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run_job(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[R], call: Callable[[], R]
) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it belongs to the task that awaits
        # StopIteration cannot travel through a future.
        failure = RuntimeError(repr(error)) if isinstance(error, StopIteration) else error
        settle = functools.partial(_fail, done, failure)
    else:
        settle = functools.partial(_succeed, done, result)
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
        loop.call_soon_threadsafe(settle)


def _look_at(done: asyncio.Future[Any]) -> None:
    # What an abandoned call ended with concerns nobody; asyncio would log it otherwise.
    if not done.cancelled():
        done.exception()


def _succeed(done: asyncio.Future[R], result: R) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


class Threaded(Protocol):
    """Whoever lends its synchronous twin's verbs through a worker."""

    async def lend(self, verb: Callable[..., R], *args: Any, **options: Any) -> R:
        """Make the verb on the twin's thread."""
        ...


def threaded(
    verb: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Make a verb of the synchronous twin into one that is awaited, signature and help kept."""

    @functools.wraps(verb)
    async def awaited(self: Threaded, /, *args: P.args, **options: P.kwargs) -> R:
        return await self.lend(verb, *args, **options)

    awaited.__qualname__ = f"AsyncMailbox.{verb.__name__}"
    return awaited


class _LoopThread:
    """A daemon thread that runs one event loop for every synchronous sender of the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(
            target=self.loop.run_forever, name="mailoauth-loop", daemon=True
        )
        self.thread.start()
        self.pid = os.getpid()

    @classmethod
    def running(cls) -> Self:
        """Return the process's loop thread; a forked child gets its own."""
        global _loop_thread  # noqa: PLW0603 - one for the process is the point
        with _loop_lock:
            if _loop_thread is None or _loop_thread.pid != os.getpid():
                _loop_thread = cls()
            return _loop_thread  # type: ignore[return-value] # nobody subclasses it


_loop_thread: _LoopThread | None = None
_loop_lock = threading.Lock()


def _new_lock_after_fork() -> None:
    global _loop_lock  # noqa: PLW0603 - the parent may have held it at the moment of the fork
    _loop_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_after_fork)


def run_on_loop(
    coroutine: Coroutine[Any, Any, R],
    meanwhile: Callable[[Future[R]], None] = lambda _: None,
) -> R:
    """Run a coroutine on the loop thread and return its result; blocks.

    ``meanwhile`` is called in this thread with the coroutine's future. An interruption
    (Ctrl-C, an exception from a signal handler) cancels the coroutine and waits briefly
    for it to let go of its connection; what it knew then (``DeliveryUnknown``) is the
    interruption's ``__cause__``.
    """
    thread = _LoopThread.running()
    if threading.current_thread() is thread.thread:
        coroutine.close()
        raise ConcurrentUse(
            "A call that blocks was made on the thread that would have to carry it out.",
            remedy="Make it in a thread of your own, or use the asynchronous class.",
        )
    ending = _Ending()
    future = asyncio.run_coroutine_threadsafe(ending.noted(coroutine), thread.loop)
    try:
        meanwhile(future)
        return future.result()
    except BaseException as interruption:
        if future.done():
            raise
        future.cancel()
        ending.happened.wait(_PATIENCE)
        if ending.known is None:
            raise
        raise interruption from ending.known


class _Ending:
    """How a coroutine took being cancelled; a cancelled future of the other thread cannot say."""

    def __init__(self) -> None:
        self.happened = threading.Event()
        self.known: BaseException | None = None

    async def noted(self, coroutine: Coroutine[Any, Any, R]) -> R:
        try:
            return await coroutine
        except asyncio.CancelledError as cancelled:
            self.known = cancelled.__cause__
            raise
        finally:
            self.happened.set()


class Feed(Generic[T]):
    """An iterable of a blocking program, for a coroutine that asks for one item after the other.

    Its items are made in the thread that called :meth:`serve`: what they are made from may
    belong to that thread, and may block.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items: Iterator[T] = iter(items)
        # Who asks for an item, and the coroutines that have ended.
        self._asked: queue.SimpleQueue[asyncio.Future[T] | Future[Any]] = queue.SimpleQueue()
        self._serving = threading.Lock()

    def serve(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine on the loop thread, and make the items that are asked for till it ends.

        In one thread at a time: ``ConcurrentUse``.
        """
        if not self._serving.acquire(blocking=False):
            coroutine.close()
            raise ConcurrentUse(
                "Two threads iterate over the same receipts.",
                remedy="Iterate in one thread, and hand the receipts on from there.",
            )
        try:
            return run_on_loop(coroutine, self._make)
        finally:
            self._serving.release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        item: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.put(item)
        return await item

    def _make(self, future: Future[Any]) -> None:
        future.add_done_callback(self._asked.put)
        while (asked := self._asked.get()) is not future:
            if not isinstance(asked, asyncio.Future) or asked.done():
                continue  # of one that was interrupted
            settle: Callable[[], None]
            try:
                settle = functools.partial(_succeed, asked, next(self._items))
            except StopIteration:
                settle = functools.partial(_fail, asked, StopAsyncIteration())
            except Exception as error:  # noqa: BLE001 - it is raised where the item is awaited
                settle = functools.partial(_fail, asked, error)
            except BaseException:
                # Ctrl-C in the caller's own code: who asks must not wait for ever.
                lost = functools.partial(
                    _fail, asked, InterruptedError("the input was interrupted")
                )
                asked.get_loop().call_soon_threadsafe(lost)
                raise
            asked.get_loop().call_soon_threadsafe(settle)
