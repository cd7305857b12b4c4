"""Messages from keywords, with the mistakes that mail is famous for made impossible."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.attachment import Attachment
from mailoauth.mail.decoding import decode_date
from mailoauth.mail.writing.drafts import Draft, as_email, multipart, text_part
from mailoauth.mail.writing.envelopes import checked_address
from mailoauth.mail.writing.fields import (
    ADDRESS_HEADERS,
    LONGEST_WORD,
    address_value,
    checked_line,
    checked_text,
    date_value,
    text_value,
    words_value,
)
from mailoauth.mail.writing.threads import checked_id, drawn_id, message_ids, thread_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from mailoauth.mail.message import Message
    from mailoauth.mail.writing.loading import AttachmentSource

__all__ = ["compose", "drafted", "listed"]

#: One recipient, a list as people type it, or several of either.
Recipients = str | Address | Iterable[str | Address]

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_CONTENT_ID = re.compile(r"[!-;=?-~]+")
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
    the envelope and is left out when it is sent. Raises ``ConfigError``.
    """
    return as_email(
        drafted(
            sender=sender,
            to=to,
            cc=cc,
            bcc=bcc,
            reply_to=reply_to,
            subject=subject,
            text=text,
            html=html,
            attachments=attachments,
            inline=inline,
            headers=headers,
            in_reply_to=in_reply_to,
        )
    )


def drafted(  # noqa: PLR0913 - as above
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
    message_id: str | None = None,
) -> Draft:
    """Do the same and return what is not yet written; ``message_id`` is used if ``headers`` has none."""
    fields: dict[str, str] = {}
    author = _set_addresses(fields, "From", sender or ())
    for name, value in (("To", to), ("Cc", cc), ("Bcc", bcc), ("Reply-To", reply_to)):
        _set_addresses(fields, name, value)
    fields["Subject"] = text_value("Subject", checked_line("subject", subject))
    _set_thread(fields, in_reply_to)
    _set_headers(fields, headers or {})
    fields.setdefault("Date", date_value())
    if "Message-ID" not in fields:
        fields["Message-ID"] = checked_id(message_id) if message_id else drawn_id(author)
    fields["MIME-Version"] = "1.0"
    draft = _attached(_body(text, html, inline or {}), attachments)
    draft.fields[:0] = fields.items()
    return draft


def listed(name: str, value: Recipients) -> Iterator[Address]:
    """Read recipients in any of their forms, each checked."""
    each_value = [value] if isinstance(value, (str, Address)) else value
    if not isinstance(each_value, Iterable) or isinstance(each_value, (bytes, Mapping)):
        raise ConfigError(
            f"{name} is an address or a list of addresses, not {value!r}.",
            remedy="Write it like ada@example.com.",
        )
    for each in each_value:
        if isinstance(each, Address):
            # What a stranger's header had may go back to him, but not into our headers.
            checked_line(name, f"{each.name}{each.address}")
            yield Address(each.name, checked_address(each.address))
        elif isinstance(each, str):
            for parsed in parse_addresses(checked_line(name, each)):
                yield Address(parsed.name, checked_address(parsed.address or parsed.name))
        else:
            raise ConfigError(
                f"{name} has {each!r}, which is not an address.",
                remedy="Write it like ada@example.com.",
            )


def _set_addresses(fields: dict[str, str], name: str, value: Recipients) -> str:
    """Set a header, and return the first address in it."""
    found = list(listed(name, value))
    if found:
        fields[name] = address_value(name, found)
    return found[0].address if found else ""


def _set_thread(fields: dict[str, str], answered: str | Message | None) -> None:
    """Continue a thread as RFC 5322 section 3.6.4 says."""
    if answered is None:
        return
    if isinstance(answered, str):
        thread = own = message_ids(checked_line("in_reply_to", answered))[:1]
        if answered.strip() and not own:
            raise ConfigError(
                f"in_reply_to is {answered!r}, which is not a Message-ID.",
                remedy="Write it like <name@example.com>, or give the message that is answered.",
            )
    else:
        from mailoauth.mail.message import Message  # noqa: PLC0415 - who has one has imported it

        _check_kind("in_reply_to", answered, Message, "a Message-ID or a message that was read")
        thread, own = thread_of(answered), message_ids(answered.message_id)
    if own:
        fields["In-Reply-To"] = own[0]
    if thread:
        fields["References"] = words_value("References", thread)


