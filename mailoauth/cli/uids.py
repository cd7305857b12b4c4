"""UidSet: which messages are dealt with, in little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BITS: Final = 10
_BLOCK: Final = 1 << _BLOCK_BITS


class UidSet:
    """Message numbers of one folder, a bit each: 100,000 that follow each other take 20 kB."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}
        self._count = 0

    def __contains__(self, uid: int) -> bool:
        return bool(self._blocks.get(uid >> _BLOCK_BITS, 0) >> (uid % _BLOCK) & 1)

    def __len__(self) -> int:
        return self._count

    def add(self, uid: int) -> None:
        """Take one in."""
        if uid not in self:
            self._count += 1
            number = uid >> _BLOCK_BITS
            self._blocks[number] = self._blocks.get(number, 0) | 1 << (uid % _BLOCK)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the last of each unbroken run, in order."""
        first = last = -1
        for uid in self._numbers():
            if uid != last + 1:
                if last >= 0:
                    yield first, last
                first = uid
            last = uid
        if last >= 0:
            yield first, last

    def sequence(self, characters: int) -> str:
        """Write the longest runs as IMAP does ("1:3,7"), as many as fit; "" if none."""
        longest = sorted(self.runs(), key=lambda run: run[0] - run[1])
        written: list[str] = []
        for first, last in longest:
            text = f"{first}:{last}" if first < last else f"{first}"
            characters -= len(text) + 1
            if characters < 0:
                break
            written.append(text)
        return ",".join(written)

    def _numbers(self) -> Iterator[int]:
        for number in sorted(self._blocks):
            bits = self._blocks[number]
            base = number << _BLOCK_BITS
            while bits:
                lowest = bits & -bits
                yield base + lowest.bit_length() - 1
                bits ^= lowest
