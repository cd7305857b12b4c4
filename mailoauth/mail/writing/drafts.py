"""A message under construction: a tree of parts, written as octets or as an EmailMessage."""

from __future__ import annotations

import binascii
import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mailoauth.mail.writing.octets import drawn_boundary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

#: Name and folded value of a header.
Field = tuple[str, str]

_TEXT_LINE = 78  # octets; RFC 5322 section 2.1.1 would have no longer lines
_ASCII = bytes(range(128))
_LINE = 76  # characters of base64: 57 octets
_CHUNK = 57 * 1024


class Draft:
    """A part: its headers, and either its content or the parts that it is made of."""

    __slots__ = ("boundary", "content", "encoding", "fields", "parts")

    def __init__(
        self, fields: list[Field], content: bytes = b"", encoding: str = "", parts: Any = ()
    ) -> None:
        self.fields = fields
        self.content = content
        #: "base64" where the content is still to be encoded.
        self.encoding = encoding
        self.parts: list[Draft] = list(parts)
        self.boundary = ""


def text_part(subtype: str, octets: bytes) -> Draft:
    """Return a part with a text in UTF-8; it ends with a line end, and has no other ends than LF."""
    if b"\r" in octets:
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not octets.endswith(b"\n"):
        octets += b"\n"
    encoding, content, pending = "7bit", octets, ""
    if not octets.isascii() or b"\0" in octets or max(map(len, octets.split(b"\n"))) > _TEXT_LINE:
        strange = len(octets.translate(None, delete=_ASCII))
        if strange * 6 > len(octets):  # what base64 adds is a third, quoted-printable two thirds
            encoding = pending = "base64"
        else:
            encoding, content = "quoted-printable", binascii.b2a_qp(octets)
    fields = [
        ("Content-Type", f'text/{subtype}; charset="utf-8"'),
        ("Content-Transfer-Encoding", encoding),
    ]
    return Draft(fields, content, pending)


def multipart(subtype: str, parts: list[Draft]) -> Draft:
    """Return a part made of parts."""
    whole = Draft([], parts=parts)
    whole.boundary = drawn_boundary()
    whole.fields = [("Content-Type", f'multipart/{subtype}; boundary="{whole.boundary}"')]
    return whole


def as_octets(draft: Draft) -> bytes:
    """Write a message as it goes over the line."""
    out = BytesIO()  # what is large in it is there once, and not copied at the end
    _write(draft, out)
    return out.getvalue()


def as_email(draft: Draft) -> EmailMessage:
    """Return a message as the standard library's parser would give it of the octets."""
    from email.message import EmailMessage  # noqa: PLC0415 - slow to import, not for all

    from mailoauth.mail.writing.serial import POLICY  # noqa: PLC0415

    message = EmailMessage(policy=POLICY)
    for name, value in draft.fields:
        message.set_raw(name, value)
    if draft.parts:
        message.set_payload([as_email(part) for part in draft.parts])
    elif dict(draft.fields).get("Content-Type") == "message/rfc822":
        from email import message_from_bytes  # noqa: PLC0415

        message.set_payload([message_from_bytes(draft.content, policy=POLICY)])
    else:
        out = BytesIO()
        _write_content(draft, out)
        message.set_payload(str(out.getbuffer(), "ascii"))
    return message


def base64_lines(content: bytes, line_end: bytes = b"\r\n") -> Iterator[bytes]:
    """Encode a content piece by piece, in lines of 76 characters (RFC 2045 section 6.8)."""
    with memoryview(content) as whole:
        for start in range(0, len(whole), _CHUNK):
            encoded = binascii.b2a_base64(whole[start : start + _CHUNK], newline=False)
            # Twice as fast as slices: what takes long in a large mail is this cutting.
            count, rest = divmod(len(encoded), _LINE)
            lines = struct.unpack(f"{f'{_LINE}s' * count}{rest}s", encoded)
            yield line_end.join(lines if not rest else (*lines, b""))


def _write(draft: Draft, out: BytesIO) -> None:
    head = "".join([f"{name}: {value}\r\n" for name, value in draft.fields])
    out.write(f"{head}\r\n".encode())
    if not draft.parts:
        _write_content(draft, out, b"\r\n")
        return
    delimiter = f"--{draft.boundary}"
    for part in draft.parts:
        out.write(f"{delimiter}\r\n".encode())
        _write(part, out)
        out.write(b"\r\n")
    out.write(f"{delimiter}--\r\n".encode())


def _write_content(draft: Draft, out: BytesIO, line_end: bytes = b"\n") -> None:
    if draft.encoding == "base64":
        out.writelines(base64_lines(draft.content, line_end))
    else:
        content = draft.content.replace(b"\r\n", b"\n")
        out.write(content if line_end == b"\n" else content.replace(b"\n", line_end))
