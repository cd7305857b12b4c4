"""What a worker of the reading benchmark is told, and what it reports."""

from __future__ import annotations

from tests.benchmarks.common.job import Done, Job

__all__ = ["SAVED", "Done", "Job"]

#: What a saved message is called in the job's folder.
SAVED = "saved.eml"
