"""Keywords to SEARCH: the words, and what imapclient makes of them on a line."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, date, datetime
from typing import Any

import pytest
from imapclient import IMAPClient

from mailoauth.errors import ConfigError
from mailoauth.mail import criteria
from mailoauth.mail.message import Address


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({}, ["ALL"]),
        ({"unseen": None, "sender": None}, ["ALL"]),
        ({"unseen": True}, ["UNSEEN"]),
        ({"unseen": False}, ["SEEN"]),
        ({"seen": True}, ["SEEN"]),
        ({"flagged": True}, ["FLAGGED"]),
        ({"flagged": False}, ["UNFLAGGED"]),
        ({"since": date(2026, 1, 31)}, ["SINCE", date(2026, 1, 31)]),
        ({"before": datetime(2026, 1, 31, 23, tzinfo=UTC)}, ["BEFORE", date(2026, 1, 31)]),
        ({"sender": "ann@example.com"}, ["FROM", b"ann@example.com"]),
        ({"sender": Address("Ann", "ann@example.com")}, ["FROM", b"ann@example.com"]),
        ({"message_id": "<1@example.com>"}, ["HEADER", "Message-ID", b"<1@example.com>"]),
        ({"larger": 5, "smaller": 9}, ["LARGER", 5, "SMALLER", 9]),
        ({"uid": 7}, ["UID", "7"]),
        ({"uid": [9, 1, 2, 3, 2]}, ["UID", "1:3,9"]),
        ({"uid": range(5, 8)}, ["UID", "5:7"]),
        ({"uid": "100:*"}, ["UID", "100:*"]),
        ({"not_": {"seen": True}}, ["NOT", "SEEN"]),
        ({"not_": {"seen": True, "larger": 5}}, ["NOT", ["LARGER", 5, "SEEN"]]),
        ({"any_of": [{"seen": True}]}, ["SEEN"]),
        (
            {"any_of": [{"seen": True}, {"larger": 5}, {"flagged": True, "uid": 1}]},
            ["OR", "SEEN", "OR", "LARGER", 5, ["FLAGGED", "UID", "1"]],
        ),
    ],
)
def test_keywords_become_search_keys(keywords: dict[str, Any], words: list[Any]) -> None:
    search = criteria.compile(**keywords)
    assert search.criteria == words
    assert search.charset is None


def test_text_outside_ascii_asks_for_utf_8_at_any_depth() -> None:
    assert criteria.compile(subject="Größe").charset == "UTF-8"
    assert criteria.compile(not_={"subject": "Größe", "seen": True}).charset == "UTF-8"


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"since": "2026-01-31"}, "date"),
        ({"before": 5}, "date"),
        ({"unsen": True}, "Did you mean unseen"),
        ({"zzz": True}, "There are any_of"),
        ({"subject": "a\r\nA1 LOGOUT"}, "control character"),
        ({"subject": "a\0"}, "control character"),
        ({"subject": "\udc80"}, "not text"),
        ({"sender": ""}, "empty"),
        ({"sender": 5}, "text"),
        ({"unseen": "yes"}, "True or False"),
        ({"larger": -1}, "octets"),
        ({"larger": True}, "octets"),
        ({"uid": 0}, "number"),
        ({"uid": []}, "number"),
        ({"uid": "1 LOGOUT"}, "number"),
        ({"uid": "7:1\r\n"}, "number"),
        ({"not_": {}}, "dictionary"),
        ({"not_": "seen"}, "dictionary"),
        ({"any_of": []}, "at least one"),
        ({"any_of": {"seen": True}}, "at least one"),
        ({"any_of": [{"seen": "x"}]}, "True or False"),
    ],
)
def test_what_cannot_be_searched_is_a_configuration_error(
    keywords: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        criteria.compile(**keywords)


def test_the_repr_does_not_show_whom_somebody_searches_for() -> None:
    assert "ann" not in repr(criteria.compile(sender="ann@example.com"))


@pytest.mark.parametrize(
    ("keywords", "line"),
    [
        ({"subject": "two words"}, b'SUBJECT "two words"'),
        ({"subject": "re(port)"}, b'SUBJECT "re(port)"'),
        ({"subject": "50%*"}, b'SUBJECT "50%*"'),
        ({"subject": 'a"b\\c(d'}, b'SUBJECT "a\\"b\\\\c(d"'),
        ({"since": date(2026, 1, 5)}, b"SINCE 05-Jan-2026"),
        ({"uid": [1, 2]}, b"UID 1:2"),
        ({"any_of": [{"to": "a b", "text": "c)"}, {"body": "d"}]}, b'OR (TEXT "c)" TO "a b" ALL) BODY d'),
        ({"subject": "Größe"}, b"CHARSET UTF-8 SUBJECT {7+} Gr\xc3\xb6\xc3\x9fe"),
        ({"not_": {"seen": True, "subject": "ö ö"}}, b"CHARSET UTF-8 NOT (SEEN SUBJECT {5+} \xc3\xb6 \xc3\xb6 ALL)"),
    ],
)  # fmt: skip
def test_imapclient_sends_a_well_formed_line(keywords: dict[str, Any], line: bytes) -> None:
    search = criteria.compile(**keywords)
    received = sent_by_imapclient(search)
    assert b" ".join(received.split()) == line


def sent_by_imapclient(search: criteria.Search) -> bytes:
    """Let imapclient send the search to a scripted server and return what came after SEARCH."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve_one_search, args=(listener, received))
        server.start()
        host, port = listener.getsockname()
        client = IMAPClient(host, port, ssl=False, timeout=10)
        client.search(search.criteria, search.charset)
        client.shutdown()
        server.join(10)
    return b"".join(received)


def serve_one_search(listener: socket.socket, received: list[bytes]) -> None:
    line, _ = listener.accept()
    with line, line.makefile("rwb") as stream:
        stream.write(b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
        stream.flush()
        tag = b""
        while data := stream.readline():
            if not tag and b" SEARCH " in data:
                tag, _, data = data.partition(b" UID SEARCH ")
            if tag:
                received.append(data)
                if not data.endswith(b"+}\r\n"):
                    stream.write(b"* SEARCH\r\n" + tag + b" OK done\r\n")
                    stream.flush()
                    return
            elif b"CAPABILITY" in data:
                stream.write(
                    b"* CAPABILITY IMAP4rev1 LITERAL+\r\n" + data.split()[0] + b" OK done\r\n"
                )
                stream.flush()
