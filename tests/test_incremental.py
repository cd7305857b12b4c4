"""Transfer encodings undone piece by piece: the same comes out as of the whole."""

from __future__ import annotations

import base64
import binascii
import random
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from mailoauth.mail.incremental import decoded
from mailoauth.mail.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What damage is made of: everything that means something to one of the encodings.
DIRT = [b"=", b"==", b"=\r", b"=\n", b"=4", b"\r", b"\n", b"\r\n", b"!", b"-- \r\n", b"A", b"end\n", b"\0", b"`", b" "]  # fmt: skip


def whole(encoding: str, body: bytes) -> bytes:
    """Decode at once, as a message that is in memory does."""
    raw = b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body
    return Part(raw, 0, len(raw)).decode()[0]


def cut(body: bytes, chance: random.Random) -> Iterator[bytes]:
    """Cut at random, often into very small pieces."""
    position = 0
    longest = chance.choice([1, 2, 3, 7, 80, 1000])
    while position < len(body):
        end = position + chance.randint(0, longest)
        yield body[position:end]
        position = end


def uuencode(data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[place : place + 45]) for place in range(0, len(data), 45)]
    return b"begin 644 a\n" + b"".join(lines) + b"`\nend\n"


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
    "quoted-printable": lambda data: binascii.b2a_qp(data, istext=False).replace(b"\n", b"\r\n"),
    "x-uuencode": uuencode,
    "8bit": bytes,
}


def damage(body: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(body)
    for _ in range(chance.randint(0, 5)):
        place = chance.randint(0, len(damaged))
        if chance.random() < 0.3:
            del damaged[place : place + chance.randint(1, 40)]
        else:
            damaged[place:place] = chance.choice(DIRT)
    return bytes(damaged)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_what_was_cut_anywhere_and_damaged_decodes_as_the_whole_does(encoding: str) -> None:
    chance = random.Random(encoding)
    for _ in range(1500):
        data = chance.randbytes(chance.choice([0, 1, 2, 3, 50, 400]))
        body = damage(ENCODERS[encoding](data), chance)
        pieces = list(cut(body, chance))
        assert b"".join(decoded(encoding, pieces)) == whole(encoding, body), pieces


@pytest.mark.parametrize("encoding", ENCODERS)
def test_noise_of_what_means_something_decodes_as_the_whole_does(encoding: str) -> None:
    chance = random.Random(encoding)
    for _ in range(3000):
        body = b"".join(chance.choices(DIRT, k=chance.randint(0, 12)))
        pieces = list(cut(body, chance))
        assert b"".join(decoded(encoding, pieces)) == whole(encoding, body), pieces


@pytest.mark.parametrize("encoding", ENCODERS)
def test_what_is_undamaged_comes_out_as_it_went_in(encoding: str) -> None:
    data = random.Random(1).randbytes(10_000)
    pieces = cut(ENCODERS[encoding](data), random.Random(2))
    assert b"".join(decoded(encoding, pieces)) == data


def test_two_paddings_that_are_far_apart_are_decoded() -> None:
    part = base64.encodebytes(b"x" * 1_000_000)
    body = part * 3
    pieces = [body[place : place + 300_000] for place in range(0, len(body), 300_000)]
    assert b"".join(decoded("base64", pieces)) == b"x" * 3_000_000 == whole("base64", body)


def test_a_footer_after_the_padding_is_not_content() -> None:
    body = base64.encodebytes(b"hello") + b"This list is run by robots, kindly\r\n"
    for place in range(len(body)):
        pieces = [body[:place], body[place:]]
        assert b"".join(decoded("base64", pieces)) == b"hello"


def test_an_encoding_is_known_however_it_is_written() -> None:
    assert b"".join(decoded(" BASE64; ", [b"aGVs", b"bG8="])) == b"hello"
    assert b"".join(decoded("no-such", [b"aGVs", b"bG8="])) == b"aGVsbG8="


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode"])
@pytest.mark.parametrize("filling", [b"A", b"=", b"=\r", b"\r", b"A=", b"=4", b" "])
def test_no_dirt_takes_long(encoding: str, filling: bytes) -> None:
    piece = filling * (100_000 // len(filling))
    began = time.perf_counter()
    for _ in decoded(encoding, [piece] * 20):
        pass
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    ("encoding", "filling"),
    [
        ("base64", b"A"),
        ("base64", b"AAAA" * 100 + b"="),
        ("quoted-printable", b"A"),
        ("quoted-printable", b"=\r"),
        ("x-uuencode", b"A"),
    ],
)
def test_nothing_without_an_end_is_kept(encoding: str, filling: bytes) -> None:
    piece = filling * (100_000 // len(filling))
    tracemalloc.start()
    for _ in decoded(encoding, (piece for _ in range(100))):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
