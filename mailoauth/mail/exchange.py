"""A SASL exchange as IMAP carries it: in base64, the first answer early or late (RFC 4959); pure."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Exchange:
    """The client's side of a SASL exchange, in base64."""

    def __init__(self, mechanism: Callable[[bytes], bytes | None], first: bytes) -> None:
        self._mechanism = mechanism
        self._first = first

    def answer(self, challenge: bytes) -> bytes:
        """Give the token once if it is still to be given, else what the mechanism answers."""
        first, self._first = self._first, b""
        if first and not challenge.strip():
            return first
        try:
            decoded = binascii.a2b_base64(challenge)
        except binascii.Error:
            decoded = challenge  # a refusal, however it is written
        return base64.b64encode(self._mechanism(decoded) or b"")
