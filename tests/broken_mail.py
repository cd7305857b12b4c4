"""Broken messages, made and not collected: each is damaged in a way that real mail is."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = b"From: Ada <ada@example.com>\r\nTo: bob@example.org\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"
_MIXED = _HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
_TEXT_PART = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"


def broken_messages() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes of each."""
    yield from _structures()
    yield from _headers()
    yield from _types()
    yield from _bodies()
    yield from _wrong_charsets()
    yield from _files()
    yield from _multiparts()
    yield from _mutations()


def _structures() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "only line breaks", b"\r\n\r\n\r\n"
    yield "only a lone carriage return", b"\r"
    yield "no headers", b"\r\nhello"
    yield "no body", _HEAD
    yield "headers without an end", _HEAD.rstrip()
    yield "no empty line before the body", _HEAD + b"hello there\r\nhow are you\r\n"
    yield "bare line feeds", _MIXED.replace(b"\r\n", b"\n") + _TEXT_PART.replace(b"\r\n", b"\n")
    yield "bare carriage returns", (_MIXED + _TEXT_PART + b"--b--").replace(b"\r\n", b"\r")
    yield (
        "an mbox line first",
        b"From ada@example.com Mon Jan  1 00:00:00 2026\r\n" + _HEAD + b"\r\nhi",
    )
    yield "binary noise", bytes(range(256)) * 40
    yield "zero bytes", b"\0" * 1000
    yield "no boundary named", _MIXED.replace(b'; boundary="b"', b"") + _TEXT_PART + b"--b--\r\n"
    yield "an empty boundary", _MIXED.replace(b'"b"', b'""') + _TEXT_PART
    yield "a boundary that never comes", _MIXED + b"hello"
    yield "no last boundary", _MIXED + _TEXT_PART
    yield "cut in a boundary", _MIXED + _TEXT_PART + b"--"
    yield "boundaries and nothing else", _MIXED + b"--b\r\n--b\r\n--b--\r\n"
    yield "the last boundary first", _MIXED + b"--b--\r\n" + _TEXT_PART
    yield "a part without headers", _MIXED + b"--b\r\n\r\nhello\r\n--b--"
    yield "a part of garbage", _MIXED + b"--b\r\n\xff\xfe garbage\r\n\r\nhello\r\n--b--"
    yield (
        "the same boundary inside",
        (
            _MIXED
            + b'--b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
            + _TEXT_PART * 2
            + b"--b--"
        ),
    )
    yield "500 levels", nested(500)
    yield "10,000 parts", many_parts(10_000)
    yield (
        "a digest of nothing",
        _HEAD + b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n--b--",
    )
    inner = _MIXED + b"--b\r\nContent-Type: message/rfc822\r\n"
    yield "an attached message that is cut", inner + b"\r\nSubj"
    encoded = b"Content-Transfer-Encoding: base64\r\n\r\n!!\r\n--b--"
    yield "a nested message in base64", inner + encoded
    yield (
        "a thousand attached messages in each other",
        (b"Content-Type: message/rfc822\r\n\r\n" * 1000 + _HEAD + b"\r\nhello"),
    )


