"""What `mailoauth send-many` says of messages that were not sent; each thing once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Remedies that are remembered; there are few kinds of errors.
_REMEMBERED: Final = 100


class Failures:
    """Tells failures by line; those in a row that have one text are told together."""

    def __init__(self) -> None:
        self._text = ""  # of the one before
        self._more: list[int] = []  # lines that have the same
        self._remedies: set[str] = set()

    def is_repeated(self, text: str) -> bool:
        """Say whether the failure before had this text."""
        return text == self._text

    def tell(self, line: int, key: str, text: str, remedy: str = "") -> None:
        """Tell that a message was not sent, now or with the next that is another."""
        if self.is_repeated(text):
            self._more.append(line)
            return
        self.flush()
        self._text = text
        screen.warn(f"mailoauth: line {line} ({key}) was not sent: {text}")
        self.tell_remedy(remedy)

    def tell_remedy(self, remedy: str) -> None:
        """Tell what to do, unless it was told."""
        if remedy and remedy not in self._remedies:
            if len(self._remedies) < _REMEMBERED:
                self._remedies.add(remedy)
            screen.warn(remedy)

    def flush(self) -> None:
        """Tell what was held back."""
        if self._more:
            were = "was" if len(self._more) == 1 else "were"
            screen.warn(f"mailoauth: {ranges(self._more)} {were} not sent, for the same reason.")
            self._more.clear()


def ranges(numbers: Iterable[int]) -> str:
    """Return line numbers as short as they can be named: "lines 2-14, 17"."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    listed = ", ".join(str(one) if one == last else f"{one}-{last}" for one, last in found)
    return f"line {listed}" if len(found) == 1 and found[0][0] == found[0][1] else f"lines {listed}"
