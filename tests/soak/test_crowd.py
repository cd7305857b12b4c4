"""Many processes and threads find the same token expired at once: one of them asks for a new one."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.soak.processes import worker
from tests.soak.scale import ADA, scaled, sign_in, source_of

if TYPE_CHECKING:
    from mailoauth.accounts import Account

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

PROCESSES = scaled(8, 3)
THREADS = scaled(50, 8)


def run_crowd(account: Account, ending: str) -> tuple[list[dict[str, Any]], float]:
    """Let all processes go at the same moment; return their reports and the seconds it took."""
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(worker("crowd_worker", account, THREADS, ending))
            for _ in range(PROCESSES)
        ]
        for one in crowd:
            assert one.hear(60) == "ready"
        started = time.monotonic()
        for one in crowd:
            one.tell("go")
        reports = [json.loads(one.hear(120)) for one in crowd]
        return reports, time.monotonic() - started


@pytest.mark.parametrize("ending", ["expired", "refused"])
def test_a_crowd_with_one_ended_token_asks_once_where_rotation_is_strict(ending: str) -> None:
    with OutlookEmulator(rotation="strict") as emulator:
        emulator.add_user(ADA)
        account = emulator.account(ADA)
        # A sign-in of two hours ago has ended by the clock, too.
        ago = 7200 if ending == "expired" else 0
        source = source_of(account, clock=lambda: time.time() - ago)
        sign_in(emulator, source)
        old = source.get()
        emulator.expire_tokens()
        before = len(emulator.token_requests)

        reports, seconds = run_crowd(account, ending)

        requests = len(emulator.token_requests) - before
        tokens = [tuple(token) for report in reports for token in report["tokens"]]
        failures = [failure for report in reports for failure in report["failures"]]
        loaded = sum(report["msal"] for report in reports)
        print(
            f"\n{PROCESSES} processes x {THREADS} threads, {ending}, strict rotation: "
            f"{requests} token request, {len(failures)} failures, {len(tokens)} tokens, "
            f"{len(set(tokens))} of them different, {loaded} process loaded msal, {seconds:.1f} s"
        )
        assert failures == []
        assert requests == 1
        assert len(tokens) == PROCESSES * THREADS
        assert len(set(tokens)) == 1
        generation, value = tokens[0]
        assert generation == old.generation + 1
        assert emulator.identity.holder(value) == ADA
        # Who finds the work done needs no library of the identity service.
        assert loaded == 1
        # The sign-in has survived: the next refresh is good as well.
        again = source_of(account).refresh()
        assert emulator.identity.holder(again.value) == ADA
