"""A process that sends: many messages with a journal, or from many threads with one mailer."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time

from mailoauth import Mailer
from mailoauth.errors import DeliveryUnknown, MailOAuthError
from mailoauth.mail.mailer import AsyncMailer
from mailoauth.mail.many import AsyncReceipts
from tests.soak.processes import read_account, say
from tests.soak.sending import BOB, hasty, key_of, numbered


async def run(count: int, journal: str) -> None:
    """Begin a run or continue it; one line for each receipt, and one in the end."""
    async with AsyncMailer(read_account()) as mailer:
        receipts = AsyncReceipts(mailer, numbered(count), journal=journal, key=key_of, pace=hasty())
        say("begun")
        async for receipt in receipts:
            if receipt.error is None:
                say("sent", receipt.key)
            elif isinstance(receipt.error, DeliveryUnknown):
                say("unknown", receipt.key)
            else:
                say("failed", receipt.key, repr(receipt.error))
        say("done", json.dumps(receipts.progress._asdict()))


def crowd(pause: float, threads: int, each: int, first: int) -> None:
    """Send from many threads at the same time, and report how long each message took."""
    seconds: list[float] = []
    failures: list[str] = []
    with Mailer(read_account()) as mailer:

        def work(thread: int) -> None:
            dice = random.Random(first + thread)
            for number in range(first + thread * each, first + (thread + 1) * each):
                time.sleep(dice.uniform(0, pause))
                started = time.monotonic()
                try:
                    mailer.send(to=BOB, subject=f"Number {number}", text="From a crowd.")
                except MailOAuthError as error:
                    failures.append(f"{number}: {error!r}")
                seconds.append(time.monotonic() - started)

        crowd = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        say("ready")
        sys.stdin.readline()
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
    say(json.dumps({"seconds": seconds, "failures": failures}))


def main() -> None:
    if sys.argv[1] == "run":
        asyncio.run(run(int(sys.argv[2]), sys.argv[3]))
    else:
        crowd(float(sys.argv[2]), *map(int, sys.argv[3:]))


if __name__ == "__main__":
    main()
