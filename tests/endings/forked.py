"""Fork with an open session: ``forked.py COLOUR exit|leave|raise``: how the child ends.

The child says what each verb gave it; the parent goes on with its own connections.
"""

from __future__ import annotations

import asyncio
import os
import sys

from mailoauth import AsyncMailSession, MailSession, token_source
from mailoauth.errors import MailOAuthError
from tests.endings.world import account, message, say

COLOUR, ENDING = sys.argv[1:3]


def child(mail: MailSession) -> None:
    for verb in (
        lambda: list(mail.unseen()),
        lambda: mail.send(**message("of the child")),
    ):
        try:
            verb()
        except MailOAuthError as error:
            say("child", type(error).__name__)
    say("child", "token", len(token_source(mail.account).get().value))
    with MailSession(mail.account) as own:
        say("child", "read", len(list(own.unseen())))
    if ENDING == "exit":
        sys.exit(0)
    if ENDING == "raise":
        raise SystemExit


async def child_async(mail: AsyncMailSession) -> None:
    try:
        assert [one async for one in mail.unseen()]
    except MailOAuthError as error:
        say("child", type(error).__name__)
    try:
        await mail.send(**message("of the child"))
    except MailOAuthError as error:
        say("child", type(error).__name__)


def main() -> None:
    with MailSession(account()) as mail:
        mail.send(**message("before"))
        for one in mail.unseen(mark_seen=True):
            say("parent", one.subject)
            break
        pid = os.fork()
        if not pid:
            child(mail)
        else:
            say("parent", "child ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            mail.send(**message("after"))
            say("parent", "read", len(list(mail.unseen())))
    say("parent" if pid else "child", "left")


async def open_async(mail: AsyncMailSession) -> None:
    await mail.send(**message("before"))
    assert [one async for one in mail.unseen()]


async def go_on_async(mail: AsyncMailSession) -> None:
    await mail.send(**message("after"))
    say("parent", "read", len([one async for one in mail.unseen()]))
    await mail.__aexit__(None, None, None)


async def make_async() -> AsyncMailSession:
    return AsyncMailSession(account())


def main_async() -> None:
    # The loop rests while the fork is made, and the child lets it lie: to fork inside
    # of one, or to close the parent's, is asyncio's own trouble.
    runner = asyncio.Runner()
    mail = runner.run(make_async())
    runner.run(open_async(mail))
    pid = os.fork()
    if pid:
        say("parent", "child ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        runner.run(go_on_async(mail))
        runner.close()
        say("parent", "left")
        return
    asyncio.run(child_async(mail))
    say("child", "token", len(token_source(mail.account).get().value))
    with MailSession(mail.account) as own:
        say("child", "read", len(list(own.unseen())))
    if ENDING == "raise":
        raise SystemExit
    if ENDING == "exit":
        os._exit(0)


if __name__ == "__main__":
    if COLOUR == "sync":
        main()
    else:
        main_async()
