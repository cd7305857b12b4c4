"""Modules that are imported when they are first used: most programs need few of the verbs."""

from __future__ import annotations

import importlib
from typing import Any


class Later:
    """Stands in for a module until something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self._name), name)
        setattr(self, name, value)
        return value
