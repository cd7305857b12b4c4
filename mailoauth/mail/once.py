"""Properties that are worked out at their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functools import cached_property as once
else:

    class once:  # noqa: N801 - it is used like the property that it stands in for
        """``functools.cached_property`` without the lock that it takes until Python 3.12.

        Two threads may both work a value out; it is the same one.
        """

        def __init__(self, work):  # noqa: ANN001, ANN204 - mypy sees cached_property
            self._work = work
            self._name = work.__name__
            self.__doc__ = work.__doc__

        def __get__(self, instance, owner=None):  # noqa: ANN001, ANN204
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._work(instance)
            return value


__all__ = ["once"]