_HEADER_VALUES = {
    "8-bit UTF-8": "Größe".encode(),
    "8-bit Latin-1": "Größe".encode("latin-1"),
    "half a character": b"Gr\xc3",
    "an unknown charset in a word": b"=?no-such-charset?Q?Gr=F6=DFe?=",
    "a word that is no charset": b"=?zip?B?eJw=?= =?idna?Q?x--?= =?punycode?Q?a-?= =?undefined?Q?a?=",
    "damaged base64 in a word": b"=?utf-8?B?R3L!w7bDn2U?=",
    "a word cut off": b"=?utf-8?B?R3LD",
    "a word with a line break in it": b"=?utf-8?Q?a=0D=0ABcc:_eve=40example.com?=",
    "a character cut in two words": b"=?utf-8?B?w7bD?= =?utf-8?B?nw==?=",
    "a word with a zero byte": b"=?utf-8\0?Q?a=00b?=",
    "lone surrogates in UTF-7": b"=?utf-7?Q?+2AA-?=",
    "a word in quotes": b'"=?utf-8?Q?L=C3=B6v?=, Ada" <ada@example.com>',
    "a word in an address": b"Ada <=?utf-8?Q?ada?=@example.com>",
    "words that touch others": b"a=?utf-8?Q?=C3=B6?=b=?utf-8?Q?=C3=9F?=(=?utf-8?Q?c?=)",
    "a comma in a word": b"ada@example.com =?utf-8?q?=2C?= bob@example.org",
    "a comma in many words": b"=?utf-8?q?=2C?= " * 30_000,
    "a lone carriage return": b"Gr\r\xc3\xb6\xc3\x9fe",
    "a line of spaces": b"a\r\n \t \r\n b",
    "zero bytes": b"a\0b\0@example.com",
    "every control character": bytes(set(range(32)) - set(b"\r\n")),
    "brackets that are not closed": b"a <b@c <d@e " * 20_000,
    "many addresses and a bad one": b"Ada <ada@example.com>, " * 20_000 + b"(",
    "at signs": b"@" * 100_000,
    "spaces": b"a" + b" " * 100_000 + b"@",
    "a fold in the middle": b"=?utf-8?Q?Gr\r\n =C3=B6=C3=9Fe?=",
    "one megabyte": b"x" * 1_000_000,
    "encoded words without an end": b"=?a?Q?" * 30_000,
    "brackets": b"(" * 100_000 + b"<" * 100_000,
    "quotes": b'"' * 200_000,
    "commas": b"a@b," * 50_000,
    "nothing": b"",
}


def _headers() -> Iterator[tuple[str, bytes]]:
    names = (b"From", b"To", b"Cc", b"Bcc", b"Reply-To", b"Subject", b"Date", b"Message-ID")
    for what, value in _HEADER_VALUES.items():
        long = len(value) > 1000  # one of each kind of header is enough, and quicker
        lines = b"".join(name + b": " + value + b"\r\n" for name in names[:: 5 if long else 1])
        yield f"headers with {what}", lines + b"\r\nhello"
    for date in (b"yesterday", b"Mon, 99 Foo 2026 25:61:61 +9999", b"1 Jan 99999999999 00:00:00", b"-0000"):  # fmt: skip
        yield f"the date {date.decode()}", b"Date: " + date + b"\r\n\r\n"
    addresses = (
        b"<>", b"<", b">", b"@", b"Ada <ada@example.com", b"ada@example.com>", b"undisclosed-recipients:;",
        b"Lovelace, Ada <ada@example.com>", b'"Ada <ada@example.com>', b"(((", b"Ada (a (b) c@d", b";;;",
        b"<@one,@two:ada@example.com>", b"=?utf-8?Q?Lovelace,_Ada?= <ada@example.com>", b"Ada", b"a b c",
    )  # fmt: skip
    for address in addresses:
        yield f"the address {address.decode()}", b"From: %b\r\nTo: %b\r\n\r\n" % (address, address)
    yield "a header without a name", b": value\r\nSubject: Report\r\n\r\nhello"
    yield "a header without a colon", b"Subject: Report\r\nnonsense\r\nTo: b@c\r\n\r\nhello"
    yield "a space before the colon", b"Subject : Report\r\n\r\nhello"
    yield "a continuation first", b" continued\r\nSubject: Report\r\n\r\nhello"
    yield "each header twice", _HEAD + _HEAD + b"\r\nhello"
    yield "two types", b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n<p>a</p>"
    yield "a name that is not ASCII", "Größe: 1\r\nSubject: Report\r\n\r\nhi".encode()
    yield "a colon and nothing else", b":\r\n\r\nhi"
    yield "line breaks of three kinds", b"Subject: a\nTo: b\r\nCc: c\rDate: d\r\n\r\nhi"
    yield "a megabyte of folded lines", b"Subject: a" + b"\r\n a" * 250_000 + b"\r\n\r\nhi"
    yield "no date and no sender", b"Subject: Report\r\n\r\nhello"
    yield "a hundred thousand headers", b"X-Mark: 1\r\n" * 100_000 + b"\r\nhello"


