"""The headers of a message as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Default = TypeVar("_Default")


class Headers:
    """The headers of a message: names in any case, values as decoded text on one line."""

    __slots__ = ("_first", "_items")

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        self._items = tuple(items)
        self._first: dict[str, str] = {}
        for name, value in self._items:
            self._first.setdefault(name.lower(), value)

    def __repr__(self) -> str:
        return f"<Headers: {len(self._items)} fields>"

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: _Default) -> str | _Default: ...
    def get(self, name: str, default: _Default | None = None) -> str | _Default | None:
        """Return the first header of that name."""
        return self._first.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """Return every header of that name, in order."""
        return [value for key, value in self._items if key.lower() == name.lower()]

    def items(self) -> list[tuple[str, str]]:
        """Return names and values in order; a name may come more than once."""
        return list(self._items)

    def keys(self) -> list[str]:
        """Return the names in order as they were written; a name may come more than once."""
        return [name for name, _ in self._items]
