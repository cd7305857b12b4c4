"""Which messages are asked for together: batches by number and by octets; no I/O."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from mailoauth.mail.commands import Fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What an answer must have to be one: the item's name as ``parse_fetch`` gives it.
WHOLE: Final = "BODY[]"
HEADER: Final = "BODY[HEADER]"
SIZE: Final = "size"

#: How many messages, and roughly how many octets of them, are asked for at a time.
_MESSAGES: Final = 500
_OCTETS: Final = 4 * 1024 * 1024
#: The same where each is marked, since a kill repeats a batch of marks at most.
_MARKED: Final = 50
#: Of how many messages the sizes are asked for at a time.
_SIZED: Final = 500

#: What FETCH is asked for, without marking anything (RFC 9051 section 6.4.5).
_ASKED: Final = {
    WHOLE: b"UID FLAGS INTERNALDATE BODY.PEEK[]",
    HEADER: b"UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]",
    SIZE: b"UID RFC822.SIZE",
}


class Batches:
    """The UIDs that are still to be asked for, cut into batches by the server's word on sizes.

    The first message is asked for by itself: whoever wants just one is not sent more. The
    sizes are estimates at some servers (Outlook), so nothing but the batches depends on them.
    """

    def __init__(self, *, headers_only: bool, marked: bool, newest_first: bool) -> None:
        self._headers_only = headers_only
        self._most = _MARKED if marked else _MESSAGES
        self._newest_first = newest_first
        # The last is asked for first; compact, for there may be a hundred thousand.
        self._uids = array("Q")
        self._sizes: dict[int, int] = {}
        self._begun = marked  # a STORE for the first alone would be one too many
        self._one_by_one = 0

    def __len__(self) -> int:
        return len(self._uids)

    def put_back(self, uids: Sequence[int], *, one_by_one: bool = False) -> None:
        """Ask for these before all others, each by itself if ``one_by_one``."""
        self._uids.extend(reversed(uids))
        if one_by_one:
            self._one_by_one = len(uids)

    def learn(self, uid: int, size: int) -> None:
        """Take the server's word on a size, in octets."""
        self._sizes[uid] = size

    def learn_the_rest(self, uids: Iterable[int], *, gone: bool) -> None:
        """Give those that the server did not speak of a size: none, or else a batch of their own."""
        for uid in uids:
            self._sizes.setdefault(uid, 0 if gone else _OCTETS)

    def next(self) -> Fetch | None:
        """Return what is to be asked for next: messages, or the sizes of the next ones."""
        if not self._uids:
            return None
        key = HEADER if self._headers_only else WHOLE
        if self._one_by_one:
            self._one_by_one -= 1
            return self._messages(1, key)
        if self._headers_only:
            return self._messages(self._most, key)
        if not self._begun or len(self._uids) == 1:
            self._begun = True
            return self._messages(1, key)
        if self._uids[-1] in self._sizes:
            return self._messages(self._fitting(), key)
        return Fetch(self._uids[-_SIZED:], _ASKED[SIZE], SIZE)

    def _messages(self, count: int, key: str) -> Fetch:
        uids = [self._uids.pop() for _ in range(min(count, len(self._uids)))]
        for uid in uids:
            self._sizes.pop(uid, None)
        return Fetch(uids, _ASKED[key], key, backwards=self._newest_first)

    def _fitting(self) -> int:
        """Say how many messages make a batch; one at least."""
        size = 0
        for count, uid in enumerate(reversed(self._uids)):
            size += self._sizes.get(uid, _OCTETS)
            if count and (count == self._most or size > _OCTETS):
                return count
        return len(self._uids)
