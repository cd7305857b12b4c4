"""A process that refreshes a thousand times holds no more than one that has refreshed a few times."""

from __future__ import annotations

import json
import statistics
import time
from itertools import pairwise

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.soak.processes import worker
from tests.soak.scale import ADA, scaled, sign_in, source_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

STRETCHES = 10
STRETCH = scaled(100)


def test_a_thousand_refreshes_leave_no_thread_file_or_memory_behind() -> None:
    with OutlookEmulator(rotation="strict") as emulator:
        emulator.add_user(ADA)
        account = emulator.account(ADA)
        source = source_of(account)
        sign_in(emulator, source)
        started = time.monotonic()
        with worker("long_worker", account, STRETCHES, STRETCH) as process:
            measured = [json.loads(process.hear(120)) for _ in range(STRETCHES)]
        seconds = time.monotonic() - started
        assert len(emulator.token_requests) == STRETCHES * STRETCH
        assert emulator.identity.holder(source_of(account).get().value) == ADA
    print(f"\n{STRETCHES * STRETCH} refreshes in one process, {seconds:.1f} s:")
    for what in measured[0]:
        print(f"  {what}, every {STRETCH}: {[each[what] for each in measured]}")
    # In the first stretch, libraries load what they keep.
    assert {each["threads"] for each in measured} == {1}
    assert len({each["files"] for each in measured[1:]}) == 1
    # One TLS context with the system's roots has more than a hundred pages.
    assert _growth(measured, "resident pages") < STRETCH
    # A leak would show in every stretch; a table of Python's own that is made larger, in one.
    assert _growth(measured, "objects") < STRETCH
    assert _growth(measured, "bytes") < 100 * STRETCH


def _growth(measured: list[dict[str, int]], what: str) -> float:
    steps = pairwise(each[what] for each in measured[1:])
    return statistics.median(after - before for before, after in steps)
