"""Commands under way on one connection: sent one behind the other, answered in any order.

RFC 9051 section 5.5 lets a client send a command before the answer to the last one has
come. Here that saves round trips, and lets the server work while the caller does.
"""

from __future__ import annotations

import logging
import re
from array import array
from collections import deque
from operator import le
from typing import TYPE_CHECKING, Final
from weakref import ref

from mailoauth.mail import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from weakref import ReferenceType

    from mailoauth.mail.answers import Items
    from mailoauth.mail.wire import SecureWire

_logger = logging.getLogger("mailoauth.mail")

_TAGGED: Final = re.compile(
    rb"(?P<tag>[A-Za-z0-9]+) (?P<kind>OK|NO|BAD)(?: (?P<text>.*))?\r\n", re.IGNORECASE
)
_READ_ONLY: Final = re.compile(r"\s*\[READ-ONLY\]", re.IGNORECASE)


class Refused(Exception):
    """A tagged NO or BAD; ``reply`` is what the server said, with BAD in front if it was one."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class Command:
    """One command under way; this one wants nothing but its end."""

    def __init__(self) -> None:
        self.done = False
        self._refusal: str | None = None

    def take(self, pieces: list[bytes]) -> bool:
        """Be offered an untagged response; True if it was meant for this command."""
        del pieces
        return False

    def take_items(self, items: Items) -> bool:
        """Be offered what an untagged FETCH says; True if it was meant for this command."""
        del items
        return False

    def end(self, kind: bytes, text: str) -> None:
        """Be told of the tagged response."""
        self.done = True
        if kind != b"OK":
            self._refusal = text if kind == b"NO" else f"BAD {text}"

    @property
    def over(self) -> bool:
        """Whether nothing but its end, if that, is still to come."""
        return self.done

    @property
    def refused(self) -> bool:
        """Whether the server answered NO or BAD."""
        return self._refusal is not None

    def check(self) -> None:
        """Raise :class:`Refused` for a NO or a BAD."""
        if self._refusal is not None:
            raise Refused(self._refusal)


class Select(Command):
    """A SELECT or EXAMINE."""

    def __init__(self) -> None:
        super().__init__()
        self.validity = 0
        self.exists = 0
        self.permanent_flags: tuple[str, ...] | None = None
        self.read_only = False

    def take(self, pieces: list[bytes]) -> bool:
        """Learn what the folder is like."""
        line = pieces[0]
        validity = answers.uid_validity(line)
        if validity is not None:
            self.validity = validity
        self.exists = self.exists if (count := answers.exists(line)) is None else count
        if (flags := answers.permanent_flags(line)) is not None:
            self.permanent_flags = flags
        return False

    def end(self, kind: bytes, text: str) -> None:
        """Learn whether the folder can be written to."""
        super().end(kind, text)
        self.read_only = _READ_ONLY.match(text) is not None


class Capabilities(Command):
    """A CAPABILITY."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def take(self, pieces: list[bytes]) -> bool:
        """Learn what the server can do."""
        words = pieces[0].decode("ascii", "replace").upper().split()
        if words[1:2] != ["CAPABILITY"]:
            return False
        self.names += words[2:]
        return True


class SearchCommand(Command):
    """A UID SEARCH; its answer may come in several lines, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._uids = array("Q")

    @property
    def uids(self) -> array[int]:
        """What was found, ascending, each once; compact, for it may be a hundred thousand."""
        if any(map(le, self._uids[1:], self._uids)):
            self._uids = array("Q", sorted(set(self._uids)))
        return self._uids

    def take(self, pieces: list[bytes]) -> bool:
        """Take the numbers that were found."""
        found = answers.parse_search(pieces)
        if found is None:
            return False
        self._uids += found
        return True


class Fetch(Command):
    """A UID FETCH: what came, by UID, until somebody takes it.

    ``what`` is asked for, and ``key`` is the item without which a response is no answer to
    that. Messages come in UID order, or against it if ``backwards``, however the server
    sends them; those that it does not send are gone.
    """

    def __init__(
        self, uids: Sequence[int], what: bytes, key: str, *, backwards: bool = False
    ) -> None:
        super().__init__()
        self.what = what
        self.key = key
        self.asked = frozenset(uids)
        self._missing = set(uids)
        self._left = deque(sorted(uids, reverse=backwards))
        self._items: dict[int, Items] = {}
        #: Those that the server spoke of without giving what was asked for.
        self.without_key: list[int] = []

    @property
    def uids(self) -> list[int]:
        """Those that were not taken yet, in order."""
        return list(self._left)

    @property
    def over(self) -> bool:
        """Whether nothing but its end, if that, is still to come: Dovecot sends it much later."""
        return self.done or not self._missing

    @property
    def ready(self) -> bool:
        """Whether the next message is here."""
        return bool(self._left) and self.key in self._items.get(self._left[0], ())

    def take_items(self, items: Items) -> bool:
        """Keep what was asked for and has not come yet.

        What comes once more, or of other messages, is for another command, or for none:
        Dovecot answers a second FETCH before it ends the first.
        """
        uid = items.get("uid")
        if uid not in self._missing:
            return False
        sections = [key for key in items if key.startswith("BODY")]
        if sections and sections != [self.key]:
            return False
        self._items.setdefault(uid, {}).update(items)
        if self.key in items:
            self._missing.remove(uid)
        return True

    def next(self) -> Items | None:
        """Take the next message that has come; None while it may still come, and at the end."""
        while self._left:
            if self.ready:
                return self._items.pop(self._left.popleft())
            if not self.done or self.refused:
                return None
            uid = self._left.popleft()
            if self._items.pop(uid, None) is not None:
                self.without_key.append(uid)
        return None


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
        """Wait for one response, whichever command it belongs to."""
        self._step()

    def drain(self) -> None:
        """Wait for the end of everything that was sent."""
        while self._waiting:
            self._step()

    def _step(self) -> bool:
        """Read one response and hand it over; True if it asks for the rest of a command."""
        pieces = self._wire.next_response()
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