def _types() -> Iterator[tuple[str, bytes]]:
    types = (
        b"text", b"/", b"text/", b"/plain", b"; charset=utf-8", b"text/plain; charset", b"text/plain; charset=",
        b'text/plain; charset="utf-8', b"text/plain; charset=no-such-charset", b"text/plain; charset=\0",
        b"text/plain; charset=base64", b"text/plain; charset=idna", b"text/plain; charset=\xff\xfe",
        b"text/plain; charset*=utf-8''utf-8", b"text/plain; charset*0=ut; charset*1=f-8", b"text/plain; charset=utf-16",
        b"text/html; charset=unicode_escape", b"multipart/alternative", b"multipart/mixed; boundary*=b''",
        b"multipart/mixed; boundary*99999999999999999999=b", b"multipart/mixed; boundary=" + b"b" * 100_000,
        b"application/octet-stream; name*=utf-8''%", b"application/octet-stream; name*=nope''%ff%fe",
        b"application/octet-stream; name*1*=b; name*0*=utf-8''a%", b'application/x; name="=?utf-8?Q?a=0D=0Ab?="',
        b'application/x; name="../../etc/passwd"', b'application/x; name="\\', b"application/x;" + b"a=b;" * 100_000,
        b"application/x; name*" + b"9" * 5000 + b"=x", b"x" * 100_000, b"image/png; name=" + b"a" * 100_000,
    )  # fmt: skip
    for kind in types:
        shown = kind[:60].decode("ascii", "replace")
        body = b"hello \\x \xff\xfe\r\n--b\r\n\r\nhello\r\n"
        head = _HEAD + b"Content-Type: " + kind
        yield f"the type {shown} ({len(kind)})", head + b"\r\n\r\n" + body
    for disposition in (b"", b"attachment; filename", b'attachment; filename="', b"filename=x", b";;;=;", b"\xff"):  # fmt: skip
        part = b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\nhello\r\n--b--\r\n"
        yield f"the disposition {disposition!r}", _MIXED + part


def _bodies() -> Iterator[tuple[str, bytes]]:
    whole = base64.encodebytes(bytes(range(256)) * 8)
    base64s = {
        "cut": whole[:-7], "with dirt": whole.replace(b"A", b"A!*", 3), "of one character": b"A", "of padding": b"====",
        "twice": b"aGVsbG8=\r\naGVsbG8=\r\n", "and a footer": b"aGVsbG8=\r\n-- \r\nthe list's footer\r\n",
    }  # fmt: skip
    for what, data in base64s.items():
        head = _HEAD + b"Content-Type: application/pdf; name=a.pdf\r\n"
        head += b"Content-Transfer-Encoding: base64\r\n\r\n"
        yield f"base64 {what}", head + data
        yield f"text in base64 {what}", head.replace(b"application/pdf", b"text/plain") + data
    for encoding, body in {
        b"quoted-printable": b"a=\r\n=ZZ=3=", b"x-uuencode": b"begin 644 a\r\nnot uu\xff\r\n", b"no-such": b"hello",
        b"8bit": b"Gr\xc3\xb6\xff", b"BASE64 ": b"aGVsbG8=", b"": b"hello",
    }.items():  # fmt: skip
        yield (
            f"the encoding {encoding!r}",
            _HEAD + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body,
        )
    pages = (
        b"<", b"<<<<", b"<p", b"<p class='", b"<!--", b"<script>", b"<a href=x><a href=y></a></a></a>", b"&#xD800;&#9999999999;",
        b"<b " * 100_000, b"<a href='" * 50_000, b"<!--" * 100_000, b"<p>" * 100_000, b"<pre>" * 50_000, b"<script>" * 50_000,
        b"<meta charset=no-such>Gr\xf6\xdfe", b"</p></p>", b"\0<\0p>", b"<a href=https://example.com/>" * 20_000 + b"x</a>" * 20_000,
    )  # fmt: skip
    for page in pages:
        shown = page[:20].decode("ascii", "replace")
        yield f"the page {shown} ({len(page)})", _HEAD + b"Content-Type: text/html\r\n\r\n" + page


def _wrong_charsets() -> Iterator[tuple[str, bytes]]:
    text = "Größe “x” 日本 \ufeff"
    for said in (
        "us-ascii",
        "utf-8",
        "utf-16",
        "utf-7",
        "iso-8859-1",
        "iso-2022-jp",
        "big5",
        "x",
        "",
    ):
        for real in ("utf-8", "utf-8-sig", "utf-16", "utf-32-be", "cp1252", "gb18030", "utf-7"):
            head = f"Subject: =?{said}?Q?a?=\r\nContent-Type: text/plain; charset={said}\r\n\r\n"
            yield f"{real} that says {said}", head.encode() + text.encode(real, "replace")


