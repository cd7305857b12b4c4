"""A message as it came: a lazy view of its bytes that never raises."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, NoReturn

from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.attachment import Attachment
from mailoauth.mail.decoding import decode_date
from mailoauth.mail.headers import Headers
from mailoauth.mail.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from email.message import Message as StandardMessage

__all__ = ["Address", "Attachment", "Headers", "Message"]


class Message:
    """A message from a mailbox, or from anywhere by :meth:`from_bytes`.

    Nothing is decoded before it is asked for, and no property raises: of damaged
    mail there is what can be read, and :attr:`defects` says what is wrong.
    """

    __slots__ = (
        "_date",
        "_flags",
        "_folder",
        "_headers",
        "_headers_only",
        "_internal_date",
        "_raw",
        "_sender",
        "_size",
        "_uid",
        "_uid_validity",
        "_view",
    )

    def __init__(self, raw: bytes, *, headers_only: bool = False) -> None:
        self._raw = raw
        self._headers_only = headers_only
        self._uid = self._uid_validity = 0
        self._folder = ""
        self._flags: tuple[str, ...] = ()
        self._internal_date: datetime | None = None
        self._size = len(raw)
        self._view: View | None = None
        self._headers: Headers | None = None
        # Asked for again and again in loops and conditions; "" where that was not done yet.
        self._sender: Address | str | None = ""
        self._date: datetime | str | None = ""

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
        headers_only: bool = False,
    ) -> Message:
        """View bytes as a message.

        ``headers_only`` says that the bytes are no more than its header block, and
        ``size`` what the server says of the whole. A naive ``internal_date`` is taken
        as UTC.
        """
        if internal_date is not None and internal_date.tzinfo is None:
            internal_date = internal_date.replace(tzinfo=UTC)
        message = cls(bytes(raw), headers_only=headers_only)
        message._uid = uid
        message._uid_validity = uid_validity
        message._folder = folder
        message._flags = tuple(flags)
        message._internal_date = internal_date
        if size is not None:
            message._size = size
        return message

    def __repr__(self) -> str:
        # Correspondents and subjects are private, and reprs end up in logs.
        return f"<Message uid={self._uid} folder={self._folder!r} size={self._size}>"

    @property
    def uid(self) -> int:
        """Its number in its folder, 0 if it does not come from one."""
        return self._uid

    @property
    def folder(self) -> str:
        """The folder that it was read from."""
        return self._folder

    @property
    def uid_validity(self) -> int:
        """The UIDVALIDITY of that folder then (RFC 9051 section 2.3.1.1); else 0."""
        return self._uid_validity

    @property
    def flags(self) -> tuple[str, ...]:
        r"""Its flags when it was read, such as ``\\Seen``."""
        return self._flags

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return self._size

    @property
    def internal_date(self) -> datetime | None:
        """When the server received it."""
        return self._internal_date

    @property
    def raw(self) -> bytes:
        """The bytes as they came."""
        return self._raw

    @property
    def headers_only(self) -> bool:
        """Whether it was read without its text: what needs more than headers raises."""
        return self._headers_only

    @property
    def headers(self) -> Headers:
        """All headers, decoded."""
        if self._headers is None:
            self._headers = Headers(self._read().headers())
        return self._headers

    @property
    def subject(self) -> str:
        """The subject on one line, "" if there is none."""
        return self._read().header(b"subject")

    @property
    def sender(self) -> Address | None:
        """Who wrote it: the first address in From, None if there is none."""
        if isinstance(self._sender, str):
            found = self._addresses(b"from")
            # "From: Lovelace, Ada <ada@example.com>" lacks its quotes and reads as two.
            named = (each for each in found if "@" in each.address)
            self._sender = next(named, found[0] if found else None)
        return self._sender

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
        if isinstance(self._date, str):
            self._date = decode_date(self._read().header(b"date"))
        return self._date

    @property
    def message_id(self) -> str:
        """Its Message-ID with the angle brackets, "" if there is none."""
        return self._read().header(b"message-id")

    @property
    def text(self) -> str:
        """What it says as plain text, made from its HTML if it has no other; "" if nothing."""
        return self._whole().text

    @property
    def html(self) -> str | None:
        """Its HTML as the sender wrote it: not safe to show without a filter."""
        return self._whole().html

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files in it, attached messages among them; not the pictures in :attr:`inline`."""
        return tuple(map(Attachment, self._whole().attachments))

    @property
    def inline(self) -> tuple[Attachment, ...]:
        """The pictures that its HTML shows."""
        return tuple(Attachment(part, inline=True) for part in self._whole().inline)

    @property
    def defects(self) -> tuple[str, ...]:
        """What is wrong with it, in words; finding out decodes all of it."""
        view = self._read()
        return view.header_defects if self._headers_only else view.defects

    @property
    def email(self) -> StandardMessage:
        """A new ``email.message.Message`` of it, for what is not offered here.

        Its own methods may raise on damaged mail. A message that the standard
        library cannot take apart comes as its headers and one text.
        """
        from email.parser import (  # noqa: PLC0415 - slow to import, and not for all
            BytesHeaderParser,
            BytesParser,
        )

        try:
            parser = BytesHeaderParser() if self._headers_only else BytesParser()
            return parser.parsebytes(self._raw)
        except (RecursionError, ValueError, LookupError, AssertionError):
            return BytesHeaderParser().parsebytes(self._raw)

    def _read(self) -> View:
        if self._view is None:
            self._view = View(self._raw)
        return self._view

    def _whole(self) -> View:
        if self._headers_only:
            _refuse(self)
        return self._read()

    def _addresses(self, name: bytes) -> tuple[Address, ...]:
        return parse_addresses(b", ".join(self._read().root.headers(name)))


def _refuse(message: Message) -> NoReturn:
    from mailoauth.errors import ConfigError  # noqa: PLC0415 - needed where something is wrong

    name = f"Message {message.uid} in {message.folder!r}" if message.uid else "The message"
    raise ConfigError(
        f"{name} was read with headers_only=True, so its text was not fetched.",
        remedy="Read it without headers_only, or save it with mail.save(message, path).",
    )
