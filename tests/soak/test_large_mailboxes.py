"""A mailbox of 100,000 messages is read in the memory that one of 1,000 takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.reading.contenders.table import OURS
from tests.benchmarks.reading.lab import Lab
from tests.benchmarks.reading.works import Sizes, works
from tests.real.servers import running
from tests.soak.scale import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.soak,
    pytest.mark.real,
    pytest.mark.xdist_group("benchmarks"),
    pytest.mark.timeout(600),
]

SMALL = 1_000
LARGE = scaled(100_000, 10_000)
#: KiB: what the numbers of the messages themselves may take, and the answer to the SEARCH.
GROWTH = 8 * 1024


@pytest.fixture
def lab() -> Iterator[Lab]:
    with running() as servers, Lab(servers, Sizes(scale=(SMALL, LARGE))) as started:
        yield started


def test_memory_does_not_grow_with_the_mailbox(lab: Lab) -> None:
    runs = {}
    for work in works(Sizes(scale=(SMALL, LARGE)))["scale"]:
        lab.prepare(work)
        runs[work.count] = lab.run(OURS, work)
    for count, run in runs.items():
        print(
            f"{count:,} messages: {run.work / count * 1e6:.0f} us each, {run.peak / 1024:.0f} MiB"
        )
    assert runs[LARGE].done.count == LARGE
    assert runs[LARGE].peak - runs[SMALL].peak < GROWTH
