"""Trouble at random, the same for the same seed as long as the same commands come."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from mailoauth.emulator.faults import Cut, Reply
from mailoauth.emulator.limits import TOO_FAST, TOO_MANY_CONNECTIONS

if TYPE_CHECKING:
    from mailoauth.emulator.faults import Action

_UNAVAILABLE = "421 4.3.2 Service not available"
_PROXY = "451 4.7.0 Temporary server error. Please try again later. PRX4"

#: What a server may say at a command when it is not the client's fault; elsewhere 421 alone.
_REPLIES = {
    "AUTH": (_UNAVAILABLE, TOO_MANY_CONNECTIONS, _PROXY),
    "MAIL": (_UNAVAILABLE, TOO_MANY_CONNECTIONS, _PROXY),
    "RCPT": (_UNAVAILABLE, _PROXY),
    "DATA": (_UNAVAILABLE, _PROXY),
    "BDAT": (_UNAVAILABLE, _PROXY),
    ".": (_UNAVAILABLE, TOO_FAST, _PROXY),
}


class Odds(NamedTuple):
    """How likely each trouble is at each place where it can happen, from 0 to 1."""

    cut_before: float
    cut_after: float
    cut_in_reply: float
    cut_in_message: float
    refuse: float


class Disturbance:
    """The dice; ``happened`` has every place and what went wrong there."""

    def __init__(self, seed: int, odds: Odds, *, backoff: float | None) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - trouble, not secrets
        self._odds = odds
        self._hint = (
            "" if backoff is None else f" Suggested Backoff Time: {backoff * 1000:.0f} milliseconds"
        )
        self.happened: list[tuple[str, Action]] = []

    def action(self, place: str) -> Action | None:
        """Return what goes wrong at this command, at the greeting, or in a message, if anything."""
        action = self._in_message() if place == "MESSAGE" else self._at(place)
        if action is not None:
            self.happened.append((place, action))
        return action

    def _in_message(self) -> Action | None:
        return Cut() if self._dice.random() < self._odds.cut_in_message else None

    def _at(self, place: str) -> Action | None:
        chance, odds = self._dice.random(), self._odds
        text = self._dice.choice(_REPLIES.get(place, (_UNAVAILABLE,))) + self._hint
        for likelihood, action in (
            (odds.cut_before, Cut()),
            (odds.cut_after, Cut(carried_out=True)),
            (odds.cut_in_reply, Cut(in_reply=True)),
            (odds.refuse, Reply(text)),
        ):
            if chance < likelihood:
                return action
            chance -= likelihood
        return None
