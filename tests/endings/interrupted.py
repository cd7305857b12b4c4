"""Send or read, be interrupted, and do it once more: ``interrupted.py COLOUR WIRE [SIZE]``.

SIGTERM raises ``SystemExit`` here, as in programs that clean up.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from mailoauth import AsyncMailSession, MailSession
from tests.endings.world import account, go, message, options, say, tell

COLOUR, WIRE = sys.argv[1:3]
SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 0


def use(mail: MailSession, subject: str) -> None:
    if WIRE == "smtp":
        mail.send(**message(subject, SIZE))
    say("done", *([one.subject for one in mail.unseen()] if WIRE == "imap" else [subject]))


async def use_async(mail: AsyncMailSession, subject: str) -> None:
    if WIRE == "smtp":
        await mail.send(**message(subject, SIZE))
        say("done", subject)
    else:
        say("done", *[one.subject async for one in mail.unseen()])


def stop(*_: object) -> None:
    sys.exit(143)


def main() -> None:
    with MailSession(account(), **options()) as mail:
        use(mail, "before")
        go()
        try:
            use(mail, "first")
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            tell(error)
        go()
        use(mail, "second")
    say("closed")


async def main_async() -> None:
    async with AsyncMailSession(account(), **options()) as mail:
        await use_async(mail, "before")
        go()
        try:
            await use_async(mail, "first")
        except asyncio.CancelledError as error:
            tell(error)
            raise


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    if COLOUR == "sync":
        main()
    else:
        try:
            asyncio.run(main_async())
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            tell(error)
