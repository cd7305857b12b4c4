"""Commands under way: what each wants of the server's answers; no I/O."""

from __future__ import annotations

import re
from array import array
from collections import deque
from operator import le
from typing import TYPE_CHECKING, Final

from mailoauth.mail import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailoauth.mail.answers import Items

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
