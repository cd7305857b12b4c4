"""Many processes and threads send through one account that allows three connections."""

from __future__ import annotations

import json
import statistics
import time
from contextlib import ExitStack

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.soak.processes import worker
from tests.soak.scale import ADA, scaled, sign_in, source_of
from tests.soak.sending import BOB, copies_in

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

PROCESSES = 4
THREADS = 8
EACH = scaled(50)


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_a_crowd_never_opens_a_connection_too_many(pause: float) -> None:
    each = EACH if pause else 3 * EACH
    messages = PROCESSES * THREADS * each
    with OutlookEmulator() as emulator, ExitStack() as stack:
        emulator.add_user(ADA)
        emulator.add_user(BOB)
        emulator.limit_connections(3)
        account = emulator.account(ADA)
        sign_in(emulator, source_of(account))
        crowd = [
            stack.enter_context(
                worker(
                    "sending_worker",
                    account,
                    "crowd",
                    pause,
                    THREADS,
                    each,
                    number * THREADS * each,
                )
            )
            for number in range(PROCESSES)
        ]
        for one in crowd:
            assert one.hear(60) == "ready"
        started = time.monotonic()
        for one in crowd:
            one.tell("go")
        reports = [json.loads(one.hear(600)) for one in crowd]
        elapsed = time.monotonic() - started

        seconds = [each for report in reports for each in report["seconds"]]
        failures = [failure for report in reports for failure in report["failures"]]
        copies = copies_in(emulator)
        cuts = statistics.quantiles(seconds, n=20)
        print(
            f"\n{PROCESSES} processes x {THREADS} threads x {each} messages, pauses of {pause} s "
            "at most, over 3 connections: "
            f"{len(emulator.limited)} x 432, {len(failures)} failures, {len(copies)} arrived; "
            f"one send: median {cuts[9]:.2f} s, 95th percentile {cuts[18]:.2f} s, longest "
            f"{max(seconds):.2f} s; {len(emulator.connections)} connections, {elapsed:.1f} s"
        )
        assert emulator.limited == []
        assert failures == []
        assert copies == dict.fromkeys(range(messages), 1)
