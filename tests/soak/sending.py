"""What the soak tests of sending have in common: numbered messages, a rough server, the count."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailoauth.emulator import Cut, OutlookEmulator, Reply
from mailoauth.mail.mailing.pace import Pace
from tests.soak.scale import ADA, FULL, scaled, sign_in, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BOB = "bob@example.com"
#: Seconds for which an access token is good.
LIFE = scaled(12, 4)
#: Seconds after which all of them are ended.
KILL_TOKENS_EVERY = 3.0 if FULL else 0.5
#: So many times faster than told do the runs wait; what the server suggests is longer by it.
HASTE = 20
#: Messages in so many seconds that the server takes.
RATE = (60, 0.5)
#: The places at which trouble must have come where there are many messages.
PLACES = frozenset({"CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "MESSAGE", "."})

_NUMBER = re.compile(rb"^Subject: Number (\d+)\r$", re.MULTILINE)


def hasty() -> Pace:
    """Return a pace that does not wait in real minutes."""
    return Pace(
        clock=lambda: time.monotonic() * HASTE, sleep=lambda seconds: asyncio.sleep(seconds / HASTE)
    )


def numbered(count: int) -> Iterator[dict[str, Any]]:
    """Yield messages that are told apart by their subjects; some take long to write."""
    for number in range(count):
        lines = 9_000 if number % 40 == 0 else 9
        yield {"to": BOB, "subject": f"Number {number}", "text": f"I am number {number}.\n" * lines}


def key_of(message: dict[str, Any]) -> str:
    """Return the number of a message, as ``send_many`` is to know it."""
    return str(message["subject"]).removeprefix("Number ")


def rough_server() -> OutlookEmulator:
    """Return a server as short with clients as servers get; to be entered, then :func:`roughen`."""
    return OutlookEmulator(token_life=LIFE, token_size=1800, strict_auth_line=2047)


def roughen(emulator: OutlookEmulator) -> None:
    """Let Ada sign in, and from then on make trouble wherever it can be made."""
    emulator.add_user(ADA)
    emulator.add_user(BOB)
    sign_in(emulator, source_of(emulator.account(ADA)), expires_in=LIFE)
    emulator.limit_connections(3)
    messages, per = RATE
    emulator.limit_rate(
        messages,
        per=per,
        reply="432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded. "
        f"Suggested Backoff Time: {per * HASTE * 1000:.0f} milliseconds",
    )
    emulator.disturb(
        seed=2026,
        cut_before=0.005,
        cut_after=0.005,
        cut_in_reply=0.005,
        cut_in_message=0.005,
        refuse=0.015,
        backoff=0.1 * HASTE,
    )


@contextmanager
def tokens_ending(emulator: OutlookEmulator) -> Iterator[None]:
    """End all access tokens again and again, but none before it has been used.

    A token that is ended between its issue and its first use is a fresh token that was
    refused, too, and that is rightly an error.
    """
    over = threading.Event()

    def sign_ins() -> int:
        return sum(one.signed_in_as is not None for one in emulator.connections)

    def work() -> None:
        while not over.wait(KILL_TOKENS_EVERY):
            before = sign_ins()
            emulator.expire_tokens()
            while sign_ins() == before and not over.wait(0.02):
                pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass
class Count:
    """What the receiving mailbox has, against what the client was told."""

    copies: Counter[int] = field(default_factory=Counter)
    sent: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def twice(self) -> list[int]:
        """The messages that arrived more than once."""
        return sorted(number for number, copies in self.copies.items() if copies > 1)

    @property
    def unknown_arrived(self) -> int:
        """How many of the unknown ones did arrive."""
        return sum(number in self.copies for number in self.unknown)

    def settle(self, total: int, *, heard_of_all: bool = True) -> None:
        """Check that each message arrived once, or is unknown and arrived once or not at all."""
        everything = set(range(total))
        assert self.twice == []
        assert self.failed == {}, next(iter(self.failed.values()))
        assert not self.sent & self.unknown, "one message with two different outcomes"
        assert self.sent - set(self.copies) == set(), "reported as sent, and not there"
        assert everything - self.unknown == set(self.copies) - self.unknown, (
            "neither there nor unknown"
        )
        assert set(self.copies) <= everything
        assert self.sent | self.unknown == everything or not heard_of_all


def copies_in(emulator: OutlookEmulator) -> Counter[int]:
    """Count what lies in Bob's mailbox."""
    found: Counter[int] = Counter()
    for message in emulator.messages(BOB):
        number = _NUMBER.search(message.raw)
        assert number, message.raw
        found[int(number[1])] += 1
    return found


def troubles(emulator: OutlookEmulator) -> str:
    """Say what the server did."""
    happened = emulator.disturbances
    kinds = Counter(
        action.text[:3] if isinstance(action, Reply) else "cut" for _, action in happened
    )
    slow = sum("STOREDRV" in reply for reply in emulator.limited)
    return (
        f"{kinds['cut']} cuts, {kinds['421']} x 421, {kinds['432']} x 432, {kinds['451']} x 451 "
        f"at {len({place for place, _ in happened})} places; rate limit {slow} times, "
        f"connection limit {len(emulator.limited) - slow} times, "
        f"{len(emulator.connections)} connections, {len(emulator.token_requests)} token requests"
    )


def cut_in_the_dark(emulator: OutlookEmulator) -> int:
    """Count the cuts after which a client cannot know what became of its message."""
    return sum(
        place in {"MESSAGE", "."} and isinstance(action, Cut)
        for place, action in emulator.disturbances
    )
