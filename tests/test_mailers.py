"""Mailers for the whole life of a process: many senders, few connections, other processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import AsyncMailer, Mailer, MailSession
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Silent
from mailoauth.errors import (
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    Throttled,
)
from tests.judges import signed_in_source
from tests.session_colours import ADA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.accounts import Account
    from tests.judges import Judge

BOB = "bob@example.com"
CAROL = "carol@example.org"


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        made.add_user(BOB)
        yield made


def limited(account: Account, **limits: Any) -> Account:
    return replace(account, provider=replace(account.provider, **limits))


def smtp_connections(judge: Judge) -> int:
    return sum(one.protocol == "smtp" for one in judge.connections)


def open_connections(judge: Judge) -> int:
    return sum(one.protocol == "smtp" and one.open for one in judge.connections)


def mailer_of(judge: Judge, account: Account, **options: Any) -> Mailer:
    return Mailer(account, tokens=signed_in_source(judge, account), **options)


def async_mailer_of(judge: Judge, account: Account, **options: Any) -> AsyncMailer:
    return AsyncMailer(account, tokens=signed_in_source(judge, account), **options)


def until(condition: Any) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_many_threads_share_as_many_connections_as_are_asked_for(judge: Judge) -> None:
    account = judge.account(ADA)
    before = smtp_connections(judge)
    with mailer_of(judge, account, connections=2) as mailer, ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda n: mailer.send(to=CAROL, subject=f"{n}", text="t"), range(24))
        )
    assert len({receipt.message_id for receipt in receipts}) == 24
    assert smtp_connections(judge) == before + 2


def test_more_connections_than_the_provider_allows_are_refused(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    with pytest.raises(ConfigError, match="allows 3"):
        Mailer(account, connections=4)
    with pytest.raises(ConfigError, match="1 or more"):
        Mailer(account, connections=0)


def test_a_closed_mailer_has_sent_what_was_under_way(judge: Judge) -> None:
    account = judge.account(ADA)

    async def main() -> list[Any]:
        mailer = async_mailer_of(judge, account)
        sends = [
            asyncio.ensure_future(mailer.send(to=CAROL, subject=f"{n}", text="t")) for n in range(3)
        ]
        receipts = [await sends[0]]
        closing = asyncio.ensure_future(mailer.aclose())
        rest = await asyncio.gather(*sends[1:], return_exceptions=True)
        await closing
        return [*receipts, *rest]

    results = asyncio.run(main())
    for result in results[1:]:
        # Each was either on its connection, or is told that nothing was sent.
        assert isinstance(result, ConnectionFailed) or result.accepted == (CAROL,)
    until(lambda: open_connections(judge) == 0)


def test_the_deadline_bounds_the_wait_for_a_connection(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    emulator.on("smtp", "DATA", Silent())
    with mailer_of(emulator, account, connections=1, timeout=8.0) as slow:
        sender = threading.Thread(target=lambda: _ignored(slow))
        sender.start()
        until(lambda: open_connections(emulator) == 1)
        quick = Mailer(account, tokens=signed_in_source(emulator, account), deadline=0.3)
        with quick:
            quick.send(to=BOB, subject="another connection", text="t")
        emulator.disconnect("smtp")
        sender.join()


def _ignored(mailer: Mailer) -> None:
    with contextlib.suppress(ConnectionFailed):
        mailer.send(to=BOB, subject="never answered", text="t")


def test_who_waits_for_the_only_connection_is_told_in_time(emulator: OutlookEmulator) -> None:
    account = limited(emulator.account(ADA), max_connections=1)

    async def main() -> float:
        emulator.on("smtp", "DATA", Silent())
        async with async_mailer_of(emulator, account, deadline=0.5, timeout=30.0) as mailer:
            first = asyncio.ensure_future(mailer.send(to=BOB, subject="one", text="t"))
            begin = time.monotonic()
            with pytest.raises(ConnectionTimedOut):
                await mailer.send(to=BOB, subject="two", text="t")
            waited = time.monotonic() - begin
            with pytest.raises(ConnectionFailed):
                await first
            return waited

    assert 0.3 < asyncio.run(main()) < 5


def test_an_idle_mailer_makes_room_for_another_process(emulator: OutlookEmulator) -> None:
    account = limited(emulator.account(ADA), max_connections=1)
    with mailer_of(emulator, account) as first, mailer_of(emulator, account) as second:
        first.send(to=BOB, subject="one", text="t")
        assert open_connections(emulator) == 1
        second.send(to=BOB, subject="two", text="t")
        until(lambda: open_connections(emulator) == 1)
        first.send(to=BOB, subject="three", text="t")
    assert len(emulator.sent) == 3


SENDER = """
import base64, pickle, sys, os
from mailoauth import Mailer, StaticToken
account, token = pickle.loads(base64.b64decode(sys.stdin.readline()))
with Mailer(account, tokens=StaticToken(token)) as mailer:
    for number in range(int(sys.argv[1])):
        mailer.send(to="bob@example.com", subject=f"{os.getpid()} {number}", text="t")
