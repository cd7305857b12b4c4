"""A checksum of what lies in the sink, the same however a library has encoded it."""

from __future__ import annotations

import zlib
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def proof_of(messages: Iterable[bytes]) -> str:
    """Read the messages with the standard library; their order does not matter."""
    total = 0
    for raw in messages:
        message = message_from_bytes(raw, policy=policy.default)
        read = [message["Subject"], message["From"], message["To"]]
        for kind in ("plain", "html"):
            part = message.get_body((kind,))
            assert part is not None
            read.append(part.get_content().replace("\r\n", "\n").strip())
        total += zlib.crc32("\0".join(map(str, read)).encode())
    return f"{total:x}"
