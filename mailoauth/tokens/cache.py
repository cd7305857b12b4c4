"""TokenCache: a valid access token from memory, else the store, else one refresh.

How data flows through :meth:`TokenCache.get`: memory; the store (another process may
have refreshed); the record's lock and the store again; the refresher, whose reply is
durable before anybody uses it. Steps three and four run on a thread that the
interpreter waits for, so that neither a caller's deadline nor the end of the program
can fall between the identity service's answer and the disk.
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    MailOAuthError,
    SignInRequired,
    StoreError,
    Throttled,
)
from mailoauth.tokens.flight import Flight
from mailoauth.tokens.holding import hold
from mailoauth.tokens.keeper import RecordKeeper
from mailoauth.tokens.notes import Notes
from mailoauth.tokens.record import from_grant
from mailoauth.tokens.trouble import Trouble, log_lending, log_refreshed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.tokens.record import TokenRecord
    from mailoauth.tokens.token import AccessToken, Grant, Identity, Place, Refresher, TokenStore

#: Seconds of life below which a token is refreshed ahead of time.
MIN_REMAINING: Final = 300.0


#: The failures of a refresh in which a token that still lives is lent.
_LENDING: Final = (ConnectionFailed, Throttled, SignInRequired, StoreError)


class TokenCache:
    """The token source of one identity: safe from any thread, and across processes.

    ``min_remaining`` is in seconds and never counts for more than half a token's life.
    Without a store the record is kept by the default ``FileStore``.
    """

    def __init__(
        self,
        refresher: Refresher,
        store: TokenStore | None = None,
        min_remaining: float = MIN_REMAINING,
        *,
        account: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self._refresher = refresher
        self._store = store  # alive as long as we are: the registry goes by its id
        self._keeper = RecordKeeper(refresher.identity, store, durable=refresher.durable)
        self._notes = Notes()
        self._min_remaining = min_remaining
        self._clock = clock
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._record: TokenRecord | None = None
        self._trouble: Trouble | None = None
        _caches.add(self)

    def _start_afresh(self) -> None:
        # In a forked child: the parent's threads, and the locks they hold, are not ours.
        self._lock = threading.Lock()
        self._flight = None
        self._record = None
        self._keeper.restart()

    def __repr__(self) -> str:
        return f"TokenCache({self.account or self.identity.user!r})"

    def use(self, refresher: Refresher) -> None:
        """Refresh with this from now on: the same identity, but its account may have changed."""
        self._refresher = refresher

    @property
    def identity(self) -> Identity:
        """Whose tokens these are."""
        return self._refresher.identity

    def get(self, rejected: AccessToken | None = None) -> AccessToken:
        """Return a token with life left, and a later one than ``rejected``; blocks.

        Raises ``SignInRequired`` where only a person can help, ``ConnectionFailed`` or
        ``Throttled`` where the identity service cannot be had and no living token is
        left, ``StoreError`` where the record cannot be opened.
        """
        return self.get_within(rejected, None)

    def get_within(self, rejected: AccessToken | None, seconds: float | None) -> AccessToken:
        """Do what :meth:`get` does, but raise ``ConnectionTimedOut`` after ``seconds``.

        A refresh under way goes on behind it and is kept for the next caller.
        """
        self._keeper.retry_unsaved()
        floor = self._floor(rejected)
        record = self._usable(self._record, floor)
        if record is None:
            record = self._usable(self._reload(), floor)
        if record is None and self._trouble is not None:
            record = self._trouble.answer(self._record, floor, self._clock())
        if record is not None:
            return record.token
        return self._wait(self._renewal(floor), floor, seconds).token

    def refresh(self) -> AccessToken:
        """Get a new token whatever is left of the old one, even after a required sign-in; blocks."""
        record = self._reload()
        floor = record.generation if record else 0
        return self._wait(self._renewal(floor, forced=True), floor, None).token

    def adopt(self, grant: Grant) -> AccessToken:
        """Take over what a sign-in or an import brought; durable before it returns."""
        with self._keeper.lock():
            record = self._keeper.adopt(grant, self._clock())
        self._remember(record)
        return record.token

    def forget(self) -> None:
        """Drop the record, without revoking it; works without the store's key."""
        self._keeper.delete()
        self._record = None

    def check(self) -> None:
        """Raise ``StoreError`` unless a new record could be kept; asks nobody anything."""
        self._keeper.check()

    def record(self) -> TokenRecord | None:
        """Return the record as it stands in the store; no network."""
        return self._reload()

    @property
    def username(self) -> str | None:
        """Who signed in, as the identity service names the user (Entra: the UPN)."""
        record = self._record or self._reload()
        return record.username if record else None

    # What servers said of the tokens: see ``retry.LearningSource``.

    def accepted(self, token: AccessToken, place: Place) -> None:
        """Remember that a server accepted the token there."""
        self._notes.accepted(token.generation, place)

    def works_elsewhere(self, token: AccessToken, place: Place) -> bool:
        """Say whether this very token was accepted at another place."""
        return self._notes.works_elsewhere(token.generation, place)

    def refused(self, token: AccessToken, place: Place) -> bool:
        """Say whether a fresh token may cure the refusal, and note one that did not.

        False for five minutes after a replacement was refused, at every place that has
        accepted neither it nor the token before it.
        """
        record = self._record
        with contextlib.suppress(MailOAuthError):  # the server's refusal is what counts here
            record = self._reload()
        if record is None or record.generation > token.generation:
            return True
        now = self._clock()
        curable, note = self._notes.judge(token.generation, place, record.note, now)
        if note is not None:
            self._keeper.save_note(note)
        return curable

    # Inside.

    def _floor(self, rejected: AccessToken | None) -> int:
        if rejected is None:
            return 0
        record = self._record
        made_elsewhere = rejected.generation == 0  # by a caller who only knows the value
        if made_elsewhere and record is not None and record.access_token == rejected.value:
            return record.generation
        return rejected.generation

    def _usable(self, record: TokenRecord | None, floor: int) -> TokenRecord | None:
        fresh = record is not None and record.generation > floor
        alive = record is not None and record.lives(self._clock(), self._min_remaining)
        return record if fresh and alive else None

    def _reload(self) -> TokenRecord | None:
        # What the store has wins over memory: a person may have signed in anew. But not
        # what was read before another thread's refresh was kept.
        stored = self._keeper.load()
        known = self._record
        if stored is None or known is None or stored.generation >= known.generation:
            self._record = stored
        return self._record

    def _remember(self, record: TokenRecord) -> TokenRecord:
        self._record = record
        return record

    def _renewal(self, floor: int, *, forced: bool = False) -> Flight:
        def renew() -> TokenRecord:
            return self._renew(floor, forced=forced)

        with self._lock:
            flight = self._flight
            if flight is not None and flight.serves(floor, forced=forced):
                return flight
            flight = Flight(floor, forced=forced)
            started = flight.start(renew)
            # Only now: nobody may wait for a refresh that an interrupt kept from starting.
            self._flight = flight if started else None
        if not started:
            flight.run(renew)
        return flight

    def _wait(self, flight: Flight, floor: int, seconds: float | None) -> TokenRecord:
        if not flight.done.wait(seconds):
            raise ConnectionTimedOut(
                f"No token for {self._name} within {seconds:.0f} s; the refresh goes on behind.",
                account=self.account,
            )
        if flight.record is not None:
            return flight.record
        error = flight.error
        if error is None:  # the thread always leaves one of the two
            raise ConnectionFailed(f"The refresh for {self._name} was interrupted.")
        if not isinstance(error, _LENDING):
            raise error
        # A copy for each who waits: a traceback belongs to one thread.
        trouble = Trouble(copy.copy(error), self._clock())
        trouble.error.__cause__ = error.__cause__
        self._trouble = trouble
        record = trouble.lend(self._record, floor, self._clock())
        log_lending(self._name, error)
        return record

    @property
    def _name(self) -> str:
        return self.account or self.identity.user

    def _renew(self, floor: int, *, forced: bool) -> TokenRecord:
        """Refresh under the record's lock, unless another process has just done it."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._keeper.lock())
            record = self._reload()
            usable = self._usable(record, floor)
            if usable is not None:
                return usable
            self._require(record, forced=forced)
            stack.enter_context(self._keeper.reserve(record))
            try:
                grant = self._refresher.refresh(
                    record.refresh_token if record else None, record.discovered if record else {}
                )
            except SignInRequired as error:
                return self._after_refusal(record, floor, error)
            now = self._clock()
            renewed = (
                record.renewed(grant, now, floor) if record else from_grant(grant, now, floor + 1)
            )
            if record is not None and self._keeper.load() is None:
                return renewed  # signed out meanwhile, so nothing is kept
            self._keeper.save(renewed)
            if self._keeper.unsaved is not None:
                hold(self, self._keeper)
            self._trouble = None
            log_refreshed(self._name, renewed.generation, rejected=floor > 0)
            return self._remember(renewed)

    def _require(self, record: TokenRecord | None, *, forced: bool) -> None:
        if not self._refresher.durable:
            return  # an app proves itself anew each time
        if record is None:
            raise self._sign_in(f"{self._name} is not signed in.")
        if record.sign_in_required and not forced:
            raise self._sign_in(record.sign_in_required)
        if not record.refresh_token:
            raise self._sign_in(
                f"The token of {self._name} has ended, and there is no refresh token to renew it."
            )

    def _sign_in(self, message: str) -> SignInRequired:
        remedy = f"Run `mailoauth login {self._name}`."
        return SignInRequired(message, remedy=remedy, account=self.account)

    def _after_refusal(
        self, record: TokenRecord | None, floor: int, error: SignInRequired
    ) -> TokenRecord:
        """Mark the record, unless somebody signed in anew while the old one was being refused."""
        if record is not None:
            current = self._keeper.mark_sign_in_required(record, error.message)
            usable = self._usable(self._remember(current), floor)
            if usable is not None:
                return usable
        raise error


_caches: weakref.WeakSet[TokenCache] = weakref.WeakSet()


def _after_fork() -> None:
    for cache in list(_caches):
        cache._start_afresh()  # noqa: SLF001 - our own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
