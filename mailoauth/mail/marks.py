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

    def add(self, folder: str, validity: int, uid: int) -> None:
        """Put one off."""
        self._uids.setdefault((folder, validity), []).append(uid)

    def waiting(self, folder: str, validity: int, uids: Iterable[int]) -> set[int]:
        """Return those of these UIDs that wait to be marked."""
        return set(uids).intersection(self._uids.get((folder, validity), ()))

    def discard(self, folder: str, validity: int, uids: Iterable[int]) -> None:
        """Drop messages that are being marked or unmarked by hand."""
        by_hand = set(uids)
        waiting = self._uids.get((folder, validity), [])
        waiting[:] = [uid for uid in waiting if uid not in by_hand]

    def folders(self) -> list[str]:
        """Return where messages wait."""
        return list(dict.fromkeys(folder for folder, _ in self._uids))

    def take(self, folder: str, validity: int | None = None) -> Batch | None:
        """Return a folder's messages, of one validity where that is given; None if none wait."""
        for key in list(self._uids):
            if key[0] == folder and validity in {None, key[1]}:
                uids = self._uids.pop(key)
                if uids:
                    return Batch(*key, uids)
        return None

    def put_back(self, batch: Batch) -> None:
        """Keep a batch that could not be written."""
        waiting = self._uids.setdefault((batch.folder, batch.validity), [])
        waiting[:0] = batch.uids
