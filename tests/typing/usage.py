"""User code for the type checkers: every public verb in both colours, and two mistakes.

It is not run. mypy (strict) and pyright read it; each must accept the good lines and report
the two mistakes: an ignore that is not needed is an error for both.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import assert_type

import mailoauth
from mailoauth import (
    AccessToken,
    Account,
    Address,
    AsyncMailer,
    AsyncMailSession,
    Attachment,
    Diagnosis,
    Folder,
    Mailer,
    MailSession,
    MemoryStore,
    Message,
    SendReceipt,
    StaticToken,
    TokenSource,
)


class OwnSource:
    def get(self, rejected: AccessToken | None = None) -> AccessToken:
        return AccessToken("from elsewhere", generation=1 if rejected is None else 2)


def signing_in() -> Account:
    account = Account.outlook("ada@example.com", client_id="11111111-2222-3333-4444-555555555555")
    mailoauth.sign_in(account)
    mailoauth.sign_in(account, port=8765, timeout=60.0, store=MemoryStore())
    mailoauth.sign_in_device_code(account, show=print)
    mailoauth.sign_in_pasted(account, show=print, ask=input)
    mailoauth.save_account(account)
    assert_type(mailoauth.list_accounts(), list[Account])
    tokens = mailoauth.token_source(account, min_remaining=1200.0)
    assert_type(tokens.get(), AccessToken)
    assert_type(tokens.get().value, str)
    return mailoauth.load_account("ada@example.com")


def reading(account: Account) -> None:
    source: TokenSource = OwnSource()
    with MailSession(account, mailbox="team@example.com", tokens=source, deadline=60.0) as mail:
        for message in mail.unseen(mark_seen=True, limit=10, newest_first=True):
            assert_type(message, Message)
            assert_type(message.sender, Address | None)
            assert_type(message.text, str)
            for attachment in message.attachments:
                assert_type(attachment, Attachment)
                assert_type(attachment.save("inbox/"), Path)
            mail.mark_seen(message)
            mail.mark_unseen([message])
            mail.flag(message)
            mail.unflag(message)
            mail.flag([message], flag="$Invoice")
            mail.move(message, "Done")
            mail.copy([message], "Archive")
            mail.delete(message)
            mail.delete([message], permanently=True)
        for message in mail.search(
            folder="Archive",
            since=date(2026, 1, 1),
            sender="ann@example.com",
            header={"List-Id": "news"},
            any_of=[{"flagged": True}, {"not_": {"seen": True}}],
            raw=["KEYWORD", "$Invoice"],
            headers_only=True,
        ):
            assert_type(mail.save(message, "archive/"), Path)
            for attachment in mail.attachments(message):
                assert_type(mail.save_attachment(message, attachment, Path("inbox")), Path)
        mail.close()


def folders(mail: MailSession) -> None:
    for folder in mail.folders():
        assert_type(folder, Folder)
        assert_type(folder.unseen, int | None)
        print(folder.name, folder.special_use)
    mail.create_folder("Work/2026")
    mail.rename_folder("Work/2026", "Work/2027")
    mail.subscribe("Work/2027")
    mail.unsubscribe("Work/2027")
    mail.delete_folder("Work/2027")
    assert_type(mail.special("sent"), str)
    draft = mailoauth.compose(sender="ada@example.com", to="bob@example.com", text="...")
    assert_type(mail.append(draft, mail.special("drafts"), flags=["\\Draft"]), int | None)


async def reading_async(account: Account) -> None:
    async with AsyncMailSession(account, tokens=StaticToken("...")) as mail:
        async for message in mail.unseen(mark_seen=True):
            assert_type(message, Message)
            await mail.mark_seen(message)
            await mail.mark_unseen([message])
            await mail.flag(message)
            await mail.unflag(message)
        async for message in mail.search(subject="report", headers_only=True):
            await mail.move(message, "Reports")
            assert_type(await mail.save(message, "archive/"), Path)
        assert_type(await mail.folders(counts=False), list[Folder])
        receipt = await mail.send(to="bob@example.com", subject="Report", text="...")
        assert_type(receipt, SendReceipt)


def sending(account: Account) -> Diagnosis:
    with Mailer(account) as mailer, MailSession("ada@example.com") as mail:
        receipt = mailer.send(to=["bob@example.com"], subject="Report", html="<p>...</p>")
        assert_type(receipt, SendReceipt)
        assert_type(mail.send(b"From: ada@example.com\r\n\r\n").message_id, str)
        mail.send(mailoauth.compose(sender="ada@example.com", to="bob@example.com"))
    return mailoauth.diagnose("535 5.7.3 Authentication unsuccessful", protocol="smtp")


async def sending_async(account: Account) -> None:
    async with AsyncMailer(account) as mailer:
        assert_type(await mailer.send(to="bob@example.com", attachments=["a.pdf"]), SendReceipt)


async def mistakes(mail: AsyncMailSession, message: Message) -> None:
    mail.mark_seen(message)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    mailoauth.MailSesion  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018
    mail.send(too="bob@example.com")  # type: ignore[call-arg, unused-coroutine]  # pyright: ignore[reportCallIssue]
