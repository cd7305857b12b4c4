"""The quick ways of reading mail and the thorough ones give the same, on thousands of inputs."""

from __future__ import annotations

import base64
import binascii
import email.utils
import itertools
import random
import re
from datetime import UTC, datetime

from mailoauth.mail import addresses, decoding, head, parts
from mailoauth.mail.message import Message
from mailoauth.mail.names import safe_name
from mailoauth.mail.transfer import decode_base64


def soups(pieces: list[bytes], count: int, most: int = 9) -> list[bytes]:
    """Put pieces together at random, the same way each time."""
    chance = random.Random(2026)
    return [b"".join(chance.choices(pieces, k=chance.randint(0, most))) for _ in range(count)]


def date_as_the_library_reads_it(text: str) -> datetime | None:
    try:
        parsed = email.utils.parsedate_to_datetime(text[:200])
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def test_dates_are_read_as_the_standard_library_reads_them() -> None:
    days = ["Mon, ", "Xyz, ", "", "mon, ", "Mon,", "Monday, ", " "]
    numbers = ["2", "02", "31", "30", "0", "99"]
    months = ["Feb", "feb", "FEB", "Foo", "Dec", "February", "12"]
    years = ["2026", "1999", "2000", "26", "0026", "99", "20260", "1000"]
    times = ["10:00:00", "23:59:60", "24:00:00", "9:05", "10:00", "10:60:00", "10.00.00", ""]
    zones = ["+0100", "-0000", "+0000", "-1145", "+0199", "+2400", "-2359", "GMT", "UT", "EST"]
    zones += ["", "+01:00", "+0100 (CET)", "+0100 (a) b", "-0800 (Pacific (x))", "Z", "+0100 "]
    chance = random.Random(2026)
    kinds = (days, numbers, months, years, times, zones)
    usual = 0
    for _ in range(20_000):
        # Mostly the first of each kind, so that one thing is odd and not all of them.
        day, number, month, year, time, zone = (
            kind[0] if chance.random() < 0.6 else chance.choice(kind) for kind in kinds
        )
        text = f"{day}{number} {month} {year} {time} {zone}"
        expected = date_as_the_library_reads_it(text)
        read = decoding.decode_date(text)
        assert read == expected, text
        assert (read and read.utcoffset()) == (expected and expected.utcoffset()), text
        usual += decoding._DATE.fullmatch(text) is not None
    assert usual > 2_000


def test_plain_addresses_are_read_as_odd_ones_are() -> None:
    pieces = [
        b"Ada", b" ", b"  ", b"\t", b"Lovelace", b"<ada@example.com>", b"ada@example.com", b",", b";", b'"Lovelace, Ada"',
        b'"', b"(x)", b"=?utf-8?Q?=C3=B6?=", b"=?", b":", b"<", b">", b"@", b".", b"\xc3\xb6", b"\xff", b"O'Neil",
        b"\x00", b"\\", b"[1.2.3.4]", b"\xc2\xa0", b"\x1f", b"Bob <bob@example.org>", b", carol@example.com", b'"" <a@b>',
        b'"  a  b " <a@b>', b"a=b@example.com", b"Ada <ada@example.com>, ", b"x@y ",
    ]  # fmt: skip
    plain = 0
    for value in soups(pieces, 20_000, 6):
        text = decoding.decode_text(value)
        assert addresses.parse_addresses(value) == addresses._read_any(text), text
        plain += bool(addresses._read_plain(text))
    assert plain > 500


def test_regular_header_blocks_are_read_as_irregular_ones_are() -> None:
    pieces = [
        b"Subject: a", b"To:b", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\n ",
        b":", b": c", b"X", b"\x00", b"\xff", b"From ada\r\n", b">From b\r\n", b"\r\n\r\n", b"\n\n", b"\x0b", b"X-Y: z\r\n",
    ]  # fmt: skip
    regular = 0
    soup = soups(pieces, 20_000, 14)
    for raw in soup + [each.replace(b"\r\n", b"\n") for each in soup]:
        for start, end in ((0, len(raw)), (2, len(raw) - 3)):
            expected = head.read_any(raw, start, end)
            assert head.read_head(raw, start, end) == expected, raw
            regular += head._read_regular(raw, start, end) is not None
    assert regular > 2_000


def test_plain_parameters_are_read_as_odd_ones_are() -> None:
    pieces = [
        b"name", b"filename", b"charset", b"=", b"=", b'"', b"a.pdf", b"a b", b";", b"; ", b" ", b"*", b"*0", b"*1*",
        b"utf-8''", b"%C3%B6", b"=?utf-8?Q?=C3=B6?=", b"\\", b"(c)", b"text/plain", b"attachment", b"\xff", b"\xc3\xb6",
        b"\x00", b"\x0b", b'"b;c"', b"Name=x", b"\x1c",
    ]  # fmt: skip
    for value in soups(pieces, 30_000, 10):
        expected = decoding._decode_segments(value)
        assert decoding.decode_parameters(value) == expected, value


