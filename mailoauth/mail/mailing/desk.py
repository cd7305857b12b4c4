"""What is done with one message of a run: looked up, packed, submitted, written down."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from mailoauth.errors import ConfigError, MailOAuthError
from mailoauth.mail.mailing.attempts import (
    CLOSED,
    REPETITIONS,
    Verdict,
    code_of,
    given_twice,
    left_unknown,
    not_made,
    receipt_of,
    row_of,
    told_to_wait,
    verdict,
)
from mailoauth.mail.mailing.intake import storable
from mailoauth.mail.mailing.pace import THROTTLED_AT_MOST
from mailoauth.mail.parcel import pack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailoauth.accounts import Account
    from mailoauth.mail.mailing.attempts import Item
    from mailoauth.mail.mailing.journal import Journal
    from mailoauth.mail.mailing.pace import Pace
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.receipt import SendReceipt

R = TypeVar("R")

#: Senders that are remembered as refused; a run has one, or few.
_SENDERS: Final = 100


class Submitter(Protocol):
    """What a run needs of a mailer."""

    address: str
    account: Account

    @property
    def connections(self) -> int:
        """How many connections there may be."""

    def left_today(self) -> int | None:
        """Return how many recipients more the day allows, None without a limit."""

    async def submit(
        self,
        parcel: Parcel,
        *,
        before_data: Callable[[], Awaitable[None]] | None = None,
        patiently: bool = False,
    ) -> SendReceipt:
        """Send one message, once more only where nothing of it was handed over."""


class Skipped:
    """Stands for the receipt of a message that an earlier run was done with."""


class Desk:
    """Where the messages of one run are dealt with, by several tasks at the same time.

    ``deliver`` takes each receipt, ``stop`` an error after which nothing more can be sent.
    """

    def __init__(
        self,
        mailer: Submitter,
        *,
        journal: Journal | None,
        pace: Pace,
        keyed: bool,
        deliver: Callable[[SendReceipt | Skipped], None],
        stop: Callable[[MailOAuthError], None],
    ) -> None:
        self.halted = False  # nothing more is sent
        self.sent = 0
        self.unsent: list[Item] = []  # taken from the input, and stopped by the limit
        self.broken: MailOAuthError | None = None  # of the journal
        self._mailer = mailer
        self._journal = journal
        self._pace = pace
        self._keyed = keyed
        self._deliver = deliver
        self._stop = stop
        self._doom: MailOAuthError | None = None  # of the account: for all that come
        self._bad_senders: dict[str, MailOAuthError] = {}

    async def give_up(self, item: Item) -> None:
        """Let a message have the error of its last attempt, instead of another attempt."""
        if item.error is not None:
            await self._settle(item, receipt_of(item, item.error), "failed")

    async def deal_with(self, item: Item) -> float | None:
        """Bring a message to its end; or return when, by the pace's clock, to bring it again."""
        item.due = None
        try:
            parcel = item.parcel or await self._prepare(item)
            while parcel is not None and await self._attempt(item, parcel):
                pass
        except BaseException:
            if item.noted and not item.begun and self._journal is not None:
                self._journal.note(row_of(item, "pending"))
            raise
        return item.due

    async def _prepare(self, item: Item) -> Parcel | None:
        """Make the parcel; None where the message has its receipt, or needs none."""
        if not item.key:
            error = ConfigError(
                f"key= gave no text for message {item.position}.",
                remedy="It must return a text that no other message has.",
            )
            self._deliver(receipt_of(item, error))
            return None
        if self._journal is not None and not await self._look_up(item, self._journal):
            return None
        if self._doom is not None:  # not even packed, which is most of the work
            self._deliver(receipt_of(item, self._doom))
            return None
        try:
            item.parcel = pack(
                item.message, address=self._mailer.address, message_id=item.message_id or None
            )
        except Exception as error:  # noqa: BLE001 - of this message, whatever was given in it
            wrong = error if isinstance(error, ConfigError) else not_made(item, error)
            await self._settle(item, receipt_of(item, wrong), "failed")
            return None
        item.message = None
        item.message_id = storable(item.parcel.message_id)
        return item.parcel

    async def _look_up(self, item: Item, journal: Journal) -> bool:
        """Ask the journal; say whether the message is to be sent."""
        known = await self._kept(journal.take(item.key))
        if known is True:
            return True
        if known is False:
            self._deliver(receipt_of(item, given_twice(item, self._keyed)))
        elif known.state in CLOSED:
            self._deliver(Skipped())
        else:
            item.message_id = known.message_id
            if known.state not in {"sending", "unknown"}:
                return True
            self._deliver(receipt_of(item, left_unknown(item, self._mailer.account.name)))
        return False

    async def _attempt(self, item: Item, parcel: Parcel) -> bool:
        """Send the message once; say whether to do so again."""
        await self._pace.ready()
        if self.halted:
            self.unsent.append(item)
            return False
        doom = self._doom or self._bad_senders.get(parcel.sender)
        if doom is not None:
            self._deliver(receipt_of(item, doom))
            return False
        epoch = self._pace.epoch
        try:
            receipt = await self._mailer.submit(
                parcel, before_data=partial(self._begin, item), patiently=True
            )
        except MailOAuthError as error:
            if self.broken is not None and item.noted and not item.begun:
                return False  # it could not be written down, so it was not sent
            return await self._after(item, error, epoch)
        self._pace.went_well()
        self.sent += 1
        state = "partly" if receipt.refused else "sent"
        await self._settle(item, replace(receipt, key=item.key), state)
        return False

    async def _begin(self, item: Item) -> None:
        """Have it in the journal, on the disk, before the first octet goes out."""
        if self._journal is not None and not item.noted:
            item.noted = True
            if self.broken is not None:  # what was said then, "nothing more was sent", holds
                raise self.broken
            await self._kept(self._journal.write(row_of(item, "sending")))
        item.begun = True

    async def _after(self, item: Item, error: MailOAuthError, epoch: int) -> bool:
        """Do what follows from an error; say whether to send the message again at once."""
        what = verdict(error)
        item.error = error
        if what is not Verdict.UNKNOWN:
            item.begun = False
        if self._is_repeated(what, error, epoch, item):
            await self._back_to_pending(item)
            if what is not Verdict.LATER:
                return True
            wait = self._pace.delay(item.repetitions, told_to_wait(error))
            item.due = self._pace.clock() + wait
        elif what is Verdict.DAY:
            self.unsent.append(item)
            self._stop(error)
            await self._back_to_pending(item)
        elif what in {Verdict.ACCOUNT, Verdict.SENDER}:
            self._remember(what, error, item)
            await self._back_to_pending(item)
            self._deliver(receipt_of(item, error))
        else:
            state = {Verdict.UNKNOWN: "unknown", Verdict.REFUSED: "refused"}.get(what, "failed")
            await self._settle(item, receipt_of(item, error), state)
        return False

    def _is_repeated(self, what: Verdict, error: MailOAuthError, epoch: int, item: Item) -> bool:
        who = self._mailer.account.name
        if what is Verdict.WAIT:
            self._pace.was_throttled(epoch, told_to_wait(error), who, code_of(error))
            return self._pace.throttled < THROTTLED_AT_MOST
        if what is Verdict.LOST:
            return self._pace.was_lost(epoch, who)
        if what in {Verdict.LATER, Verdict.REFUSED, Verdict.FAILED}:
            self._pace.went_well()
        item.repetitions += 1
        return what is Verdict.LATER and item.repetitions <= REPETITIONS

    def _remember(self, what: Verdict, error: MailOAuthError, item: Item) -> None:
        if what is Verdict.ACCOUNT:
            self._doom = error
        elif item.parcel is not None and len(self._bad_senders) < _SENDERS:
            self._bad_senders[item.parcel.sender] = error

    async def _back_to_pending(self, item: Item) -> None:
        if item.noted and self._journal is not None:
            item.noted = False
            await self._kept(self._journal.write(row_of(item, "pending")))

    async def _settle(self, item: Item, receipt: SendReceipt, state: str) -> None:
        """Keep what became of a message, and give the receipt out whether or not that works."""
        try:
            if self._journal is not None:
                await self._kept(self._journal.write(row_of(item, state, receipt)))
        finally:
            self._deliver(receipt)

    async def _kept(self, work: Awaitable[R]) -> R:
        """Await the journal; without it nothing goes on."""
        try:
            return await work
        except MailOAuthError as error:
            self.broken = self.broken or error
            self._stop(error)
            raise
