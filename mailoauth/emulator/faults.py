"""What goes wrong on purpose: switches that tests set and the servers ask."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailoauth.emulator.limits import TOO_MANY_CONNECTIONS

if TYPE_CHECKING:
    from mailoauth.emulator.disturbance import Disturbance
    from mailoauth.emulator.records import Protocol


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the line instead of answering; ``carried_out``: do what was asked before.

    ``in_reply`` (SMTP) does what was asked, and closes the line after half of the answer.
    """

    carried_out: bool = False
    in_reply: bool = False


@dataclass(frozen=True, slots=True)
class Silent:
    """Never answer, and keep the line open; ``carried_out``: do what was asked before."""

    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer this instead of doing what was asked.

    IMAP: what follows the tag ("NO Server Unavailable. 15"), or an untagged line
    ("* BYE Connection is closed. 13", which ends the session). SMTP: the whole
    reply, "421 ..." ends the session.
    """

    text: str


Action = Cut | Silent | Reply


def carries_out(action: Action | None) -> bool:
    """Return whether what was asked is done all the same; None: nothing goes wrong."""
    if isinstance(action, Cut):
        return action.carried_out or action.in_reply
    return action is None or (isinstance(action, Silent) and action.carried_out)


_READING = ("NAMESPACE", "LIST", "STATUS", "SELECT", "EXAMINE", "SEARCH", "FETCH")
_WRITING = ("STORE", "APPEND", "COPY", "MOVE", "EXPUNGE")
_THROTTLED_VERBS = {
    "imap": frozenset(("AUTHENTICATE", *_READING, *_WRITING)),
    "smtp": frozenset(("AUTH", "MAIL")),
}

_THROTTLED_REPLIES = {
    "imap": "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
    "smtp": TOO_MANY_CONNECTIONS,
}


@dataclass(slots=True)
class _Rule:
    protocol: Protocol
    verbs: frozenset[str]
    action: Action
    times: int


@dataclass(slots=True)
class EndAfterMessages:
    """A session that ends during a FETCH, once this many messages were sent."""

    remaining: int
    text: str
    expire: bool
    cut_in_literal: bool


@dataclass(slots=True)
class Faults:
    """The switches; they are set from the test's thread and read from the servers'.

    ``disturbance`` is trouble at random, on SMTP; it is the servers' thread that rolls.
    """

    disturbance: Disturbance | None = None
    _rules: list[_Rule] = field(default_factory=list)
    _refusals: dict[str, deque[str]] = field(default_factory=dict)
    _not_connected: dict[str, int | None] = field(default_factory=dict)
    _recipients: dict[str, str] = field(default_factory=dict)
    _end: EndAfterMessages | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, protocol: Protocol, verb: str, action: Action, times: int) -> None:
        """Let the next commands with this verb go wrong."""
        self._add(_Rule(protocol, frozenset((verb.upper(),)), action, times))

    def throttle(self, protocol: Protocol, reply: str | None, times: int) -> None:
        """Let the next commands that cost the server something be throttled."""
        action = Reply(reply or _THROTTLED_REPLIES[protocol])
        self._add(_Rule(protocol, _THROTTLED_VERBS[protocol], action, times))

    def action(self, protocol: Protocol, verb: str) -> Action | None:
        """Return what shall go wrong with this command, once; "UID FETCH" is a FETCH too."""
        names = {verb, verb.removeprefix("UID ")}
        with self._lock:
            for rule in self._rules:
                if rule.protocol == protocol and not names.isdisjoint(rule.verbs):
                    rule.times -= 1
                    if rule.times <= 0:
                        self._rules.remove(rule)
                    return rule.action
        disturbance = self.disturbance
        return disturbance.action(verb) if disturbance and protocol == "smtp" else None

    def refuse(self, protocol: Protocol, reply: str, times: int) -> None:
        """Refuse the next sign-ins, whatever their token."""
        with self._lock:
            self._refusals.setdefault(protocol, deque()).extend([reply] * times)

    def refusal(self, protocol: Protocol) -> str | None:
        """Return the reply to this sign-in if it is to be refused."""
        with self._lock:
            waiting = self._refusals.get(protocol)
            return waiting.popleft() if waiting else None

    def not_connected(self, mailbox: str, times: int | None) -> None:
        """Let the next sign-ins to the mailbox succeed for nothing; None: all of them."""
        with self._lock:
            self._not_connected[mailbox] = times

    def connects(self, mailbox: str) -> bool:
        """Return whether this sign-in reaches its mailbox."""
        with self._lock:
            if mailbox not in self._not_connected:
                return True
            times = self._not_connected[mailbox]
            if times is None:
                return False
            if times <= 1:
                del self._not_connected[mailbox]
            else:
                self._not_connected[mailbox] = times - 1
            return times <= 0

    def refuse_recipient(self, address: str, reply: str) -> None:
        """Refuse a recipient from now on."""
        with self._lock:
            self._recipients[address.casefold()] = reply

    def recipient_refusal(self, address: str) -> str | None:
        """Return the reply to a recipient that is to be refused."""
        return self._recipients.get(address.casefold())

    def end_after(self, end: EndAfterMessages) -> None:
        """End whichever session sends one message more than that."""
        with self._lock:
            self._end = end

    def ending(self) -> EndAfterMessages | None:
        """Return how the session ends if its last message was sent; asked for once."""
        with self._lock:
            end = self._end
            if end is None or end.remaining > 0:
                return None
            self._end = None
            return end

    def message_sent(self) -> None:
        """Count one message."""
        with self._lock:
            if self._end is not None:
                self._end.remaining -= 1

    def cuts_in_literal(self) -> bool:
        """Return whether the session that is to end does so in the middle of a message."""
        end = self._end
        return end is not None and end.cut_in_literal

    def _add(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)
