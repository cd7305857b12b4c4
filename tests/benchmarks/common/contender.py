"""Who takes part in a benchmark."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.common.job import Job


@dataclass(frozen=True, slots=True)
class Contender:
    """A module with a function for every work, and the package that it needs."""

    title: str
    module: str
    package: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> str:
        """Why it cannot take part, "" if it can."""
        if self.package and find_spec(self.package) is None:
            return f"{self.package} is not installed"
        return ""

    def command(self, table: str, name: str, work: str) -> list[str]:
        """Return the worker's command; ``table`` is the module that has the contenders."""
        return [sys.executable, "-m", "tests.benchmarks.common.worker", table, name, work]

    def told(self, job: Job) -> str:
        """Return what the worker reads on its standard input."""
        return job.to_json()