def _check_kind(name: str, value: object, kind: type, wanted: str) -> None:
    if not isinstance(value, kind):
        raise ConfigError(
            f"{name} is {wanted}, but was given as {type(value).__name__}.",
            remedy="Nothing was sent.",
        )


def _set_headers(fields: dict[str, str], headers: Mapping[str, str]) -> None:
    _check_kind("headers", headers, Mapping, 'a mapping like {"X-Mark": "text"}')
    taken = {name.lower() for name in fields}
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is not the name of a header.", remedy="Write it like X-Mark."
            )
        key = name.lower()
        if keyword := _KEYWORDS.get(key):
            raise ConfigError(f"{name} is not given in headers.", remedy=f"Use {keyword}=.")
        if key in _STRUCTURE:
            raise ConfigError(
                f"{name} follows from the content and cannot be given.",
                remedy="Leave it out of headers.",
            )
        if key in taken:
            raise ConfigError(
                f"The header {name} cannot be written: it is there already.",
                remedy="Leave it out of headers, or give it once.",
            )
        taken.add(key)
        checked_line(f"the header {name}", value)
        if key == "message-id":
            fields["Message-ID"] = checked_id(value)
        elif key == "date":
            fields["Date"] = _given_date(value)
        elif key == "references":
            fields[name] = words_value(name, message_ids(value))
        elif key in ADDRESS_HEADERS:
            fields[name] = address_value(name, listed(name, value))
        else:
            fields[name] = text_value(name, value)


def _given_date(value: str) -> str:
    date = decode_date(value)
    if date is None:
        raise ConfigError(
            f"The date {value!r} cannot be read.",
            remedy="Write it like Sat, 31 Jan 2026 10:00:00 +0000.",
        )
    return date_value(date)


def _body(text: str | None, html: str | None, inline: Mapping[str, AttachmentSource]) -> Draft:
    if inline and html is None:
        raise ConfigError(
            "There are inline pictures, but no html that shows them.",
            remedy="Give html=, or put them into attachments.",
        )
    if html is None:
        return text_part("plain", checked_text("text", "" if text is None else text))
    page = text_part("html", checked_text("html", html))
    body = text_part("plain", checked_text("text", _text_of(html) if text is None else text))
    if inline:
        _check_kind("inline", inline, Mapping, 'a mapping like {"logo": "logo.png"}')
        from mailoauth.mail.writing.loading import file_part  # noqa: PLC0415 - most mail has no files

        pictures = [
            file_part(source, content_id=_checked_content_id(content_id))
            for content_id, source in inline.items()
        ]
        page = multipart("related", [page, *pictures])
    return multipart("alternative", [body, page])


def _text_of(html: str) -> str:
    from mailoauth.mail.text import html_to_text  # noqa: PLC0415 - not where the text is given

    return html_to_text(html)


def is_content_id(name: str) -> bool:
    """Say whether a text can be what HTML calls a picture."""
    return isinstance(name, str) and bool(_CONTENT_ID.fullmatch(name)) and len(name) <= LONGEST_WORD


def _checked_content_id(content_id: str) -> str:
    if not is_content_id(content_id):
        raise ConfigError(
            f"{content_id!r} cannot be the name of an inline picture.",
            remedy="Use letters and digits; html shows it as cid:NAME.",
        )
    return content_id


def _attached(body: Draft, attachments: Iterable[AttachmentSource]) -> Draft:
    if isinstance(attachments, (str, bytes, os.PathLike, Attachment)):
        raise ConfigError(
            "attachments is a single file, not a list.", remedy="Write attachments=[...]."
        )
    _check_kind("attachments", attachments, Iterable, "a list of files")
    files = list(attachments)
    if not files:
        return body
    from mailoauth.mail.writing.loading import file_part  # noqa: PLC0415 - most mail has no files

    return multipart("mixed", [body, *map(file_part, files)])
