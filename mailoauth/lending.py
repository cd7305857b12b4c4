"""How a session lends the verbs of its mailbox and its mailer, signature and help kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def lent(
    verb: Callable[Concatenate[Any, P], T], *, by: str = "mailbox"
) -> Callable[Concatenate[Any, P], T]:
    """Make a verb of a session's mailbox or mailer one of the session, signature and help kept."""

    @functools.wraps(verb)
    def call(self: Any, /, *args: P.args, **options: P.kwargs) -> T:
        return verb(getattr(self, by), *args, **options)

    call.__qualname__ = verb.__name__
    return call


class LentLater:
    """A verb whose lender is imported when it is first looked at: sending costs readers nothing."""

    def __init__(self, lender: Callable[[], type[Any]], *, by: str) -> None:
        self._lender = lender
        self._by = by
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        verb = lent(getattr(self._lender(), self._name), by=self._by)
        setattr(owner, self._name, verb)
        return getattr(owner if instance is None else instance, self._name)
