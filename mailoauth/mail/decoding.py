"""Lenient decoding of what mail carries: charsets, RFC 2047 words, RFC 2231 parameters.

Nothing here raises, whatever the bytes are: the standard library's ``email`` does
on some of them, and mail is written by anybody. Work is linear in the input.
"""

from __future__ import annotations

import binascii
import codecs
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from mailoauth.mail.transfer import decode_base64

_CHARSET = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,40}")
# What senders write, and what they mean by it.
_ALIASES = {
    "iso-8859-1": "cp1252",  # its control characters are Windows quotes in practice
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "windows-31j": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "windows-874": "cp874",
    "cp-850": "cp850",
    "unicode-1-1-utf-7": "utf-7",
    "unicode": "utf-8",
    "utf8mb4": "utf-8",
}
# Charsets that say nothing: the bytes themselves are a better witness.
_UNSAID = frozenset({"us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "8bit"})
# The commonest codecs, which never give lone surrogates.
_WITHOUT_SURROGATES = frozenset({"utf-8", "cp1252"})
# Codecs of Python that no mail means: slow, warning, or not for text.
_NOT_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})

# What most headers need is compiled here, the rest (as text) when a header needs it.
_PLAIN_PARAMETER = re.compile(r';\s*([^\s=;"]{1,200})\s*=\s*("[^"]*"?|[^;]*)')
_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, )?([0-9]{1,2}) ([A-Z][a-z]{2}) ([12][0-9]{3}) "
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? ([+-][0-9]{4}|GMT)(?: \([A-Z]{1,5}\))?"
)
_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
_CONTROLS = r"[\x00-\x1f\x7f]+"
# A question mark inside the text is an error that senders make; three are put up with.
_ENCODED_WORD = r"(?a)=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*){0,3})\?="
_PARAMETER = rb'(?s);\s*([^\s=;"]{1,200})\s*=\s*("(?:[^"\\]++|\\.)*+"?|[^;]*)'
_SEGMENT = r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?"
_QUOTED_PAIR = rb"(?s)\\(.)"

#: Of one parameter: number of the segment -> whether it is percent-encoded, its bytes.
_Segments = dict[int, tuple[bool, bytes]]


def known_charset(charset: str) -> str | None:
    """Name the codec for a charset as mail names it, None where there is none."""
    return _codec(charset) if len(charset) <= _LONGEST_CHARSET else None


_LONGEST_CHARSET = 80  # what is remembered must not take much room


@lru_cache(maxsize=256)
def _codec(charset: str) -> str | None:
    name = charset.strip().strip("\"'").lower()
    name = _ALIASES.get(name, name)
    if not _CHARSET.fullmatch(name):
        return None
    try:
        codec = codecs.lookup(name).name
        b"a".decode(codec, "replace")
    except (LookupError, ValueError):  # unknown; not a charset (zip, rot13)
        return None
    return None if codec.replace("-", "_") in _NOT_CHARSETS else codec


