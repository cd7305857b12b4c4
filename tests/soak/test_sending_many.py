"""Many messages to a server that enforces its limits and cuts wherever it can: each arrives once."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator.limits import TOO_MANY_CONNECTIONS
from mailoauth.errors import DeliveryUnknown
from mailoauth.mail.mailer import AsyncMailer
from mailoauth.mail.many import AsyncReceipts
from tests.soak.processes import worker
from tests.soak.scale import ADA, FULL, scaled, source_of
from tests.soak.sending import (
    PLACES,
    Count,
    copies_in,
    cut_in_the_dark,
    hasty,
    key_of,
    numbered,
    rough_server,
    roughen,
    tokens_ending,
    troubles,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.emulator import OutlookEmulator

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

MESSAGES = scaled(2000)
KILLS = scaled(20, 4)
#: Messages that a process may have handed over when it dies: one on each connection.
CONNECTIONS = 3


async def send_all(emulator: OutlookEmulator, count: Count) -> int:
    """Send all messages; return how many receipts there were."""
    account = emulator.account(ADA)
    heard = 0
    async with AsyncMailer(account, tokens=source_of(account)) as mailer:
        async for receipt in AsyncReceipts(mailer, numbered(MESSAGES), key=key_of, pace=hasty()):
            heard += 1
            note(count, receipt.key, receipt.error)
    return heard


def note(count: Count, key: str, error: BaseException | None) -> None:
    if error is None:
        count.sent.add(int(key))
    elif isinstance(error, DeliveryUnknown):
        count.unknown.add(int(key))
    else:
        count.failed[int(key)] = repr(error)


def test_each_message_arrives_once_or_is_known_to_be_unknown() -> None:
    with rough_server() as emulator:
        roughen(emulator)
        count = Count()
        started = time.monotonic()
        with tokens_ending(emulator):
            heard = asyncio.run(send_all(emulator, count))
        seconds = time.monotonic() - started
        count.copies = copies_in(emulator)
        dark = cut_in_the_dark(emulator)
        print(
            f"\n{MESSAGES} messages in {seconds:.1f} s: {len(count.sent)} sent, "
            f"{len(count.unknown)} unknown (of which {count.unknown_arrived} arrived; "
            f"{dark} cuts in the dark), {len(count.failed)} failed, {len(count.twice)} twice; "
            f"{troubles(emulator)}"
        )
        assert heard == MESSAGES, "a receipt is missing, or there is one too many"
        count.settle(MESSAGES)
        # Unknown only where the client had begun to write the message.
        assert len(count.unknown) <= dark
        assert TOO_MANY_CONNECTIONS not in emulator.limited
        places = {place for place, _ in emulator.disturbances}
        assert places >= PLACES if FULL else places, "the server was too kind"


class Killings:
    """The lives of one run: each process continues the journal of the one before."""

    def __init__(self, emulator: OutlookEmulator, journal: Path) -> None:
        self.account = emulator.account(ADA)
        self.journal = journal
        self.dice = random.Random(2026)
        self.count = Count()
        self.killed_after: list[int] = []
        self.last_words = ""

    def live(self) -> None:
        """Live for a random number of messages, or die before the first."""
        share = MESSAGES // (KILLS + 2)
        aim = self.dice.choice([0, self.dice.randrange(1, share + 1), share])
        heard = 0
        with worker("sending_worker", self.account, "run", MESSAGES, self.journal) as process:
            assert process.hear(60) == "begun"
            while heard < aim:
                heard += self._take(process.hear(120))
            time.sleep(self.dice.uniform(0, 0.05 if aim else 0.5))
        # It was killed by the end of the block.
        self.killed_after.append(heard)

    def end(self) -> None:
        """Live to the end."""
        self.count.unknown.clear()  # the last process lists all of them
        with worker("sending_worker", self.account, "run", MESSAGES, self.journal) as process:
            assert process.hear(60) == "begun"
            while not (line := process.hear(120)).startswith("done"):
                self._take(line)
            self.last_words = line

    def _take(self, line: str) -> bool:
        word, key, *rest = line.split(" ", 2)
        assert word != "done", line
        number = int(key)
        if word == "sent":
            assert number not in self.count.sent, f"{number} was sent twice"
            self.count.sent.add(number)
        elif word == "unknown":
            self.count.unknown.add(number)
        else:
            self.count.failed[number] = rest[0]
        return word == "sent"


@pytest.mark.skipif(os.name != "posix", reason="only Unix has SIGKILL")
def test_after_every_kill_the_next_process_goes_on_with_the_journal(tmp_path: Path) -> None:
    with rough_server() as emulator:
        roughen(emulator)
        killings = Killings(emulator, tmp_path / "journal")
        started = time.monotonic()
        with tokens_ending(emulator):
            for _ in range(KILLS):
                killings.live()
            killings.end()
        seconds = time.monotonic() - started
        count = killings.count
        count.copies = copies_in(emulator)
        dark = cut_in_the_dark(emulator)
        print(
            f"\n{MESSAGES} messages, {KILLS} kills, {seconds:.1f} s: "
            f"{len(count.copies)} arrived, {len(count.unknown)} unknown (of which "
            f"{count.unknown_arrived} arrived; {dark} cuts in the dark), {len(count.failed)} "
            f"failed, {len(count.twice)} twice; lives of {killings.killed_after} messages; "
            f"{troubles(emulator)}"
        )
        count.settle(MESSAGES, heard_of_all=False)
        assert len(count.unknown) <= dark + KILLS * CONNECTIONS
        assert f'"done": {MESSAGES}' in killings.last_words
