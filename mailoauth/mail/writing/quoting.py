"""What an answer repeats of the message that it answers: its subject, its text, its HTML."""

from __future__ import annotations

import html as entities
import re
from typing import TYPE_CHECKING, Final

from mailoauth.mail.writing.fields import cleaned_line, date_value

if TYPE_CHECKING:
    from mailoauth.mail.message import Address, Message

# As mail programs of Europe and China write them.
_REPLIED: Final = "re|aw|antw|antwort|sv|vs|odp|rif|res|ynt|atb|回复|答复|回覆"
_FORWARDED: Final = "fwd|fw|wg|tr|rv|vb|vl|enc|pd|doorst|ilt|转发|轉寄"
_PREFIX: Final = r"(?i)(?:(?:{words})\s?(?:[\[(^]\d{{1,3}}[\])]?)?\s?[:\uff1a]\s*)+"
_RULE: Final = "---------- Forwarded message ----------"
_BORDER: Final = "margin:0 0 0 0.8ex;border-left:1px solid #ccc;padding-left:1ex"
# No tag reaches over the next one: hostile pages would cost squares.
_BODY: Final = re.compile(r"<body\b[^<>]{0,9000}>", re.IGNORECASE)
_BODY_END: Final = re.compile(r"</body\b", re.IGNORECASE)
_STYLE: Final = re.compile(r"<(/?)style\b[^<>]{0,900}>", re.IGNORECASE)
_FRAME: Final = re.compile(
    r"<(?:!doctype|/?html|/?head|/?body|meta|base)\b[^<>]{0,9000}>", re.IGNORECASE
)


def reply_subject(subject: str) -> str:
    """Put "Re: " before a subject, once (RFC 5322 section 3.6.5), whatever it is there as."""
    return _prefixed("Re: ", _REPLIED, subject)


def forward_subject(subject: str) -> str:
    """Put "Fwd: " before a subject, once."""
    return _prefixed("Fwd: ", _FORWARDED, subject)


def quoted_text(message: Message) -> str:
    """Return a message's text with "> " before each line, and who wrote it above."""
    lines = [f">{line}" if line[:1] in {"", ">"} else f"> {line}" for line in _lines(message)]
    return "\n".join([_attribution(message), *lines])


def quoted_html(message: Message) -> str:
    """Return the same in HTML."""
    return (
        f"<div>{entities.escape(_attribution(message))}</div>\n"
        f'<blockquote type="cite" style="{_BORDER}">\n{_content(message)}\n</blockquote>'
    )


def forwarded_text(message: Message) -> str:
    """Return a message's text with its chief headers above."""
    said = [f"{name}: {value}" for name, value in _chief_headers(message)]
    return "\n".join([_RULE, *said, "", *_lines(message)])


def forwarded_html(message: Message) -> str:
    """Return the same in HTML."""
    said = [
        f"<b>{name}:</b> {entities.escape(value)}<br>" for name, value in _chief_headers(message)
    ]
    return "\n".join([f"<div>{_RULE}<br>", *said, "</div><br>", _content(message)])


def html_of(text: str) -> str:
    """Return a text as HTML that looks the same."""
    return entities.escape(text).replace("\r\n", "\n").replace("\n", "<br>\n")


def joined(page: str, below: str) -> str:
    """Put HTML below a page: inside it, where it is a whole one."""
    ends = [match.start() for match in _BODY_END.finditer(page)]
    end = ends[-1] if ends else len(page)
    return f"{page[:end]}<br>\n{below}\n{page[end:]}"


def _prefixed(prefix: str, words: str, subject: str) -> str:
    line = cleaned_line(subject)
    known = re.compile(_PREFIX.format(words=words)).match(line)
    return (prefix + (line[known.end() :] if known else line)).strip()


def _lines(message: Message) -> list[str]:
    # Characters that a damaged message has in halves cannot be sent on.
    text = message.text.encode("utf-8", "replace").decode()
    return text.rstrip("\n").split("\n")


def _attribution(message: Message) -> str:
    who = _shown(message.sender) if message.sender else "somebody"
    date = f"On {date_value(message.date)}, " if message.date else ""
    return f"{date}{who} wrote:"


def _chief_headers(message: Message) -> list[tuple[str, str]]:
    sender = [message.sender] if message.sender else []
    values = [
        ("From", ", ".join(map(_shown, sender))),
        ("Date", date_value(message.date) if message.date else ""),
        ("Subject", cleaned_line(message.subject)),
        ("To", ", ".join(map(_shown, message.to))),
        ("Cc", ", ".join(map(_shown, message.cc))),
    ]
    return [(name, value) for name, value in values if value]


def _shown(address: Address) -> str:
    return cleaned_line(str(address))


def _content(message: Message) -> str:
    """Return a message's HTML without the frame of a page, or its text as HTML."""
    page = message.html
    if page is None:
        return html_of("\n".join(_lines(message)))
    page = page.encode("utf-8", "replace").decode()
    opened = _BODY.search(page)
    if opened is None:
        return _FRAME.sub("", page)
    ends = [match.start() for match in _BODY_END.finditer(page, opened.end())]
    return "".join(
        [*_styles(page[: opened.start()]), page[opened.end() : ends[-1] if ends else len(page)]]
    )


def _styles(head: str) -> list[str]:
    """Return the style sheets in the head of a page."""
    found: list[str] = []
    start = -1
    for tag in _STYLE.finditer(head):
        if not tag[1] and start < 0:
            start = tag.start()
        elif tag[1] and start >= 0:
            found.append(head[start : tag.end()])
            start = -1
    return found