def decode_text(data: bytes, charset: str | None = None) -> str:
    """Decode bytes by their charset, or as UTF-8 or Windows-1252 where it is no help."""
    codec = known_charset(charset) if charset and charset.lower() not in _UNSAID else None
    if codec is None:
        try:
            return data.decode().removeprefix("\ufeff")
        except UnicodeDecodeError:
            codec = "cp1252"
    try:
        text = data.decode(codec, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
    if codec not in _WITHOUT_SURROGATES:
        text = scrub_surrogates(text)
    return text.removeprefix("\ufeff")


def scrub_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-7 and JSON can smuggle in and no output takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def decode_header(value: bytes) -> str:
    """Decode a header's value to one line of text: 8-bit characters and RFC 2047 words."""
    return one_line(decode_words(decode_text(value)))


def one_line(text: str) -> str:
    """Replace line breaks and other control characters by spaces."""
    # What can be printed holds no control characters.
    return (text if text.isprintable() else re.sub(_CONTROLS, " ", text)).strip()


def decode_words(text: str) -> str:
    """Decode RFC 2047 encoded words; what is damaged stays as it is."""
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run = _WordRun()
    end = 0
    for match in re.finditer(_ENCODED_WORD, text):
        between = text[end : match.start()]
        charset = match[1].partition("*")[0].lower()  # RFC 2231 section 5: charset*language
        data = _decode_word(match[2], match[3])
        if known_charset(charset) is None:
            pieces += [run.take(), between, match[0]]
        elif between.strip() or not run.data:
            pieces += [run.take(), between]
            run.add(charset, data)
        elif charset == run.charset:
            run.add(charset, data)
        else:  # white space between encoded words is not shown
            pieces.append(run.take())
            run.add(charset, data)
        end = match.end()
    return "".join([*pieces, run.take(), text[end:]])


def charsets_of_words(values: list[bytes]) -> set[str]:
    """Name the charsets that the encoded words in some headers say they are in."""
    text = "\n".join(map(decode_text, values))
    return {match[1].partition("*")[0].lower() for match in re.finditer(_ENCODED_WORD, text)}


class _WordRun:
    """Adjacent encoded words of one charset: senders cut characters in two between them."""

    def __init__(self) -> None:
        self.charset = ""
        self.data: list[bytes] = []

    def add(self, charset: str, data: bytes) -> None:
        self.charset = charset
        self.data.append(data)

    def take(self) -> str:
        if not self.data:
            return ""
        text = decode_text(b"".join(self.data), self.charset)
        self.data = []
        return text


def _decode_word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "bB":
        return decode_base64(data)[0]
    return binascii.a2b_qp(data, header=True)


def decode_parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """Split a MIME header into its value, in lower case, and its decoded parameters."""
    if not value:
        return "", {}
    text = value.decode("ascii", "replace")
    if not text.isprintable() or "*" in text or "\\" in text or "=?" in text or "\ufffd" in text:
        return _decode_segments(value)
    first = text.partition(";")[0]
    parameters: dict[str, str] = {}
    for name, written in _PLAIN_PARAMETER.findall(text, len(first)):
        plain = written[1:].removesuffix('"') if written.startswith('"') else written
        parameters.setdefault(name.lower(), plain.strip())
    return first.strip().lower(), parameters


def _decode_segments(value: bytes) -> tuple[str, dict[str, str]]:
    """Read parameters that may be cut in segments, escaped or in some charset (RFC 2231)."""
    first = value.partition(b";")[0]
    found: dict[str, _Segments] = {}
    for match in re.compile(_PARAMETER).finditer(value, len(first)):
        name = re.fullmatch(_SEGMENT, match[1].decode("ascii", "replace").lower())
        if name:
            # A plain name and its RFC 2231 twin are kept apart: the twin is the better one.
            key = name[1] + "*" if name[2] or name[3] else name[1]
            segment = (bool(name[3]), _unquote(match[2]))
            found.setdefault(key, {}).setdefault(int(name[2] or 0), segment)
    decoded = {name.removesuffix("*"): _join(found[name]) for name in sorted(found)}
    return first.strip().lower().decode("ascii", "replace"), decoded


def _unquote(value: bytes) -> bytes:
    if not value.startswith(b'"'):
        return value.strip()
    return re.sub(_QUOTED_PAIR, rb"\1", value[1:].removesuffix(b'"'))


def _join(segments: _Segments) -> str:
    """Put an RFC 2231 parameter together from its numbered segments."""
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415 - slow to import, and rarely needed

    ordered = [segments[number] for number in sorted(segments)]
    if not any(encoded for encoded, _ in ordered):
        return decode_header(b"".join(value for _, value in ordered))
    charset, _, text = ordered[0][1].partition(b"'")
    _, quote, text = text.partition(b"'")
    if ordered[0][0] and quote:  # charset'language'text
        ordered[0] = (True, text)
    else:
        charset = b""
    data = b"".join(unquote_to_bytes(value) if encoded else value for encoded, value in ordered)
    return one_line(decode_text(data, charset.decode("ascii", "replace")))


def decode_date(text: str) -> datetime | None:
    """Read an RFC 5322 date as an aware time; -0000, "somewhere", is taken as UTC."""
    match = _DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return _decode_odd_date(text)
    day, month, year, hour, minute, second, zone = match.groups(default="0")
    try:
        return datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), 0, _zone(zone)
        )
    except ValueError:
        return _decode_odd_date(text)


@lru_cache(maxsize=256)
def _zone(offset: str) -> timezone:
    if offset == "GMT":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _decode_odd_date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, rarely needed

    try:
        parsed = parsedate_to_datetime(text[:200])
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
