"""Writes messages of which no part is out of the ordinary: fast, and each octet once."""

from __future__ import annotations

import binascii
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mailoauth.mail.writing.octets import crlf, drawn_boundary, long_line

if TYPE_CHECKING:
    from email.message import Message
    from email.policy import Policy

_BOUNDARY = re.compile(
    r'\s*multipart/[\w.+-]+\s*;(?:[^"]*;)?\s*boundary=(?:"([^"\\\r\n]+)"|([\w.+=-]+)(?=[\s;]|\Z))',
    re.IGNORECASE,
)
_UNBOUNDED = re.compile(r"\s*multipart/[\w.+-]+\s*")
_TEXT = re.compile(r"\s*text/", re.IGNORECASE)
_TYPE = "content-type"
_ENCODING = "Content-Transfer-Encoding"
_SIGNED = re.compile(r"\s*multipart/signed", re.IGNORECASE)  # nothing in it may be changed
_UNENCODED = frozenset({"", "7bit", "8bit", "binary"})
_CHUNK = 1 << 20
_DEEPEST = 50
_NOTHING: frozenset[str] = frozenset()


class _Unusual(Exception):
    """The standard library has to write this one."""


def written_plainly(
    message: Message, policy: Policy, left_out: frozenset[str] = _NOTHING
) -> bytes | None:
    """Return a message as octets, without the headers of these names; None if it is not plain."""
    out = BytesIO()  # its value is not copied at the end
    try:
        _write(message, policy, out, left_out, _DEEPEST)
    except _Unusual:
        return None
    return out.getvalue()


def _write(
    message: Message, policy: Policy, out: BytesIO, left_out: frozenset[str], depth: int
) -> None:
    fields = [item for item in message.raw_items() if item[0].lower() not in left_out]
    kind = next((str(value) for name, value in fields if name.lower() == _TYPE), "")
    parts: Any = message.get_payload()
    if not message.is_multipart():
        _write_leaf(message, fields, kind, policy, out)
        return
    if message.preamble or message.epilogue or not parts or not depth or _SIGNED.match(kind):
        raise _Unusual
    if _UNBOUNDED.fullmatch(kind):  # the standard library draws one as late as this, too
        kind = f'{kind.strip()}; boundary="{drawn_boundary()}"'
        fields = [(name, kind if name.lower() == _TYPE else value) for name, value in fields]
    boundary = _BOUNDARY.match(kind)
    if boundary is None:
        raise _Unusual
    delimiter = f"--{boundary[1] or boundary[2]}".encode()
    out.write(b"".join([policy.fold_binary(name, value) for name, value in fields]) + b"\r\n")
    for part in parts:
        out.write(delimiter + b"\r\n")
        _write(part, policy, out, _NOTHING, depth - 1)
        out.write(b"\r\n")
    out.write(delimiter + b"--\r\n")


def _write_leaf(
    message: Message, fields: list[tuple[str, str]], kind: str, policy: Policy, out: BytesIO
) -> None:
    payload = message.get_payload() or ""
    if not isinstance(payload, str) or not payload.isascii():
        raise _Unusual
    encoded = None
    if _is_text(kind) and long_line(payload.encode()):
        encoded = _encoded(fields, payload)
    if encoded is not None:
        fields, content = encoded
    head = b"".join([policy.fold_binary(name, value) for name, value in fields])
    out.write(head + b"\r\n")
    if encoded is not None:
        out.write(crlf(content))
    elif "\r" in payload:
        out.write(crlf(payload.encode()))
    else:
        chunks = (payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK))
        out.writelines(chunk.encode().replace(b"\n", b"\r\n") for chunk in chunks)


def _is_text(kind: str) -> bool:
    return not kind or bool(_TEXT.match(kind))


def _encoded(
    fields: list[tuple[str, str]], payload: str
) -> tuple[list[tuple[str, str]], bytes] | None:
    """Encode a text with lines that no server takes; None if it is encoded already."""
    said = [str(value) for name, value in fields if name.lower() == _ENCODING.lower()]
    if said and said[0].strip().lower() not in _UNENCODED:
        return None
    kept = [item for item in fields if item[0].lower() != _ENCODING.lower()]
    octets = payload.encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [*kept, (_ENCODING, "quoted-printable")], binascii.b2a_qp(octets)
