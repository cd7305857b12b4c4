"""Header fields of a raw message mended: authors replaced, headers ended, the rest untouched."""

from __future__ import annotations

import pytest

from mailoauth.cli import rewriting
from tests.cli_world import ADA


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("From: Ada <ADA@example.com>\n", "From: Ada <ADA@example.com>\n"),
        (
            "From: Ada <ada@example.com>\nSender: x@example.org\n",
            "From: Ada <ada@example.com>\n",
        ),
        (
            "From: a@example.org, b@example.org\nX: y\n",
            "From: ada@example.com\nReply-To: a@example.org,\n b@example.org\nX: y\n",
        ),
        (
            "From: a@example.org\nReply-To: c@example.org\n",
            "From: ada@example.com\nReply-To: c@example.org\n",
        ),
        ("Subject: x\n", "From: ada@example.com\nSubject: x\n"),
        (
            "From: =?utf-8?q?J=C3=BCrgen?=\n <j@example.org>\n",
            "From: =?utf-8?q?J=C3=BCrgen?= <ada@example.com>\nReply-To: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\n",
        ),
    ],
)
def test_rewriting_touches_authors_alone(before: str, after: str) -> None:
    raw, wanted = (f"{text}\nbody\n".replace("\n", "\r\n").encode() for text in (before, after))
    assert rewriting.with_account_as_author(raw, ADA) == wanted


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"", b"\r\n"),
        (b"text\r\n", b"\r\ntext\r\n"),
        (b"A: b\r\n c\r\ntext\r\n", b"A: b\r\n c\r\n\r\ntext\r\n"),
        (b"A: b", b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\ntext", b"A: b\r\n\r\ntext"),
    ],
)
def test_a_header_is_ended_where_it_ends(raw: bytes, wanted: bytes) -> None:
    assert rewriting.completed(raw) == wanted
