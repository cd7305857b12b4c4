"""Commands under way on one connection: sent one behind the other, answered in any order.

RFC 9051 section 5.5 lets a client send a command before the answer to the last one has
come. Here that saves round trips, and lets the server work while the caller does.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final
from weakref import ref

from mailoauth.mail import answers

if TYPE_CHECKING:
    from weakref import ReferenceType

    from mailoauth.mail.commands import Command
    from mailoauth.mail.wire import SecureWire

_logger = logging.getLogger("mailoauth.mail")

_TAGGED: Final = re.compile(
    rb"(?P<tag>[A-Za-z0-9]+) (?P<kind>OK|NO|BAD)(?: (?P<text>.*))?\r\n", re.IGNORECASE
)


class Pipeline:
    """The commands that one connection has sent and whose end it has not seen."""

    def __init__(self, wire: SecureWire) -> None:
        self._wire = wire
        # Weak: what nobody waits for any more is read past, and not kept.
        self._waiting: dict[bytes, ReferenceType[Command]] = {}
        self._ending: set[bytes] = set()  # of those only the end is still to come

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._waiting)

    @property
    def owes(self) -> bool:
        """Whether more than the ends of commands is still to come."""
        return not self._waiting.keys() <= self._ending

    def send(self, command: Command, *pieces: bytes) -> None:
        """Send a command without waiting for its answer.

        After each piece but the last, which ends with the length of a literal, the
        server is waited for, as RFC 9051 section 4.3 has it.
        """
        tag = self._wire.new_tag()
        self._waiting[tag] = ref(command)
        if _logger.isEnabledFor(logging.DEBUG):
            # Arguments name folders, correspondents and subjects.
            words = pieces[0].split(b" ", 2)
            _logger.debug("> %s", b" ".join(words[: 1 + (words[0] == b"UID")]).decode("ascii"))
        self._wire.send(tag + b" " + pieces[0] + (b"" if len(pieces) > 1 else b"\r\n"))
        for number, piece in enumerate(pieces[1:], start=2):
            while not self._step():
                if command.done:
                    return
            self._wire.send(piece + (b"\r\n" if number == len(pieces) else b""))

    def finish(self, command: Command) -> None:
        """Wait for the end of a command; raises :class:`Refused`."""
        while not command.done:
            self._step()
        command.check()

    def advance(self) -> None:
        """Wait for one response, whichever command it belongs to; take the messages that came along."""
        self._step()
        while self._waiting and (pieces := self._wire.received_message()):
            self._take(pieces)

    def drain(self) -> None:
        """Wait for the end of everything that was sent."""
        while self._waiting:
            self._step()

    def _step(self) -> bool:
        """Read one response and hand it over; True if it asks for the rest of a command."""
        return self._take(self._wire.next_response())

    def _take(self, pieces: list[bytes]) -> bool:
        line = pieces[0]
        if line.startswith(b"* "):
            self._untagged(pieces)
            return False
        if line.startswith(b"+"):
            return True
        self._tagged(line)
        return False

    def _untagged(self, pieces: list[bytes]) -> None:
        if pieces[0][2:5].upper() == b"BYE":
            raise self._wire.goodbye(pieces[0])
        items = answers.parse_fetch(pieces)
        for tag, waiting in self._waiting.items():
            command = waiting()
            if command is None:
                continue
            if command.take(pieces) if items is None else command.take_items(items):
                if command.over:
                    self._ending.add(tag)
                return

    def _tagged(self, line: bytes) -> None:
        found = _TAGGED.fullmatch(line)
        waiting = self._waiting.pop(found["tag"], None) if found else None
        if found is None or waiting is None:
            raise self._wire.abort("unexpected response: a tag that was not sent")
        self._ending.discard(found["tag"])
        command = waiting()
        text = (found["text"] or b"").decode("utf-8", "replace")
        # Not its text: on a line that is out of step that is somebody's mail.
        _logger.debug("< %s", found["kind"].decode("ascii"))
        if command is not None:
            command.end(found["kind"].upper(), text)
