"""Files to be attached: read from wherever they are, their name made safe, their type found."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import re
from pathlib import Path
from typing import IO, Any

from mailoauth.errors import ConfigError
from mailoauth.mail.attachment import Attachment
from mailoauth.mail.names import attached_name, safe_name
from mailoauth.mail.writing.drafts import Draft
from mailoauth.mail.writing.fields import checked_line, file_parameter

#: A path, a name with bytes, an attachment of a received message, or an open binary file.
AttachmentSource = str | os.PathLike[str] | tuple[str, bytes] | Attachment | IO[bytes]

# A part's type must fit its encoding, and attachments go in base64: RFC 2046
# section 5.2.1 forbids that for messages, and a multipart is not a file.
_NOT_AS_BYTES = ("message/", "multipart/")
_MESSAGE = "message/rfc822"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,40}")
_UNKNOWN_TYPE = "application/octet-stream"


def file_part(source: AttachmentSource, *, content_id: str = "") -> Draft:
    """Return a part with a file, which is shown by HTML where it has a Content-ID."""
    said, parameters = None, ""
    match source:
        case Attachment():
            name = attached_name(source.filename, source.content_type)
            content, said = source.content, source.content_type
            parameters = _kept_parameters(source)
        case (str() as name, bytes() | bytearray() | memoryview() as data):
            content = bytes(data)
        case str() | os.PathLike():
            if not str(source):
                raise ConfigError(
                    "The path of an attachment is empty, so nothing was sent.",
                    remedy="Leave it out, or name a file.",
                )
            path = Path(source)
            name, content = path.name, _read(path)
        case _:
            name, content = _read_open_file(source)
    name = safe_name(checked_line("the name of an attachment", name))
    if said == _MESSAGE and _is_plain(content):
        return _part(_MESSAGE, name, "7bit", content, content_id)
    kind = _mime_type(name, said)
    return _part(kind + parameters, name, "base64", content, content_id)


def _kept_parameters(attachment: Attachment) -> str:
    """Write what a received file must not lose: how its text is encoded, what an invitation is for."""
    found = getattr(attachment.part, "parameters", {})
    kept = [(key, found.get(key, "")) for key in ("charset", "method")]
    if not attachment.content_type.startswith("text/"):
        return ""
    return "".join([f'; {key}="{value}"' for key, value in kept if _WORD.fullmatch(value)])


def _part(kind: str, name: str, encoding: str, content: bytes, content_id: str) -> Draft:
    fields = [
        ("Content-Type", kind),
        ("Content-Transfer-Encoding", encoding),
        (
            "Content-Disposition",
            f"{'inline' if content_id else 'attachment'};\r\n {file_parameter('filename', name)}",
        ),
    ]
    if content_id:
        fields.append(("Content-ID", f"<{content_id}>"))
    return Draft(fields, content, "base64" if encoding == "base64" else "")


def _is_plain(message: bytes) -> bool:
    """Say whether a message passes every server as it is."""
    if not message.isascii() or b"\0" in message:
        return False
    lines = re.split(rb"\r\n|\r|\n", message)
    return max(map(len, lines)) <= 998  # noqa: PLR2004 - RFC 5322 section 2.1.1


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(
            f"There is no file {path} to attach, so nothing was sent.",
            remedy="Check the path."
            if path.is_absolute()
            else f"A path that is not absolute begins at {Path.cwd()}.",
        ) from exc
    except IsADirectoryError as exc:
        raise ConfigError(
            f"{path} is a folder and cannot be attached.", remedy="Attach its files, or an archive."
        ) from exc
    except (OSError, ValueError) as exc:
        if path.is_dir():  # Windows says "permission denied"
            raise ConfigError(
                f"{path} is a folder and cannot be attached.", remedy="Attach its files."
            ) from exc
        raise ConfigError(
            f"{str(path)!r} cannot be attached: {getattr(exc, 'strerror', None) or exc}.",
            remedy="Nothing was sent. Check the path and who may read the file.",
        ) from exc


def _read_open_file(file: Any) -> tuple[str, bytes]:
    content = None
    with contextlib.suppress(AttributeError, OSError, ValueError):
        content = file.read()
    if not isinstance(content, (bytes, bytearray)):
        raise ConfigError(
            f"An object of type {type(file).__name__} cannot be attached.",
            remedy="Give a path, a name with bytes, or a file opened in binary mode.",
        )
    name = getattr(file, "name", "")
    return (Path(name).name if isinstance(name, str) else ""), bytes(content)


def _mime_type(name: str, said: str | None) -> str:
    guessed, compression = mimetypes.guess_type(name)
    kind = said or (guessed if not compression else None) or _UNKNOWN_TYPE
    if kind.startswith(_NOT_AS_BYTES) or not re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind, re.ASCII):
        return _UNKNOWN_TYPE
    return kind
