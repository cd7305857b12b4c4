"""A file in a message: what it is called, what it holds, and how it gets to the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from pathlib import Path


class AttachedPart(Protocol):
    """What an attachment is made of: a part of a message, fetched or still at the server.

    One that has an attribute ``size`` (octets when decoded, None if not known) is not
    decoded to find out.
    """

    @property
    def filename(self) -> str: ...  # noqa: D102 - as Attachment says
    @property
    def content_type(self) -> str: ...  # noqa: D102
    @property
    def content_id(self) -> str: ...  # noqa: D102
    def decode(self) -> tuple[bytes, bool]:
        """Undo its transfer encoding; the second value says whether all was well."""
        ...


class Attachment:
    """A file in a message, decoded when its content is asked for."""

    __slots__ = ("_inline", "_part", "_size")

    def __init__(self, part: AttachedPart, *, inline: bool = False) -> None:
        self._part = part
        self._inline = inline
        self._size: int | None = None

    def __repr__(self) -> str:
        return f"<Attachment {self.content_type}>"  # a name may be private

    @property
    def part(self) -> AttachedPart:
        """The part of the message that it is made of."""
        return self._part

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
        """The decoded bytes, decoded anew at each call; as much as could be of a damaged one.

        Raises ``ConfigError`` where only its description was fetched.
        """
        return self._part.decode()[0]

    @property
    def size(self) -> int:
        """Octets of the decoded content."""
        if self._size is None:
            known: int | None = getattr(self._part, "size", None)
            self._size = len(self.content) if known is None else known
        return self._size

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to a folder or a file and return the path of the file.

        A path that is a folder, ends with a separator, or is new and has no suffix
        is a folder; missing ones are made. The sender's name is made safe. Nothing
        is overwritten: a number is added to the name. Without a name it is called
        "attachment", with the usual suffix of its type. Folders are made for this user
        only and so is the file, which appears whole or not at all. Raises ``OSError``.
        """
        from mailoauth.mail.names import attached_name, place_for, save_new  # noqa: PLC0415 - slow

        content = self.content  # first: no folder is made for what cannot be had
        return save_new(place_for(path, attached_name(self.filename, self.content_type)), content)
