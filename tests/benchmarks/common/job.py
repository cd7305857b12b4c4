"""What a worker process is told, and what it reports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Job:
    """Where to sign in as whom, with TLS.

    ``folder`` is an empty one for what is saved, ``count`` how many letters to write.
    """

    port: int
    user: str
    token: str = field(repr=False)
    ca_file: str
    folder: str
    count: int

    def to_json(self) -> str:
        """Write it for a worker's standard input: the token is nobody else's business."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read it in the worker."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Done:
    """What a contender has done: for how many messages, and a checksum of what came out.

    ``proof`` is "" where nothing was decoded; ``octets`` is what such a contender read.
    ``extra`` is memory in KiB beyond what the process had before the work.
    """

    count: int
    proof: str = ""
    octets: int = 0
    extra: int | None = None
    note: str = ""