def _files() -> Iterator[tuple[str, bytes]]:
    names = (
        b'name="winmail.dat"', b"name=smime.p7m", b"name=smime.p7s", b"name*=utf-8''%", b"name*=utf-8''%ff%C3%zz%",
        b"name*=''a%20b", b"name*=utf-8'a", b"name*0*=utf-8''a%C3; name*1*=%B6b", b"name*2=c; name*0=a; name*1=b",
        b"name*1=b; name*3=d", b"name*0=a; name*0=b; name=c", b"name*=no-such''%F6", b"name*=utf-7''+2AA-",
        b'name="=?utf-8?Q?a?="', b"name==?utf-8?B?w7Y=?=", b"name==?utf-8?B?w7b", b'name="a\r\n b"', b"name='a.pdf'",
        b"name=a b c.pdf", b"name=a;b.pdf", b'name="a" ; name="b"', b"name=\xff.pdf", b'name="\\\\x\\y"', b"NAME=A.PDF",
    )  # fmt: skip
    kinds = (b"application/ms-tnef", b"application/pkcs7-mime; x=y", b"message/rfc822", b"text/plain")  # fmt: skip
    for number, name in enumerate(names):
        shown = name.decode("ascii", "replace")
        head = b"Content-Type: " + kinds[number % len(kinds)] + b"; " + name + b"\r\n"
        yield f"a part with {shown}", _MIXED + _TEXT_PART + b"--b\r\n" + head + b"\r\nx\r\n--b--"
        shown_as = b"Content-Disposition: attachment; file" + name + b"\r\n"
        yield f"nothing but a file with {shown}", _HEAD + head + shown_as + b"\r\nx"


def _multiparts() -> Iterator[tuple[str, bytes]]:
    flowed = b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\none \r\ntwo\r\n-- \r\nme"
    yield "flowed text", _HEAD + flowed
    for kind in (b"report", b"signed; protocol=y", b"encrypted", b"form-data", b"x", b"digest"):
        head = _HEAD + b"Content-Type: multipart/" + kind + b'; boundary="b c?*+("\r\n\r\n'
        yield f"multipart/{kind.decode()}", head + b"--b c?*+(\r\n\r\na\r\n--b c?*+( \t\r\n\r\nb"
    dashes = b"-" * 60 + b"\r\n"
    for body in (b"-" * 100_000, dashes * 2_000, b"--" + dashes + b"-\r\n" * 20_000):
        head = _HEAD + b"Content-Type: multipart/mixed; boundary=" + b"-" * 56 + b"\r\n\r\n"
        yield f"a boundary of dashes in {len(body)} dashes", head + body
    yield "a multipart in base64", b"Content-Transfer-Encoding: base64\r\n" + _MIXED + _TEXT_PART


def _mutations() -> Iterator[tuple[str, bytes]]:
    """Damage a whole message at random, the same way each time."""
    whole = bytes(
        _MIXED
        + b'--b\r\nContent-Type: multipart/alternative; boundary="c"\r\n\r\n--c\r\n\r\nhello\r\n'
        + b"--c\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>hello<img src='cid:1'></p>\r\n--c--\r\n"
        + b"--b\r\nContent-Type: image/png; name*0*=utf-8''a%20; name*1=b.png\r\nContent-ID: <1>\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"png" * 100) + b"--b--\r\n"
    )  # fmt: skip
    chance = random.Random(2026)
    for number in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            place = chance.randrange(len(damaged))
            match chance.randrange(3):
                case 0:
                    damaged[place] = chance.randrange(256)
                case 1:
                    del damaged[place : place + chance.randint(1, 40)]
                case _:
                    damaged[place:place] = damaged[place - 20 : place + 20]
        yield f"mutation {number}", bytes(damaged)


def nested(levels: int) -> bytes:
    """Build a multipart in a multipart, and so on."""
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level)
        for level in range(levels)
    )
    tail = b"".join(b"\r\n--b%d--" % level for level in reversed(range(levels)))
    return _HEAD + head + b"\r\nhello" + tail


def many_parts(count: int) -> bytes:
    """Build one multipart of so many small attachments."""
    part = b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
    return _MIXED + part * count + b"--b--\r\n"
