"""Be ended in the middle of a ``with`` block, by nobody's hand but Python's own.

``leaving.py COLOUR WIRE``: the traceback is what a user sees.
"""

from __future__ import annotations

import asyncio
import sys

from mailoauth import AsyncMailSession, MailSession
from tests.endings.world import account, go, message, options

COLOUR, WIRE = sys.argv[1:3]


def main() -> None:
    with MailSession(account(), **options()) as mail:
        for _ in mail.unseen(mark_seen=True):
            pass
        mail.send(**message("before"))
        go()
        if WIRE == "smtp":
            mail.send(**message("first"))
        else:
            for _ in mail.unseen(mark_seen=True):
                pass


async def main_async() -> None:
    async with AsyncMailSession(account(), **options()) as mail:
        async for _ in mail.unseen(mark_seen=True):
            pass
        await mail.send(**message("before"))
        go()
        if WIRE == "smtp":
            await mail.send(**message("first"))
        else:
            async for _ in mail.unseen(mark_seen=True):
                pass


if __name__ == "__main__":
    if COLOUR == "sync":
        main()
    else:
        asyncio.run(main_async())
