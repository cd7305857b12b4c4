"""Use something, close nothing, end: ``unclosed.py COLOUR session|iterator|mailer|closed``."""

from __future__ import annotations

import asyncio
import sys

from mailoauth import AsyncMailer, AsyncMailSession, Mailer, MailSession
from tests.endings.world import account, message, options, say

COLOUR, WHAT = sys.argv[1:3]
kept: list[object] = []


def main() -> None:
    if WHAT == "mailer":
        mailer = Mailer(account(), **options())
        mailer.send(**message("sent"))
        kept.append(mailer)
        return
    mail = MailSession(account(), **options())
    mail.send(**message("sent"))
    messages = iter(mail.unseen(mark_seen=True))
    say(next(messages).subject)
    kept.append(mail)
    if WHAT == "iterator":
        kept.append(messages)
    if WHAT == "closed":
        mail.__exit__(None, None, None)


async def main_async() -> None:
    if WHAT == "mailer":
        mailer = AsyncMailer(account(), **options())
        await mailer.send(**message("sent"))
        kept.append(mailer)
        return
    mail = AsyncMailSession(account(), **options())
    await mail.send(**message("sent"))
    messages = aiter(mail.unseen(mark_seen=True))
    say((await anext(messages)).subject)
    kept.append(mail)
    if WHAT == "iterator":
        kept.append(messages)
    if WHAT == "closed":
        await mail.__aexit__(None, None, None)


if __name__ == "__main__":
    if COLOUR == "sync":
        main()
    else:
        asyncio.run(main_async())
    say("end")
