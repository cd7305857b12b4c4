"""Commands sent one behind the other."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mailoauth.mail.commands import Fetch, Refused, SearchCommand
from mailoauth.mail.pipeline import Pipeline


class FakeWire:
    """A line whose answers were written beforehand."""

    def __init__(self, *lines: bytes) -> None:
        self.sent: list[bytes] = []
        self._lines = [[line + b"\r\n"] for line in lines]

    def new_tag(self) -> bytes:
        return b"T%d" % (len(self.sent) + 1)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def next_response(self) -> list[bytes]:
        return self._lines.pop(0)

    def received_message(self) -> list[bytes] | None:
        return None  # each line comes alone

    def abort(self, text: str) -> Exception:
        return AssertionError(text)

    def goodbye(self, line: bytes) -> Exception:
        return EOFError(line)


def sizes(*uids: int) -> Fetch:
    return Fetch(uids, b"UID RFC822.SIZE", "size")


def taken(fetch: Fetch) -> list[int]:
    found = []
    while (items := fetch.next()) is not None:
        found.append(items["size"])
    return found


def test_a_second_answer_belongs_to_the_second_command() -> None:
    """Dovecot sends the end of a command after the data of the next."""
    wire = FakeWire(
        b"* 1 FETCH (UID 5 RFC822.SIZE 100)",
        b"* 2 FETCH (UID 6 RFC822.SIZE 101)",
        b"* 1 FETCH (UID 5 RFC822.SIZE 200)",
        b"* 2 FETCH (UID 6 RFC822.SIZE 201)",
        b"T1 OK done",
        b"T2 OK done",
    )
    pipeline = Pipeline(cast("Any", wire))
    first, second = sizes(5, 6, 7), sizes(5, 6)
    pipeline.send(first, b"UID FETCH 5:7 (UID RFC822.SIZE)")
    pipeline.send(second, b"UID FETCH 5:6 (UID RFC822.SIZE)")
    pipeline.finish(second)
    assert taken(first) == [100, 101]
    assert taken(second) == [200, 201]


def test_a_fetch_is_over_with_its_last_message() -> None:
    wire = FakeWire(b"* 1 FETCH (UID 5 RFC822.SIZE 100)")
    pipeline = Pipeline(cast("Any", wire))
    fetch = sizes(5)
    pipeline.send(fetch, b"UID FETCH 5 (UID RFC822.SIZE)")
    pipeline.advance()
    assert fetch.over
    assert taken(fetch) == [100]
    assert pipeline.busy


def test_what_nobody_waits_for_is_read_past() -> None:
    wire = FakeWire(b"* 1 FETCH (UID 5 RFC822.SIZE 100)", b"T1 OK done")
    pipeline = Pipeline(cast("Any", wire))
    pipeline.send(sizes(5), b"UID FETCH 5 (UID RFC822.SIZE)")
    pipeline.drain()
    assert not pipeline.busy


def test_a_literal_waits_for_the_server_in_between() -> None:
    wire = FakeWire(b"* 3 EXISTS", b"+ go on", b"* SEARCH 7", b"T1 OK done")
    pipeline = Pipeline(cast("Any", wire))
    search = SearchCommand()
    pipeline.send(search, b"UID SEARCH CHARSET UTF-8 SUBJECT {2}\r\n", "ü".encode())
    assert wire.sent == [
        b"T1 UID SEARCH CHARSET UTF-8 SUBJECT {2}\r\n",
        "ü".encode() + b"\r\n",
    ]
    pipeline.finish(search)
    assert list(search.uids) == [7]


def test_a_command_that_is_refused_before_its_literal_sends_none() -> None:
    wire = FakeWire(b"T1 NO [BADCHARSET] not in these letters")
    pipeline = Pipeline(cast("Any", wire))
    search = SearchCommand()
    pipeline.send(search, b"UID SEARCH CHARSET UTF-8 SUBJECT {2}\r\n", "ü".encode())
    assert len(wire.sent) == 1
    with pytest.raises(Refused, match="BADCHARSET"):
        pipeline.finish(search)
