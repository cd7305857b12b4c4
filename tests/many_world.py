"""A mailer of memory for tests of many messages, and time that passes when nothing else happens."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from mailoauth.accounts import Account
from mailoauth.diagnosis import diagnose
from mailoauth.errors import (
    ConnectionFailed,
    DeliveryUnknown,
    MailOAuthError,
    RecipientsRefused,
    ServerError,
)
from mailoauth.mail.mailing.pace import Pace
from mailoauth.mail.many import AsyncReceipts
from mailoauth.mail.receipt import SendReceipt
from mailoauth.mail.refusal import refusal_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.submission.dialogue import Reply

ADA = "ada@example.com"


class Time:
    """A clock and a sleep: while tasks sleep, the earliest of them is woken next."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._ends: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        self.slept.append(seconds)
        self._ends.append(end)
        try:
            while self.now < end:
                for _ in range(50):  # whoever can go on without the clock does
                    await asyncio.sleep(0)
                self.now = max(self.now, min(self._ends))
        finally:
            self._ends.remove(end)

    def pace(self, chance: float = 0.0) -> Pace:
        """Return a pace without jitter, unless it is given."""
        return Pace(clock=self.clock, sleep=self.sleep, chance=lambda: chance)


def refusal(reply: str, who: str = ADA) -> ServerError:
    """Return the error that a server's reply becomes, as a submission raises it."""
    error = refusal_error(
        reply, diagnose(reply, protocol="smtp"), who=who, server="smtp.example.com", account=ADA
    )
    assert isinstance(error, ServerError)
    error.code, error.text = reply[:3], reply[4:]
    return error


def lost() -> ConnectionFailed:
    return ConnectionFailed("smtp.example.com ended the connection.")


class FakeMailer:
    """Has what a run needs of a mailer. ``trouble`` is asked before each submission.

    It gets the number of the submission and the parcel, and returns an error to raise, or
    None; an error in ``after_data`` is raised when the message has begun to go out.
    """

    def __init__(self, *, connections: int = 3, left: int | None = None) -> None:
        self.address = ADA
        self.account = Account.outlook(ADA, client_id="client")
        self.connections = connections
        self.left = left
        self.submissions: list[Parcel] = []
        self.accepted: list[Parcel] = []
        self.begun = 0
        self.most_at_once = 0
        self.trouble: Callable[[int, Parcel], MailOAuthError | None] = lambda _, __: None
        self.after_data: Callable[[int, Parcel], MailOAuthError | None] = lambda _, __: None
        self.refused: dict[str, Reply] = {}
        self.held: asyncio.Event | None = None  # wait here before the data
        self.held_after: asyncio.Event | None = None  # wait here for the reply to it
        self._at_once = 0

    def left_today(self) -> int | None:
        return self.left

    async def submit(
        self,
        parcel: Parcel,
        *,
        before_data: Callable[[], Awaitable[None]] | None = None,
        patiently: bool = False,
    ) -> SendReceipt:
        self.submissions.append(parcel)
        number = len(self.submissions)
        with self._counted():
            await asyncio.sleep(0)
            if error := self.trouble(number, parcel):
                raise error
            if self.held is not None:
                await self.held.wait()
            if before_data is not None:
                await before_data()
            self.begun += 1
            if self.held_after is not None:
                await self.held_after.wait()
            if error := self.after_data(number, parcel):
                raise error
        self.accepted.append(parcel)
        return SendReceipt(
            message_id=parcel.message_id,
            reply=f"250 2.0.0 queued as {number}",
            accepted=tuple(one for one in parcel.recipients if one not in self.refused),
            refused={
                one: str(self.refused[one]) for one in parcel.recipients if one in self.refused
            },
        )

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1

    def subjects(self) -> list[str]:
        """What was accepted, in the order of acceptance."""
        return [subject_of(parcel) for parcel in self.accepted]


def subject_of(parcel: Parcel) -> str:
    head = parcel.data.decode().partition("\r\n\r\n")[0]
    return next(line[9:] for line in head.splitlines() if line.startswith("Subject: "))


def note(number: int, **extra: str) -> dict[str, Any]:
    """Return the keywords of a small message."""
    return {"to": f"bob{number}@example.com", "subject": f"note {number}", "text": "hello", **extra}


def notes(count: int) -> list[dict[str, Any]]:
    return [note(number) for number in range(1, count + 1)]


def raw(number: int, *, message_id: str = "") -> bytes:
    """Return a small message as bytes, with a Message-ID of its own if one is given."""
    line = f"Message-ID: {message_id}\r\n" if message_id else ""
    return (
        f"From: {ADA}\r\nTo: bob{number}@example.com\r\nSubject: note {number}\r\n{line}\r\nhello\r\n"
    ).encode()


def run(
    mailer: Any,
    messages: Any,
    *,
    time: Time | None = None,
    receipts: list[SendReceipt] | None = None,
    **options: Any,
) -> list[SendReceipt]:
    """Send them all and return the receipts; ``receipts`` has them where the run raises."""
    got = [] if receipts is None else receipts

    async def everything() -> None:
        many = AsyncReceipts(mailer, messages, pace=(time or Time()).pace(), **options)
        async for receipt in many:
            got.append(receipt)

    asyncio.run(everything())
    return got


def unknown(message_id: str) -> DeliveryUnknown:
    return DeliveryUnknown("lost after the message", message_id=message_id)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop, and the journal's thread, go on until something is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for sets no event
        await asyncio.sleep(0.001)


async def drain(many: AsyncReceipts) -> None:
    """Take all receipts."""
    async for _ in many:
        pass


def refused_by_all(*replies: str) -> RecipientsRefused:
    refused = {f"{number}@example.com": reply for number, reply in enumerate(replies)}
    return RecipientsRefused.of(
        "all refused",
        refused,
        code=replies[-1][:3],
        diagnosis=diagnose(replies[-1], protocol="smtp"),
    )
