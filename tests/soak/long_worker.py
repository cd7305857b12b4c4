"""One process that refreshes many times, and measures itself."""

from __future__ import annotations

import gc
import json
import sys
import threading
import tracemalloc
from pathlib import Path

from tests.soak.processes import read_account, say
from tests.soak.scale import source_of

#: Where the open files of a process are listed, on Linux and macOS.
DESCRIPTORS = Path("/dev/fd")
#: The memory of a process in pages, on Linux: what OpenSSL holds is seen nowhere else.
MEMORY = Path("/proc/self/statm")


def measure() -> dict[str, int]:
    """Return what this process holds; -1 where it cannot be known."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)  # the last refresh has been answered, its thread may be ending
    gc.collect()
    resident = int(MEMORY.read_text().split()[1]) if MEMORY.exists() else -1
    return {
        "threads": threading.active_count(),
        "files": len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.is_dir() else -1,
        "resident pages": resident,
        "bytes": tracemalloc.get_traced_memory()[0],
        "objects": len(gc.get_objects()),
    }


def main() -> None:
    stretches, stretch = map(int, sys.argv[1:3])
    source = source_of(read_account())
    token = source.get()
    tracemalloc.start()
    for _ in range(stretches):
        for _ in range(stretch):
            token = source.get(rejected=token)
        say(json.dumps(measure()))


if __name__ == "__main__":
    main()
