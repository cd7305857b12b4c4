"""Header fields as they go over the line: checked, encoded (RFC 2047) and folded."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mailoauth.mail.addresses import Address

# The last two are line breaks to Python's email package.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# RFC 2047 section 5 (3): what may stand in an encoded word wherever that is.
_AS_THEY_ARE = {
    **{
        each: each for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
    },
    " ": "_",
}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
#: Headers that name correspondents.
ADDRESS_HEADERS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc"}
    | {"resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc"}
)
_LINE_LENGTH = 76
_WORD_ROOM = 75 - len("=?utf-8?q??=")
_LEAST_ROOM = 16  # where the name of the header is long
LONGEST_WORD = 900  # octets; RFC 5322 section 2.1.1: 998 a line


def checked_line(what: str, value: str) -> str:
    """Return a value of one line; a line break in it would begin another header."""
    checked_text(what, value)
    if not value.isprintable() and _CONTROL.search(value):
        raise ConfigError(
            f"{what} contains a line break or another control character.",
            remedy='Nothing was sent. Take it out, for example with " ".join(value.split()).',
        )
    return value


def cleaned_line(text: str) -> str:
    """Return a text of a stranger as one line that can be written again."""
    return " ".join(_CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).split())


def checked_text(what: str, value: str) -> bytes:
    """Return a text in UTF-8; halves of characters cannot be."""
    if not isinstance(value, str):
        raise ConfigError(
            f"{what} is a text, but was given as {type(value).__name__}.",
            remedy="Nothing was sent. Give a str.",
        )
    try:
        return value.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(
            f"{what} contains a character that is not text.",
            remedy="Decode it with the encoding that it was written in.",
        ) from exc


def text_value(name: str, text: str) -> str:
    """Write a text so that its reader has every character and space of it."""
    if text.isascii() and "=?" not in text and text == text.strip(" "):
        if len(name) + 2 + len(text) <= _LINE_LENGTH:
            return text
        folded = words_value(name, text.split(" "))
        if max(map(len, folded.split("\r\n"))) <= LONGEST_WORD:
            return folded
    return words_value(name, _encoded_words(text, len(name) + 2))


def address_value(name: str, addresses: Iterable[Address]) -> str:
    """Write a list of addresses; what is not ASCII in an address itself stays (RFC 6532)."""
    words: list[str] = []
    for each in addresses:
        if each.name.isascii() and "=?" not in each.name and len(each.name) <= LONGEST_WORD // 2:
            words += f"{each},".split(" ")
        else:
            words += [*_encoded_words(each.name, len(name) + 2), f"<{each.address}>,"]
    if words:
        words[-1] = words[-1].removesuffix(",")
    return words_value(name, words)


def date_value(date: datetime | None = None) -> str:
    """Write a time (now, if none is given) as RFC 5322 section 3.3 has it, in English anywhere."""
    offset = date.strftime("%z")[:5] if date else "+0000"
    year, month, day, hour, minute, second, weekday, *_ = (
        date.timetuple() if date else time.gmtime()
    )
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} "
        f"{hour:02}:{minute:02}:{second:02} {offset}"
    )


def words_value(name: str, words: list[str]) -> str:
    """Break lines between words only; a word that is too long has a line of its own.

    The standard library's folding writes a long Message-ID, as Outlook's are, in
    encoded words, which ends threads.
    """
    lines: list[str] = []
    line = f"{name}:"
    for index, word in enumerate(words):
        if index and word and len(line) + 1 + len(word) > _LINE_LENGTH:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line])[len(name) + 2 :]


def file_parameter(key: str, value: str) -> str:
    """Write the name of a file as a parameter (RFC 2231 where it is not ASCII)."""
    if value.isascii():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{key}="{escaped}"'
    from urllib.parse import quote  # noqa: PLC0415 - slow to import, for few names

    # In one piece, which is what other programs read, however long it is.
    return f"{key}*=utf-8''{quote(value, safe='')}"


def _encoded_words(text: str, indent: int) -> list[str]:
    """Write text as RFC 2047 words, none of which splits a character."""
    octets = text.encode()
    quoted = [_AS_THEY_ARE.get(each) or _quoted(each) for each in text]
    short = sum(map(len, quoted)) <= len(octets) * 4 // 3
    room = max(min(_WORD_ROOM, _LINE_LENGTH - indent - len("=?utf-8?q??=")), _LEAST_ROOM)
    if short:
        return [
            f"=?utf-8?q?{''.join(run)}?=" for run in _runs(quoted, list(map(len, quoted)), room)
        ]
    import binascii  # noqa: PLC0415 - for some mail only

    sizes = [len(each.encode()) for each in text]
    return [
        f"=?utf-8?b?{binascii.b2a_base64(''.join(run).encode(), newline=False).decode()}?="
        for run in _runs(list(text), sizes, room // 4 * 3)
    ]


def _runs(pieces: list[str], sizes: list[int], room: int) -> list[list[str]]:
    """Cut a list of pieces into runs that fit: the first one beside the header's name."""
    runs: list[list[str]] = [[]]
    used = 0
    for piece, size in zip(pieces, sizes, strict=True):
        if used + size > room and runs[-1]:
            runs.append([])
            used = 0
        runs[-1].append(piece)
        used += size
    return runs


def _quoted(character: str) -> str:
    return "".join([f"={octet:02X}" for octet in character.encode()])
