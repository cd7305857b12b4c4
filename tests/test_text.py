"""HTML that a person can read without a browser."""

from __future__ import annotations

import time

import pytest

from mailoauth.mail.text import html_to_text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
        ("a   b\n c&nbsp;&amp; d", "a b c & d"),
        ("<style>x{}</style><title>t</title>hello<script>if (a<b) x()</script>", "hello"),
        ("<ul><li>one<li><p>two</p></ul>", "- one\n- two"),
        ("<a href='https://example.com/x'>here</a> now", "here <https://example.com/x> now"),
        ("<a href=https://example.com/>https://example.com</a>", "https://example.com"),
        ("<a href='mailto:ada@example.com'>ada@example.com</a>", "ada@example.com"),
        ("<img alt='a > b'>x", "a > bx"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<!-- a > b -->x<!doctype html>", "x"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("", ""),
    ],
)
def test_html_becomes_readable_text(page: str, text: str) -> None:
    assert html_to_text(page) == text


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<a '",
        '<a ">',
        "<a x='",
        "<!--",
        "<script>",
        "&",
        "</p>",
        "x</a>",
        "<a href=x>y",
    ],
)
def test_hostile_html_takes_time_in_proportion(piece: str) -> None:
    started = time.perf_counter()
    html_to_text(piece * (500_000 // len(piece)))
    assert time.perf_counter() - started < 5