def test_parts_are_the_stretches_between_the_lines_of_the_boundary() -> None:
    pieces = [
        b"--b", b"--b--", b"--b-2", b"--bb", b"-", b"b", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"text",
        b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b-- \t\r\n",
    ]  # fmt: skip
    top = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for body in soups(pieces, 20_000, 16):
        root = parts.Part(top + body, 0, len(top + body))
        leaves, _ = parts.scan(root)
        found = [leaf.part.raw[leaf.part.start : leaf.part.end] for leaf in leaves]
        assert found == (stretches(body) or [top + body]), body


def stretches(body: bytes) -> list[bytes]:
    """Cut a body at its boundary line by line."""
    found: list[bytes] = []
    current: bytes | None = None
    for line in re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", body):
        mark = line.rstrip(b" \t\r\n")
        if mark not in {b"--b", b"--b--"}:
            current = None if current is None else current + line
            continue
        if current is not None:
            found.append(re.sub(rb"(\r\n|\r|\n)\Z", b"", current))
        if mark == b"--b--":
            return found
        current = b""
    return [*found, current] if current else found


def base64_as_it_was_decoded_first(data: bytes) -> tuple[bytes, bool]:
    """Take white space out, decode strictly, and pick up the pieces where that fails."""
    compact = data.translate(None, b" \t\r\n")
    try:
        return binascii.a2b_base64(compact, strict_mode=True), True
    except ValueError:
        clean = re.sub(rb"[^A-Za-z0-9+/=]+", b"", compact)
    runs = [run for run in re.split(rb"=+", clean) if run]
    if len(clean) < len(compact):
        runs = runs[:1]
    runs = [run[:-1] if len(run) % 4 == 1 else run for run in runs]
    return b"".join(binascii.a2b_base64(run + b"=" * (-len(run) % 4)) for run in runs), False


def test_base64_is_decoded_as_strictly_as_ever_and_damaged_base64_as_kindly() -> None:
    chance = random.Random(2026)
    dirt = [
        b"=",
        b"==",
        b"!",
        b"-",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\xff",
        b"\0",
        b"A",
        b"AA",
        b"\r\n\r\n",
    ]
    whole = 0
    for number in range(20_000):
        length = chance.choice([4, 16, 57, 76])
        text = base64.b64encode(chance.randbytes(chance.randrange(200)))
        lines = [text[place : place + length] for place in range(0, len(text), length)]
        data = bytearray(chance.choice([b"\r\n", b"\n", b"\r", b""]).join(lines))
        data += chance.choice([b"", b"\r\n", b"\n", b"\r", b" "])
        for _ in range(chance.randrange(4) if number % 3 else 0):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randrange(3)] = chance.choice(dirt)
        expected = base64_as_it_was_decoded_first(bytes(data))
        whole += expected[1]
        assert decode_base64(bytes(data)) == expected, data
        assert decode_base64(b"=A\n" + data + b"A\r\n=", 3, 3 + len(data)) == expected, data
    assert 5_000 < whole < 15_000


def test_every_short_string_is_decoded_from_base64_as_ever() -> None:
    for length in range(7):
        for letters in itertools.product(b"Aa=\n!", repeat=length):
            data = bytes(letters)
            assert decode_base64(data) == base64_as_it_was_decoded_first(data), data


def test_names_that_are_taken_as_they_are_are_safe() -> None:
    pieces = [
        b"con", b"CON", b"nul", b"com1", b"lpt9", b"aux", b"prn", b"conin", b"a", b"Z9", b"_", b".", b"..", b" ", b"  ",
        b"-", b"(1)", b".pdf", b".tar.gz", b"x" * 40, b"." + b"y" * 35, b"~", b"/", b"\\", b":", b"\xc3\xb6",
    ]  # fmt: skip
    as_they_are = 0
    for value in soups(pieces, 20_000, 6):
        name = value.decode()
        assert not name or parts._safe(name) == safe_name(name), name
        as_they_are += parts._SAFE_NAME.fullmatch(name) is not None
    assert as_they_are > 500


def test_an_asked_header_is_the_one_among_all_headers() -> None:
    pieces = [
        b"Subject: a\r\n", b"subject: b\r\n", b"SUBJECT:\r\n", b"Date: x\r\n", b"Subject : c\r\n", b": d\r\n", b" e\r\n",
        b"Message-ID: <1>\r\n", b"message-id: <2>\r\n", b"Subject: \x00 =?utf-8?Q?=C3=B6?=\r\n", b"\tf\r\n",
    ]  # fmt: skip
    for raw in soups(pieces, 5_000, 5):
        mail = Message.from_bytes(raw + b"\r\n")
        assert mail.subject == mail.headers.get("subject", "")
        assert mail.message_id == mail.headers.get("Message-ID", "")
        assert [value for name, value in mail.headers.items() if name.lower() == "subject"] == (
            mail.headers.get_all("SUBJECT")
        )
