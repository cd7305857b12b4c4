"""Saving: messages and attachments to the disk, however large, in little memory.

How data flows: octets come in pieces of a mebibyte, each by a FETCH of its own that is
repeated if the line is lost, pass through the decoder and go into a file that gets its
name when all of it is there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import ConfigError, ConnectionFailed, ServerError
from mailoauth.mail.access import Access

# What else is needed is imported by the verbs: reading mail shall not wait for it.

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mailoauth.mail.access import Place
    from mailoauth.mail.message import Attachment, Message
    from mailoauth.mail.spool import SpooledPart
    from mailoauth.network import Deadline

#: Octets asked for at once.
PIECE: Final = 1024 * 1024
#: The largest message taken from a server, and the largest file made of one.
LARGEST: Final = 2 * 1024**3


class Saving(Access):
    """The verbs that write to the disk."""

    def save(self, message: Message, path: str | os.PathLike[str]) -> Path:
        """Write a whole message to a folder or a file, as it came; return the file's path.

        Of a message that was read with ``headers_only`` the rest is fetched in pieces,
        in little memory. In a folder the file is called after the subject. ``path``
        is otherwise as for ``Attachment.save``. Raises ``OSError``, and ``ServerError`` if
        the message is gone; then nothing is left on the disk.
        """
        from mailoauth.mail.names import place_for, save_new  # noqa: PLC0415

        content: bytes | Iterator[bytes] = message.raw
        if message.headers_only:
            content = self._pieces(self._place(message), "")
        return save_new(place_for(path, _name_of(message)), content)

    def attachments(self, message: Message) -> tuple[Attachment, ...]:
        """List the attachments of a message without fetching their content.

        Sizes are estimates. Pictures beside HTML in a multipart/related are left out, as
        the HTML probably shows them. Where the server's description is too broken
        to be relied on, the message is fetched into an anonymous temporary file.
        Of a message that was read whole it is just ``message.attachments``.
        """
        from mailoauth.mail.attachment import Attachment  # noqa: PLC0415
        from mailoauth.mail.structure import attached  # noqa: PLC0415

        if not message.headers_only:
            return message.attachments
        place = self._place(message)
        deadline = self.begin()
        structure = self.in_folder(
            place.folder,
            lambda connection: connection.structure(place.uids[0]),
            validity=place.validity,
            deadline=deadline,
        )
        listed: Iterable[Any] | None = attached(structure, _key(message))
        if listed is None:
            listed = self._spooled(place, _key(message), deadline)
        return tuple(Attachment(part) for part in listed)

    def save_attachment(
        self, message: Message, attachment: Attachment, path: str | os.PathLike[str]
    ) -> Path:
        """Write an attachment to a folder or a file, in little memory; return the file's path.

        ``attachment`` is one of :meth:`attachments` or of ``message.attachments``, else
        ``ConfigError``. ``path`` is as for ``Attachment.save``. Raises ``OSError``, and
        ``ServerError`` if the message is gone; then nothing is left on the disk.
        """
        from mailoauth.mail.incremental import decoded  # noqa: PLC0415
        from mailoauth.mail.names import attached_name, place_for, save_new  # noqa: PLC0415
        from mailoauth.mail.spool import SpooledPart  # noqa: PLC0415
        from mailoauth.mail.structure import RemotePart  # noqa: PLC0415

        part = attachment.part
        if not _belongs(part, message):
            raise ConfigError(
                "The attachment is not one of this message.",
                remedy="Give the message that it was listed for.",
                account=self.account.name,
            )
        if isinstance(part, RemotePart):
            pieces = self._pieces(self._place(message), part.section)
            content = bounded(decoded(part.encoding, pieces), LARGEST, self._too_large)
        elif isinstance(part, SpooledPart):
            content = bounded(part.pieces(), LARGEST, self._too_large)
        else:
            return attachment.save(path)
        name = attached_name(attachment.filename, attachment.content_type)
        return save_new(place_for(path, name), content)

    def _place(self, message: Message) -> Place:
        (place,) = self.places(message)
        return place

    def _spooled(self, place: Place, key: object, deadline: Deadline) -> list[SpooledPart]:
        """Fetch a message into a file without a name and list the attachments in that."""
        import tempfile  # noqa: PLC0415

        from mailoauth.mail.spool import Spool, SpooledPart  # noqa: PLC0415
        from mailoauth.mail.view import View  # noqa: PLC0415

        with tempfile.TemporaryFile() as file:
            for piece in self._pieces(place, "", deadline):
                file.write(piece)
            raw = Spool.of(file)
        return [SpooledPart(part, key) for part in View(raw).attachments]

    def _pieces(
        self, place: Place, section: str, deadline: Deadline | None = None
    ) -> Iterator[bytes]:
        deadline = deadline or self.begin()
        fetch = partial(self._fetch, place, section, deadline)
        return bounded(stream(fetch), LARGEST, self._too_large)

    def _fetch(
        self, place: Place, section: str, deadline: Deadline, start: int, count: int
    ) -> bytes:
        uid = place.uids[0]
        piece = self.in_folder(
            place.folder,
            lambda connection: connection.partial(uid, section, start, count),
            validity=place.validity,
            deadline=deadline,
        )
        if piece is None:
            raise ServerError(
                f'The message with UID {uid} is not in the folder "{place.folder}" of '
                f"{self.address} any more.",
                remedy="Search again: it was moved or deleted meanwhile.",
                account=self.account.name,
            )
        return piece

    def _too_large(self, limit: int) -> ConnectionFailed:
        return ConnectionFailed(
            f"The server of {self.address} sent more than {limit >> 20} MiB of one message, which "
            "no message has.",
            remedy="Nothing was kept. Is this the provider's IMAP server?",
            account=self.account.name,
        )


def stream(fetch: Callable[[int, int], bytes], *, count: int = PIECE) -> Iterator[bytes]:
    """Yield what a server has from its beginning until it has no more.

    What it says of the length is only an estimate at Outlook, and it may
    give fewer octets than it was asked for: the next are those behind what came.
    """
    start = 0
    while piece := fetch(start, count):
        yield piece
        start += len(piece)


def bounded(
    pieces: Iterable[bytes], limit: int, too_large: Callable[[int], Exception]
) -> Iterator[bytes]:
    """Pass pieces on until there are more octets of them than can be meant."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise too_large(limit)
        yield piece


def _key(message: Message) -> tuple[str, int, int]:
    return message.folder, message.uid_validity, message.uid


def _belongs(part: Any, message: Message) -> bool:
    if (key := getattr(part, "message", None)) is not None:
        return bool(key == _key(message))
    if message.headers_only:
        return False
    return any(part is each.part for each in (*message.attachments, *message.inline))


def _name_of(message: Message) -> str:
    """Make a file name of the subject."""
    from mailoauth.mail.names import safe_name  # noqa: PLC0415

    subject = message.subject.replace("/", "_").replace("\\", "_")
    subject = safe_name(subject, default="message")
    return safe_name(f"{subject}.eml")
