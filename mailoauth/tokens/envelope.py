r"""What a sealed record looks like: one line that says which key it needs, then AES-256-GCM.

::

    {"mailoauth": 1, "key": "<fingerprint>", "source": "key file /etc/mailoauth/key"}\n
    12 bytes nonce, the ciphertext, 16 bytes tag

The line is not secret. It is authenticated together with the record's name, so
that no record can be passed off as another one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from mailoauth.errors import StoreError

#: What is written; anything higher comes from a later mailoauth and is left alone.
FORMAT = 1
NONCE_SIZE = 12
TAG_SIZE = 16

_LONGEST_LINE = 65_536
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed record, taken apart but not yet opened: nothing in it is proved."""

    line: bytes
    fingerprint: str
    source: str
    nonce: bytes
    sealed: bytes


def header_line(fingerprint: str, source: str) -> bytes:
    """Return the line that goes before the nonce."""
    return json.dumps({"mailoauth": FORMAT, "key": fingerprint, "source": source}).encode() + b"\n"


def associated_data(record_key: str, line: bytes) -> bytes:
    """Return what is authenticated beside the ciphertext."""
    return b"mailoauth record\0" + record_key.encode() + b"\0" + line


def parse(record_key: str, data: bytes) -> Envelope:
    """Take a sealed record apart; ``StoreError`` where it is damaged or of a later format."""
    end = data.find(b"\n", 0, _LONGEST_LINE) + 1
    header = _header(data[:end])
    if is_newer(data):
        raise StoreError(
            f"The token record {short(record_key)} was written by a later version of mailoauth "
            f"(format {_number(header)}, this one knows {FORMAT}).",
            remedy="Update mailoauth. The record is left as it is.",
        )
    fingerprint, source = header.get("key"), header.get("source")
    if (
        _number(header) != FORMAT
        or not isinstance(fingerprint, str)
        or not _FINGERPRINT.fullmatch(fingerprint)
        or not isinstance(source, str)
        or len(data) < end + NONCE_SIZE + TAG_SIZE
    ):
        raise damaged(record_key)
    nonce, sealed = data[end : end + NONCE_SIZE], data[end + NONCE_SIZE :]
    return Envelope(data[:end], fingerprint, _printable(source), nonce, sealed)


def is_newer(data: bytes) -> bool:
    """Whether a later mailoauth wrote this; such a record must not be overwritten."""
    end = data.find(b"\n", 0, _LONGEST_LINE) + 1
    return _number(_header(data[:end])) > FORMAT


def damaged(record_key: str) -> StoreError:
    """Return the error for a record that is not what was written."""
    return StoreError(
        f"The token record {short(record_key)} is damaged: it is not what mailoauth wrote.",
        remedy="Restore it from a backup, or sign in again with `mailoauth login`.",
    )


def short(record_key: str) -> str:
    """Return enough of a record's name to find its file."""
    return f"{record_key[:12]}..."


def _header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _number(header: dict[str, Any]) -> int:
    number = header.get("mailoauth")
    return number if type(number) is int else 0  # in Python True is an int too


def _printable(text: str) -> str:
    # It goes into messages before anything has been proved about it.
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
