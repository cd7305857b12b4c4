"""One piece of work in a process of its own: ``worker TABLE CONTENDER WORK``, the job on stdin."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib import import_module

from tests.benchmarks.common import memory
from tests.benchmarks.common.job import Job


def main(table: str, name: str, work: str) -> None:
    """Do it and print one line of JSON."""
    job = Job.from_json(sys.stdin.read())
    contender = import_module(table).CONTENDERS[name]
    run = getattr(import_module(contender.module), work)
    start = time.perf_counter()
    done = run(job, **contender.options)
    seconds = time.perf_counter() - start
    print(json.dumps({"done": asdict(done), "seconds": seconds, "peak": memory.peak()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
