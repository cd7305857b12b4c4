"""Close a session that is busy: ``closing.py COLOUR WIRE thread|signal``."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

from mailoauth import AsyncMailSession, MailSession
from mailoauth.errors import MailOAuthError
from tests.endings.world import account, go, message, options, say, tell

COLOUR, WIRE, BY = sys.argv[1:4]


def close_from_elsewhere(mail: MailSession | AsyncMailSession) -> None:
    """Close when the test says so: by SIGUSR1, or by a line to a thread."""
    if BY == "signal":
        signal.signal(signal.SIGUSR1, lambda *_: mail.close())
        return

    def wait() -> None:
        sys.stdin.readline()
        mail.close()

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    with MailSession(account(), **options()) as mail:
        list(mail.unseen())
        mail.send(**message("before"))
        go()
        close_from_elsewhere(mail)
        say("busy")
        try:
            mail.send(**message("first")) if WIRE == "smtp" else list(mail.unseen())
        except MailOAuthError as error:
            tell(error)
            say(str(error))
        for verb in (lambda: list(mail.unseen()), lambda: mail.send(**message("second"))):
            try:
                verb()
            except MailOAuthError as error:
                tell(error)
    say("closed")


async def main_async() -> None:
    async with AsyncMailSession(account(), **options()) as mail:
        assert [one async for one in mail.unseen()]
        await mail.send(**message("before"))
        go()
        close_from_elsewhere(mail)
        say("busy")
        try:
            if WIRE == "smtp":
                await mail.send(**message("first"))
            else:
                assert [one async for one in mail.unseen()]
        except MailOAuthError as error:
            tell(error)
            say(str(error))
        try:
            assert [one async for one in mail.unseen()]
        except MailOAuthError as error:
            tell(error)
        try:
            await mail.send(**message("second"))
        except MailOAuthError as error:
            tell(error)
    say("closed")


if __name__ == "__main__":
    if COLOUR == "sync":
        main()
    else:
        asyncio.run(main_async())