"""


def test_processes_of_one_machine_share_the_limits(emulator: OutlookEmulator) -> None:
    import base64
    import pickle

    account = limited(emulator.account(ADA), max_connections=2)
    token = signed_in_source(emulator, account).get().value
    told = base64.b64encode(pickle.dumps((account, token))).decode()
    processes = [
        subprocess.Popen([sys.executable, "-c", SENDER, "12"], stdin=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    most = 0
    for process in processes:
        assert process.stdin
        process.stdin.write(told + "\n")
        process.stdin.close()
    while any(process.poll() is None for process in processes):
        most = max(most, open_connections(emulator))
        time.sleep(0.005)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert len(emulator.sent) == 48
    assert most <= 2


def test_the_rate_of_an_account_is_kept(emulator: OutlookEmulator) -> None:
    account = limited(emulator.account(ADA), messages_per_minute=3)
    with mailer_of(emulator, account, deadline=2.0) as mailer:
        for number in range(3):
            mailer.send(to=BOB, subject=f"{number}", text="t")
        with pytest.raises(ConnectionTimedOut, match=r"nothing was sent|not sent"):
            mailer.send(to=BOB, subject="too soon", text="t")
    assert len(emulator.sent) == 3


def test_many_messages_wait_for_the_rate_longer_than_the_deadline(
    emulator: OutlookEmulator,
) -> None:
    account = limited(emulator.account(ADA), messages_per_minute=1)

    async def main() -> None:
        async with async_mailer_of(emulator, account, deadline=0.3) as mailer:
            await mailer.send(to=BOB, subject="one", text="t")
            receipts = mailer.send_many([{"to": BOB, "subject": "two", "text": "t"}])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await anext(receipts)

    asyncio.run(main())
    assert len(emulator.sent) == 1


def test_closing_does_not_wait_for_the_rate(emulator: OutlookEmulator) -> None:
    account = limited(emulator.account(ADA), messages_per_minute=1)

    async def main() -> None:
        mailer = async_mailer_of(emulator, account)
        await mailer.send(to=BOB, subject="one", text="t")
        late = asyncio.ensure_future(mailer.send(to=BOB, subject="two", text="t"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await mailer.aclose()
            with pytest.raises(ConnectionFailed, match="is closed"):
                await late

    asyncio.run(main())
    assert len(emulator.sent) == 1


def test_a_mailer_may_not_block_the_thread_that_sends(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    with mailer_of(emulator, account) as mailer:
        receipts = mailer.send_many(
            iter([{"to": BOB, "subject": "s", "text": "t"}]),
            on_progress=lambda _: mailer.send(to=BOB, subject="done", text="t"),
        )
        with pytest.raises(ConcurrentUse, match="on the thread"):
            next(receipts)


def test_one_message_is_not_many(emulator: OutlookEmulator) -> None:
    with mailer_of(emulator, emulator.account(ADA)) as mailer:
        for one in ("bob@example.com", b"To: bob@example.com\r\n\r\n", {"to": BOB}, 5):
            wrong: Any = one
            with pytest.raises(ConfigError, match="many messages"):
                mailer.send_many(wrong)


def test_a_run_is_told_that_its_mailer_was_closed(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            yield {"to": BOB, "subject": "s", "text": "t"}

    with mailer_of(emulator, account) as mailer:
        receipts = mailer.send_many(endless())
        assert next(receipts).error is None
        mailer.shut()
        with pytest.raises(ConnectionFailed, match="is closed"):
            list(islice(receipts, 50))


def test_the_recipients_of_a_day_are_counted(emulator: OutlookEmulator) -> None:
    account = limited(emulator.account(ADA), recipients_per_day=3)
    with mailer_of(emulator, account) as mailer:
        assert mailer.left_today() == 3
        mailer.send(to=[BOB, CAROL], subject="one", text="t")
        assert mailer.left_today() == 1
        with pytest.raises(Throttled) as refused:
            mailer.send(to=[BOB, CAROL], subject="two", text="t")
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 3600
    assert len(emulator.sent) == 1


def test_the_envelope_may_say_other_than_the_headers(judge: Judge) -> None:
    account = judge.account(ADA)
    raw = b"From: ada@example.com\r\nTo: the list <list@example.org>\r\nSubject: s\r\n\r\ntext\r\n"
    with mailer_of(judge, account) as mailer:
        receipt = mailer.send(raw, recipients=[CAROL])
    assert receipt.accepted == (CAROL,)
    assert receipt.message_id.startswith("<")


def test_a_copy_lies_in_sent_whoever_puts_it_there(judge: Judge) -> None:
    account = judge.account(ADA)
    with MailSession(account, tokens=signed_in_source(judge, account)) as mail:
        receipt = mail.send(
            to=CAROL, bcc="dave@example.org", subject="kept", text="t", save_sent=True
        )
        found = list(
            mail.search(folder=mail.special("sent"), header={"Message-ID": receipt.message_id})
        )
        assert [message.subject for message in found] == ["kept"]
        if account.provider.saves_sent:
            assert receipt.saved is None
        else:
            assert receipt.saved
            assert [each.address for each in found[0].bcc] == ["dave@example.org"]


def test_what_is_wrong_with_the_copy_is_said_before_anything_is_sent(
    emulator: OutlookEmulator,
) -> None:
    account = limited(emulator.account(ADA), saves_sent=False)
    long_line = ", ".join(f"somebody-{number}@example.org" for number in range(60))
    raw = f"From: {ADA}\r\nTo: {BOB}\r\nBcc: {long_line}\r\n\r\ntext\r\n".encode()
    with mailer_of(emulator, account) as mailer:
        receipt = mailer.send(
            to=BOB, text="t", recipients=(each for each in [CAROL]), save_sent=True
        )
        assert receipt.accepted == (CAROL,)
        assert receipt.saved
        with pytest.raises(ConfigError, match="998"):
            mailer.send(raw, recipients=[BOB], save_sent=True)
    assert len(emulator.sent) == 1


def test_a_closed_mailer_takes_nothing(emulator: OutlookEmulator) -> None:
    mailer = mailer_of(emulator, emulator.account(ADA))
    mailer.close()
    with pytest.raises(ConnectionFailed, match="is closed"):
        mailer.send_many([])
    with pytest.raises(ConfigError, match="greater than 0"):
        mailer.settle(DeliveryUnknown("lost", message_id="<a@example.com>"), wait=0)


def test_messages_of_a_generator_are_made_in_the_thread_that_asks(judge: Judge) -> None:
    account = judge.account(ADA)
    threads: set[int] = set()

    def messages() -> Iterator[dict[str, Any]]:
        for number in range(7):
            threads.add(threading.get_ident())
            yield {"to": CAROL, "subject": f"{number}", "text": "t"}

    with mailer_of(judge, account) as mailer:
        receipts = list(mailer.send_many(messages()))
    assert threads == {threading.get_ident()}
    assert [receipt.error for receipt in receipts] == [None] * 7


def test_a_loop_over_receipts_may_be_left(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    made = 0

    def messages() -> Iterator[dict[str, Any]]:
        nonlocal made
        while True:
            made += 1
            yield {"to": BOB, "subject": f"{made}", "text": "t"}

    with mailer_of(emulator, account) as mailer, mailer.send_many(messages()) as receipts:
        for number, receipt in enumerate(receipts):
            assert receipt.error is None
            if number == 4:
                break
    assert made < 30
    until(lambda: open_connections(emulator) == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only Unix has fork")
def test_a_parent_sends_on_after_its_child_has_gone(emulator: OutlookEmulator) -> None:
    account = emulator.account(ADA)
    with mailer_of(emulator, account) as mailer:
        mailer.send(to=BOB, subject="before", text="t")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        mailer.send(to=BOB, subject="after", text="t")
    assert len(emulator.sent) == 2
    assert smtp_connections(emulator) == 1
