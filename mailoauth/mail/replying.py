"""Answers to a message that was read, and the message sent on: threads go on, pictures are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encoded

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import Address, parse_addresses
from mailoauth.mail.compose import compose, is_content_id, listed
from mailoauth.mail.message import Attachment, Message
from mailoauth.mail.parts import Part
from mailoauth.mail.text import html_to_text
from mailoauth.mail.writing.envelopes import checked_address
from mailoauth.mail.writing.fields import cleaned_line
from mailoauth.mail.writing.quoting import (
    forward_subject,
    forwarded_html,
    forwarded_text,
    html_of,
    joined,
    quoted_html,
    quoted_text,
    reply_subject,
)
from mailoauth.mail.writing.threads import thread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from email.message import EmailMessage

    from mailoauth.mail.compose import Recipients
    from mailoauth.mail.writing.loading import AttachmentSource


def reply(  # noqa: PLR0913 - a message has that many fields, each by name
    message: Message,
    *,
    text: str = "",
    html: str | None = None,
    sender: str | Address | None = None,
    to_all: bool = False,
    quote: bool = True,
    cc: Recipients = (),
    bcc: Recipients = (),
    attachments: Iterable[AttachmentSource] = (),
    inline: Mapping[str, AttachmentSource] | None = None,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Build an answer to a message, below which the message is quoted.

    It goes to Reply-To, or else to From (RFC 5322 section 3.6.3), and with ``to_all`` to
    everybody in To and Cc too, ``sender`` excepted; an answer to ``sender``'s own message
    goes to those who got that. Raises ``ConfigError`` where nobody can be answered, and
    for quoting a message that was read with ``headers_only``.
    """
    _check(message, "reply()", quoting=quote)
    to, copied = _answered(message, sender, to_all=to_all)
    body = _Body(text, html, dict(inline or {}))
    if quote:
        body.put_below(message, quoted_text(message), quoted_html)
    return compose(
        sender=sender,
        to=to,
        cc=[*copied, *listed("cc", cc)],
        bcc=bcc,
        subject=reply_subject(message.subject),
        text=body.text,
        html=body.html,
        attachments=attachments,
        inline=body.inline,
        headers=headers,
        in_reply_to=message,
    )


def forward(  # noqa: PLR0913 - as above
    message: Message,
    *,
    to: Recipients,
    text: str = "",
    html: str | None = None,
    sender: str | Address | None = None,
    cc: Recipients = (),
    bcc: Recipients = (),
    attachments: Iterable[AttachmentSource] = (),
    inline: Mapping[str, AttachmentSource] | None = None,
    headers: Mapping[str, str] | None = None,
) -> EmailMessage:
    """Build a message that sends another one on, with all that is attached to it.

    The text comes above. Raises ``ConfigError``, also for a message that was read with
    ``headers_only``.
    """
    _check(message, "forward()", quoting=True)
    body = _Body(text, html, dict(inline or {}))
    left = body.put_below(message, forwarded_text(message), forwarded_html)
    thread = thread_of(message)
    said = dict(headers or {})
    if thread and not any(name.lower() == "references" for name in said):
        said["References"] = " ".join(thread)
    return compose(
        sender=sender,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=forward_subject(message.subject),
        text=body.text,
        html=body.html,
        attachments=[*attachments, *message.attachments, *left],
        inline=body.inline,
        headers=said,
    )


class _Body:
    """Text, HTML and pictures of a message, and what comes below them."""

    def __init__(self, text: str, html: str | None, inline: dict[str, AttachmentSource]) -> None:
        self.text = text if text or html is None else html_to_text(html)
        self.html = html
        self.inline = inline

    def put_below(
        self, message: Message, text: str, write: Callable[[Message], str]
    ) -> list[Attachment]:
        """Put another message below; return those of its pictures that no place was found for."""
        own = self.text
        self.text = f"{own}\n\n{text}" if own else text
        if self.html is None and message.html is None:
            return list(message.inline)
        below = write(message)
        left = []
        for picture in message.inline:
            name = picture.content_id
            if not is_content_id(name):
                left.append(picture)
                continue
            if name in self.inline:
                name, below = _renamed(name, below, self.inline)
            self.inline[name] = picture
        page = self.html
        if page is None:
            page = f"<div>{html_of(own)}</div>" if own else ""
        self.html = joined(page, below) if page else below
        return left


def _renamed(name: str, page: str, taken: Mapping[str, object]) -> tuple[str, str]:
    """Give a picture another name in a page."""
    number = next(number for number in range(2, len(taken) + 3) if f"{number}.{name}" not in taken)
    written = "|".join(map(re.escape, {name, percent_encoded(name), percent_encoded(name, "@")}))
    pattern = rf"""(?i)(\bcid:)((?:{written})(?=["'\s<>)]|\Z))"""
    return f"{number}.{name}", re.sub(pattern, rf"\g<1>{number}.\g<2>", page)


def _check(message: Message, verb: str, *, quoting: bool) -> None:
    if not isinstance(message, Message):
        raise ConfigError(
            f"{verb} takes a Message, not {type(message).__name__}.",
            remedy="Message.from_bytes(...) makes one of bytes.",
        )
    if quoting and message.headers_only:
        raise ConfigError(
            "The message was read with headers_only=True: its text was not fetched, so it cannot"
            " be quoted or sent on.",
            remedy="Read it without headers_only, or reply with quote=False.",
        )


def _answered(
    message: Message, sender: str | Address | None, *, to_all: bool
) -> tuple[list[Address], list[Address]]:
    """Return to whom an answer goes, and who gets a copy."""
    own = {each.address.lower() for each in listed("sender", sender or ())}
    head = Part(message.raw, 0, len(message.raw))
    authors = _usable(parse_addresses(b", ".join(head.headers(b"from"))))
    wanted = _usable(message.reply_to) or authors
    if own and authors and all(each.address.lower() in own for each in authors):
        wanted = _usable(message.to) or wanted  # one's own message: to those who got it
    seen: set[str] = set()
    to = _new(wanted, seen)
    copied: list[Address] = []
    if to_all:
        seen |= own
        to = [each for each in to if each.address.lower() not in own]
        to += _new(_usable(message.to), seen)
        copied = _new(_usable(message.cc), seen)
        to, copied = (to, copied) if to else (copied, [])
        to = to or _new(wanted, set())
    if not to:
        raise ConfigError(
            "There is nobody to reply to: the message has neither a Reply-To nor a From with a "
            "mail address.",
            remedy="Write to somebody with compose(to=..., in_reply_to=message).",
        )
    return to, copied


def _usable(addresses: Iterable[Address]) -> list[Address]:
    """Leave out what damaged mail has for addresses."""
    found = []
    for each in addresses:
        try:
            found.append(Address(cleaned_line(each.name), checked_address(each.address)))
        except ConfigError:
            continue
    return found


def _new(addresses: Iterable[Address], seen: set[str]) -> list[Address]:
    """Return those that were not seen yet, and see them."""
    found = []
    for each in addresses:
        if each.address.lower() not in seen:
            seen.add(each.address.lower())
            found.append(each)
    return found
