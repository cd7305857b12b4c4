"""Messages from keywords, with the mistakes that mail is famous for made impossible."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email import headerregistry, policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.decoding import decode_date
from mailoauth.mail.message import Attachment, Message
from mailoauth.mail.names import safe_name
from mailoauth.mail.serial import checked_address, envelope, serialize
from mailoauth.mail.text import html_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compose", "envelope", "serialize"]

#: One recipient, a list as people type it, or several of either.
Recipients = str | Address | Iterable[str | Address]
#: A path, a name with bytes, an attachment of a received message, or an open binary file.
AttachmentSource = str | os.PathLike[str] | tuple[str, bytes] | Attachment | IO[bytes]

# The last two are line breaks to Python's email package.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_CONTENT_ID = re.compile(r"[^\s<>\x00-\x1f\x7f]+")
# A part's type must fit its encoding, and attachments go in base64: RFC 2046
# section 5.2.1 forbids that for messages, and a multipart is not a file.
_NOT_AS_BYTES = ("message/", "multipart/")
_UNKNOWN_TYPE = "application/octet-stream"
_KEYWORDS = {
    "from": "sender",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "reply-to": "reply_to",
    "subject": "subject",
    "in-reply-to": "in_reply_to",
}
_STRUCTURE = frozenset({"mime-version", "content-type", "content-transfer-encoding"})

# Content in 7 bits passes every server; the choice is made as parts are added.
_POLICY = policy.default.clone(cte_type="7bit")


def compose(  # noqa: PLR0913 - a message has that many fields, each by name
    *,
    sender: str | Address | None = None,
    to: Recipients = (),
    cc: Recipients = (),
    bcc: Recipients = (),
    reply_to: Recipients = (),
    subject: str = "",
    text: str | None = None,
    html: str | None = None,
    attachments: Iterable[AttachmentSource] = (),
    inline: Mapping[str, AttachmentSource] | None = None,
    headers: Mapping[str, str] | None = None,
    in_reply_to: str | Message | None = None,
) -> EmailMessage:
    """Build a message; reads the files that are attached.

    ``inline`` has the pictures that ``html`` shows as ``cid:KEY``. ``in_reply_to`` is
    a Message-ID or the message that is answered, whose thread is then continued.
    Without ``text`` the text is made from ``html``. Bcc stays in the message for
    :func:`envelope`; :func:`serialize` leaves it out. Raises ``ConfigError``.
    """
    message = EmailMessage(policy=_POLICY)
    author = _set_addresses(message, "From", sender or ())
    _set_addresses(message, "To", to)
    _set_addresses(message, "Cc", cc)
    _set_addresses(message, "Bcc", bcc)
    _set_addresses(message, "Reply-To", reply_to)
    message["Subject"] = _checked("subject", subject)
    _set_thread(message, in_reply_to)
    _set_headers(message, headers or {})
    if "Date" not in message:
        message["Date"] = datetime.now(UTC)
    if "Message-ID" not in message:
        message["Message-ID"] = make_msgid(domain=_domain(author))
    _set_body(message, text, html, inline or {})
    _attach(message, attachments)
    return message


def _attach(message: EmailMessage, attachments: Iterable[AttachmentSource]) -> None:
    if isinstance(attachments, (str, bytes, os.PathLike, Attachment)):
        raise ConfigError(
            "attachments is a single file, not a list.", remedy="Write attachments=[...]."
        )
    for source in attachments:
        name, content, (maintype, subtype) = _load(source)
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)


def _set_addresses(message: EmailMessage, name: str, value: Recipients) -> list[Address]:
    found = list(_addresses(name, value))
    if found:
        message[name] = [_header_address(each) for each in found]
    return found


def _addresses(name: str, value: Recipients) -> Iterator[Address]:
    each_value = [value] if isinstance(value, (str, Address)) else value
    if not isinstance(each_value, Iterable) or isinstance(each_value, (bytes, Mapping)):
        raise ConfigError(f"{name} is an address or a list of addresses, not {value!r}.")
    for each in each_value:
        if isinstance(each, Address):
            # What a stranger's header had may go back to him, but not into our headers.
            _checked(name, f"{each.name}{each.address}")
            yield Address(each.name, checked_address(each.address))
        elif isinstance(each, str):
            for parsed in parse_addresses(_checked(name, each)):
                yield Address(parsed.name, checked_address(parsed.address or parsed.name))
        else:
            raise ConfigError(f"{name} has {each!r}, which is not an address.")


def _header_address(address: Address) -> headerregistry.Address:
    local, _, domain = address.address.rpartition("@")
    if local.startswith('"'):  # the class adds quotes where they are needed
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return headerregistry.Address(address.name, local, domain)


def _set_thread(message: EmailMessage, answered: str | Message | None) -> None:
    if answered is None:
        return
    earlier = ""
    if isinstance(answered, Message):
        said = answered.headers
        earlier = said.get("references", "") or said.get("in-reply-to", "")
        answered = answered.message_id
    if not answered:
        return
    message["In-Reply-To"] = _checked("in_reply_to", answered)
    message["References"] = _checked("in_reply_to", f"{earlier} {answered}".strip())


def _set_headers(message: EmailMessage, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is not the name of a header.")
        if keyword := _KEYWORDS.get(name.lower()):
            raise ConfigError(f"{name} is not given in headers.", remedy=f"Use {keyword}=.")
        if name.lower() in _STRUCTURE:
            raise ConfigError(f"{name} follows from the content and cannot be given.")
        if name.lower() == "date" and decode_date(_checked("Date", value)) is None:
            raise ConfigError(f"The date {value!r} cannot be read.")
        try:
            message[name] = _checked(f"the header {name}", value)
        except (ValueError, TypeError, LookupError) as exc:
            if isinstance(exc, ConfigError):
                raise
            raise ConfigError(f"The header {name} cannot be written: {exc}.") from exc


def _checked(what: str, value: str) -> str:
    """Return a value of one line; a line break in it would begin another header."""
    _encoded(what, value)
    if _CONTROL.search(value):
        raise ConfigError(
            f"{what} contains a line break or another control character.",
            remedy='Nothing was sent. Take it out, for example with " ".join(value.split()).',
        )
    return value


def _encoded(what: str, value: str) -> bytes:
    if not isinstance(value, str):
        raise ConfigError(f"{what} is a text, but was given as {type(value).__name__}.")
    try:
        return value.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(
            f"{what} contains a character that is not text.",
            remedy="Decode it with the encoding that it was written in.",
        ) from exc


def _domain(author: list[Address]) -> str:
    domain = author[0].address.rpartition("@")[2] if author else ""
    # Without a domain make_msgid would tell the world this computer's name.
    return domain.strip("[]") or "mailoauth.invalid"


def _set_body(
    message: EmailMessage,
    text: str | None,
    html: str | None,
    inline: Mapping[str, AttachmentSource],
) -> None:
    if inline and html is None:
        raise ConfigError("There are inline pictures, but no html that shows them.")
    if text is None:
        text = html_to_text(html) if html else ""
    _encoded("text", text)
    message.set_content(text)
    if html is None:
        return
    _encoded("html", html)
    message.add_alternative(html, subtype="html")
    part: Any = message.get_payload(1)
    for content_id, source in inline.items():
        if not isinstance(content_id, str) or not _CONTENT_ID.fullmatch(content_id):
            raise ConfigError(f"{content_id!r} cannot be the name of an inline picture.")
        name, content, (maintype, subtype) = _load(source)
        part.add_related(
            content,
            maintype=maintype,
            subtype=subtype,
            filename=name,
            cid=f"<{content_id}>",
            disposition="inline",
        )


def _load(source: AttachmentSource) -> tuple[str, bytes, tuple[str, str]]:
    """Return an attachment's name, content and type."""
    said = None
    match source:
        case Attachment():
            name, content, said = source.filename, source.content, source.content_type
        case (str() as name, bytes() | bytearray() | memoryview() as data):
            content = bytes(data)
        case str() | os.PathLike():
            if not str(source):
                raise ConfigError("The path of an attachment is empty, so nothing was sent.")
            path = Path(source)
            name, content = path.name, _read(path)
        case _:
            name, content = _read_open_file(source)
    name = safe_name(_checked("the name of an attachment", name))
    return name, content, _mime_type(name, said)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(
            f"There is no file {path} to attach, so nothing was sent.",
            remedy=""
            if path.is_absolute()
            else f"A path that is not absolute begins at {Path.cwd()}.",
        ) from exc
    except IsADirectoryError as exc:
        raise ConfigError(
            f"{path} is a folder and cannot be attached.", remedy="Attach its files, or an archive."
        ) from exc
    except (OSError, ValueError) as exc:
        if path.is_dir():  # Windows says "permission denied"
            raise ConfigError(f"{path} is a folder and cannot be attached.") from exc
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


def _mime_type(name: str, said: str | None) -> tuple[str, str]:
    guessed, compression = mimetypes.guess_type(name)
    kind = said or (guessed if not compression else None) or _UNKNOWN_TYPE
    if kind.startswith(_NOT_AS_BYTES) or not re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind, re.ASCII):
        kind = _UNKNOWN_TYPE
    maintype, _, subtype = kind.partition("/")
    return maintype, subtype
