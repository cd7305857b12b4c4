"""A message as it came: a lazy view of its bytes that never raises."""

from __future__ import annotations

import email.parser
import email.policy
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.decoding import decode_date
from mailoauth.mail.headers import Headers
from mailoauth.mail.names import is_folder, make_folder, safe_name, save_new
from mailoauth.mail.view import View

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime
    from email.message import Message as StandardMessage

    from mailoauth.mail.parts import Part

__all__ = ["Address", "Attachment", "Headers", "Message"]


class Attachment:
    """A file in a message, decoded when its content is asked for."""

    __slots__ = ("_inline", "_part", "_size")

    def __init__(self, part: Part, *, inline: bool = False) -> None:
        self._part = part
        self._inline = inline
        self._size: int | None = None

    def __repr__(self) -> str:
        return f"<Attachment {self.content_type}>"  # a name may be private

    @property
    def filename(self) -> str:
        """Its name, safe to use in a folder; "" if the sender gave none."""
        return self._part.filename

    @property
    def content_type(self) -> str:
        """Its MIME type in lower case, as the sender says."""
        return self._part.content_type

    @property
    def content_id(self) -> str:
        """What HTML calls it after ``cid:``; "" if nothing."""
        return self._part.content_id

    @property
    def inline(self) -> bool:
        """Whether the HTML of the message shows it."""
        return self._inline

    @property
    def content(self) -> bytes:
        """The decoded bytes, decoded anew at each call; as much as could be of a damaged one."""
        return self._part.decode()[0]

    @property
    def size(self) -> int:
        """Octets of the decoded content."""
        if self._size is None:
            self._size = len(self.content)
        return self._size

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to a folder or a file and return the path of the file.

        A path that is a folder, ends with a separator, or is new and has no suffix
        is a folder; missing ones are made. The sender's name is made safe. Nothing
        is overwritten: a number is added to the name. Folders are made for this user
        only and so is the file, which appears whole or not at all. Raises ``OSError``.
        """
        target = Path(path)
        if is_folder(path):
            target /= safe_name(self.filename)
        make_folder(target.parent)
        return save_new(target, self.content)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the server says of a message."""

    uid: int
    folder: str
    flags: tuple[str, ...]
    internal_date: datetime | None
    size: int
    uid_validity: int = 0


class Message:
    """A message from a mailbox, or from anywhere by :meth:`from_bytes`.

    Nothing is decoded before it is asked for, and no property raises: of damaged
    mail there is what can be read, and :attr:`defects` says what is wrong.
    """

    __slots__ = ("_headers", "_origin", "_raw", "_view")

    def __init__(self, raw: bytes, origin: _Origin) -> None:
        self._raw = raw
        self._origin = origin
        self._view = View(raw)
        self._headers: Headers | None = None

    @classmethod
    def from_bytes(
        cls,
        raw: bytes,
        *,
        uid: int = 0,
        folder: str = "",
        flags: Iterable[str] = (),
        internal_date: datetime | None = None,
        size: int | None = None,
        uid_validity: int = 0,
    ) -> Message:
        """View bytes as a message.

        ``size`` is what the server says, for a message of which only the headers
        were fetched. A naive ``internal_date`` is taken as UTC.
        """
        if internal_date is not None and internal_date.tzinfo is None:
            internal_date = internal_date.replace(tzinfo=UTC)
        raw = bytes(raw)
        size = len(raw) if size is None else size
        return cls(raw, _Origin(uid, folder, tuple(flags), internal_date, size, uid_validity))

    def __repr__(self) -> str:
        # Correspondents and subjects are private, and reprs end up in logs.
        origin = self._origin
        return f"<Message uid={origin.uid} folder={origin.folder!r} size={origin.size}>"

    @property
    def uid(self) -> int:
        """Its number in its folder, 0 if it does not come from one."""
        return self._origin.uid

    @property
    def folder(self) -> str:
        """The folder that it was read from."""
        return self._origin.folder

    @property
    def uid_validity(self) -> int:
        """The UIDVALIDITY of that folder then (RFC 9051 section 2.3.1.1); else 0."""
        return self._origin.uid_validity

    @property
    def flags(self) -> tuple[str, ...]:
        r"""Its flags when it was read, such as ``\\Seen``."""
        return self._origin.flags

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return self._origin.size

    @property
    def internal_date(self) -> datetime | None:
        """When the server received it."""
        return self._origin.internal_date

    @property
    def raw(self) -> bytes:
        """The bytes as they came."""
        return self._raw

    @property
    def headers(self) -> Headers:
        """All headers, decoded."""
        if self._headers is None:
            self._headers = Headers(self._view.headers)
        return self._headers

    @property
    def subject(self) -> str:
        """The subject on one line, "" if there is none."""
        return self.headers.get("subject", "")

    @property
    def sender(self) -> Address | None:
        """Who wrote it: the first address in From, None if there is none."""
        found = self._addresses(b"from")
        # "From: Lovelace, Ada <ada@example.com>" lacks its quotes and reads as two.
        return next((each for each in found if "@" in each.address), found[0] if found else None)

    @property
    def to(self) -> tuple[Address, ...]:
        """The addresses in To."""
        return self._addresses(b"to")

    @property
    def cc(self) -> tuple[Address, ...]:
        """The addresses in Cc."""
        return self._addresses(b"cc")

    @property
    def bcc(self) -> tuple[Address, ...]:
        """The addresses in Bcc, which only copies in the sender's own mailbox have."""
        return self._addresses(b"bcc")

    @property
    def reply_to(self) -> tuple[Address, ...]:
        """The addresses in Reply-To."""
        return self._addresses(b"reply-to")

    @property
    def date(self) -> datetime | None:
        """When it was sent, as its sender says; None if that cannot be read."""
        return decode_date(self.headers.get("date", ""))

    @property
    def message_id(self) -> str:
        """Its Message-ID with the angle brackets, "" if there is none."""
        return self.headers.get("message-id", "")

    @property
    def text(self) -> str:
        """What it says as plain text, made from its HTML if it has no other; "" if nothing."""
        return self._view.text

    @property
    def html(self) -> str | None:
        """Its HTML as the sender wrote it: not safe to show without a filter."""
        return self._view.html

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files in it, attached messages among them; not the pictures in :attr:`inline`."""
        return tuple(Attachment(part) for part in self._view.attachments)

    @property
    def inline(self) -> tuple[Attachment, ...]:
        """The pictures that its HTML shows."""
        return tuple(Attachment(part, inline=True) for part in self._view.inline)

    @property
    def defects(self) -> tuple[str, ...]:
        """What is wrong with it, in words; finding out decodes all of it."""
        return self._view.defects

    @property
    def email(self) -> StandardMessage:
        """A new ``email.message.Message`` of it, for what is not offered here.

        Its own methods may raise on damaged mail. A message that the standard
        library cannot take apart comes as its headers and one text.
        """
        policy = email.policy.compat32
        try:
            return email.parser.BytesParser(policy=policy).parsebytes(self._raw)
        except (RecursionError, ValueError, LookupError, AssertionError):
            return email.parser.BytesHeaderParser(policy=policy).parsebytes(self._raw)

    def _addresses(self, name: bytes) -> tuple[Address, ...]:
        fields = self._view.root.fields
        values = [value for key, value in fields if key.lower() == name]
        return parse_addresses(b", ".join(values))
