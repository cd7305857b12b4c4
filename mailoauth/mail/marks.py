"""Marks that are put off: messages that a loop has finished with, to be marked in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Batch(NamedTuple):
    """Messages of one folder that are to be marked together."""

    folder: str
    validity: int
    uids: list[int]


class Marks:
    """The messages that wait to be marked as seen, by folder and its UIDVALIDITY."""

    def __init__(self) -> None:
        self._uids: dict[tuple[str, int], list[int]] = {}

    @property
    def waiting(self) -> int:
        """How many there are."""
        return sum(len(uids) for uids in self._uids.values())

    def add(self, folder: str, validity: int, uid: int) -> None:
        """Put one off."""
        self._uids.setdefault((folder, validity), []).append(uid)

    def discard(self, folder: str, uids: Iterable[int]) -> None:
        """Drop messages that are being marked or unmarked by hand."""
        by_hand = set(uids)
        for (where, _), waiting in self._uids.items():
            if where == folder:
                waiting[:] = [uid for uid in waiting if uid not in by_hand]

    def take(self) -> Batch | None:
        """Return the next folder's messages, None when nothing waits."""
        for key in list(self._uids):
            uids = self._uids.pop(key)
            if uids:
                return Batch(*key, uids)
        return None

    def put_back(self, batch: Batch) -> None:
        """Keep a batch that could not be written."""
        for uid in batch.uids:
            self.add(batch.folder, batch.validity, uid)
