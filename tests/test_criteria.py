"""Keywords to SEARCH: the line that is sent, and what is refused before one is."""

from __future__ import annotations

import itertools
import tracemalloc
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail import criteria
from mailoauth.mail.message import Address
from mailoauth.mail.sets import sequence_set

SECRET = "layoffs"


def line(**keywords: Any) -> bytes:
    """Return the search as one line, without literals that wait."""
    (sent,) = criteria.compile(**keywords).command(literal_plus=True)
    return sent


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, b"ALL"),
        ({"unseen": None, "sender": None, "header": None, "raw": None, "not_": None}, b"ALL"),
        ({"unseen": True}, b"UNSEEN"),
        ({"unseen": False}, b"SEEN"),
        ({"seen": True}, b"SEEN"),
        ({"seen": False}, b"UNSEEN"),
        ({"flagged": True}, b"FLAGGED"),
        ({"flagged": False}, b"UNFLAGGED"),
        ({"answered": True}, b"ANSWERED"),
        ({"answered": False}, b"UNANSWERED"),
        ({"deleted": True}, b"DELETED"),
        ({"deleted": False}, b"UNDELETED"),
        ({"since": date(2026, 1, 31)}, b"SINCE 31-Jan-2026"),
        ({"before": datetime(2026, 3, 1, 23, tzinfo=UTC)}, b"BEFORE 01-Mar-2026"),
        ({"on": date(987, 12, 5)}, b"ON 05-Dec-0987"),
        ({"sender": "ann@example.com"}, b'FROM "ann@example.com"'),
        ({"sender": Address("Ann", "ann@example.com")}, b'FROM "ann@example.com"'),
        ({"to": "bob"}, b'TO "bob"'),
        ({"cc": Address("", "bob@example.com")}, b'CC "bob@example.com"'),
        ({"subject": "two words"}, b'SUBJECT "two words"'),
        ({"body": "b", "text": "t"}, b'BODY "b" TEXT "t"'),
        ({"message_id": "<1@example.com>"}, b'HEADER Message-ID "<1@example.com>"'),
        ({"header": {"List-Id": "news"}}, b'HEADER List-Id "news"'),
        ({"header": {"X-Spam": ""}}, b'HEADER X-Spam ""'),
        ({"header": {"A": "1", "B": "2"}}, b'HEADER A "1" HEADER B "2"'),
        ({"header": {"X(1)": "a"}}, b'HEADER "X(1)" "a"'),
        ({"larger": 5, "smaller": 9}, b"LARGER 5 SMALLER 9"),
        ({"larger": 0, "smaller": 2**32 - 1}, b"LARGER 0 SMALLER 4294967295"),
        ({"uid": 7}, b"UID 7"),
        ({"uid": 2**32 - 1}, b"UID 4294967295"),
        ({"uid": [9, 1, 2, 3, 2]}, b"UID 1:3,9"),
        ({"uid": iter([5, 4])}, b"UID 4:5"),
        ({"uid": range(5, 8)}, b"UID 5:7"),
        ({"uid": range(5, 10, 2)}, b"UID 5,7,9"),
        ({"uid": "100:*"}, b"UID 100:*"),
        ({"uid": "9:7,3"}, b"UID 9:7,3"),
        ({"not_": {"seen": True}}, b"NOT SEEN"),
        ({"not_": {"seen": True, "larger": 5}}, b"NOT (LARGER 5 SEEN)"),
        ({"not_": {"header": {"A": "1", "B": "2"}}}, b'NOT (HEADER A "1" HEADER B "2")'),
        ({"not_": {"not_": {"seen": True}}}, b"SEEN"),
        ({"not_": {"any_of": [{"seen": True}, {"larger": 5}]}}, b"NOT OR SEEN LARGER 5"),
        ({"any_of": [{"seen": True}]}, b"SEEN"),
        ({"any_of": [{"seen": True, "larger": 5}], "flagged": True}, b"LARGER 5 SEEN FLAGGED"),
        (
            {"any_of": [{"seen": True}, {"larger": 5}, {"flagged": True, "uid": 1}]},
            b"OR SEEN OR LARGER 5 (FLAGGED UID 1)",
        ),
        ({"any_of": ({"seen": each} for each in (True, False))}, b"OR SEEN UNSEEN"),
    ],
)
def test_keywords_become_search_keys(keywords: dict[str, Any], expected: bytes) -> None:
    search = criteria.compile(**keywords)
    assert search.command(literal_plus=True) == (expected,)
    assert search.command(literal_plus=False) == (expected,)
    assert search.charset is None
    assert search.local is None


def test_every_keyword_of_the_type_is_understood_and_no_other() -> None:
    with pytest.raises(ConfigError) as caught:
        criteria.compile(zzz=True)
    named = caught.value.remedy.removeprefix("There are ").removesuffix(".").split(", ")
    assert set(named) == set(criteria.Criteria.__annotations__)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('say "hi"', b'"say \\"hi\\""'),
        ("back\\slash", b'"back\\\\slash"'),
        ('\\"', b'"\\\\\\""'),
        ("re(port)", b'"re(port)"'),
        ("50%*", b'"50%*"'),
        ("{5}", b'"{5}"'),
        ("{5+}", b'"{5+}"'),
        ("NIL", b'"NIL"'),
        ('" OR ALL SUBJECT "', b'"\\" OR ALL SUBJECT \\""'),
        (" ", b'" "'),
    ],
)
@pytest.mark.parametrize("keyword", ["sender", "to", "cc", "subject", "body", "text"])
def test_what_means_something_to_imap_is_only_a_value(
    keyword: str, text: str, quoted: bytes
) -> None:
    word = {"sender": b"FROM"}.get(keyword, keyword.upper().encode())
    assert line(**{keyword: text}) == word + b" " + quoted
    assert line(header={"X-Y": text}) == b"HEADER X-Y " + quoted
    assert line(raw=["BODY", text.encode()]) == b"BODY " + quoted


@pytest.mark.parametrize("text", ["Größe", "📬", "e\u0301", "日本語"])
def test_text_outside_ascii_is_a_literal_in_utf_8(text: str) -> None:
    octets = text.encode()
    search = criteria.compile(subject=text, unseen=True)
    announced = f"{{{len(octets)}}}\r\n".encode()
    assert search.charset == "UTF-8"
    assert search.command(literal_plus=False) == (
        b"CHARSET UTF-8 SUBJECT " + announced,
        octets + b" UNSEEN",
    )
    assert search.command(literal_plus=True) == (
        b"CHARSET UTF-8 SUBJECT " + announced.replace(b"}", b"+}") + octets + b" UNSEEN",
    )


def test_a_charset_is_asked_for_at_any_depth() -> None:
    assert line(not_={"any_of": [{"seen": True}, {"subject": "ü", "larger": 5}]}) == (
        b"CHARSET UTF-8 NOT OR SEEN (LARGER 5 SUBJECT {2+}\r\n\xc3\xbc)"
    )
    assert criteria.compile(header={"X": "ü"}).charset == "UTF-8"
    assert criteria.compile(raw=["SUBJECT", ["TEXT", "ü".encode()]]).charset == "UTF-8"


def test_each_literal_waits_where_the_server_cannot_do_without() -> None:
    assert criteria.compile(subject="ü", to="ö").command(literal_plus=False) == (
        b"CHARSET UTF-8 SUBJECT {2}\r\n",
        b"\xc3\xbc TO {2}\r\n",
        b"\xc3\xb6",
    )


def test_a_long_value_is_a_literal_without_a_charset() -> None:
    search = criteria.compile(subject="x" * 1000, body="y" * 1001)
    assert search.charset is None
    assert search.local is None
    assert search.command(literal_plus=False) == (
        b"BODY {1001}\r\n",
        b"y" * 1001 + b' SUBJECT "' + b"x" * 1000 + b'"',
    )


def test_a_day_is_the_one_written_in_the_datetime() -> None:
    in_tokyo = datetime(2026, 5, 1, 0, 30, tzinfo=timezone(timedelta(hours=9)))
    assert line(since=in_tokyo) == b"SINCE 01-May-2026"


def test_months_are_english() -> None:
    months = [line(on=date(2026, month, 1))[6:9] for month in range(1, 13)]
    assert b" ".join(months) == b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["OR", "SEEN", "FLAGGED"], b"OR SEEN FLAGGED"),
        (("KEYWORD", "$Label1"), b"KEYWORD $Label1"),
        (["SUBJECT", b"two words"], b'SUBJECT "two words"'),
        (["SUBJECT", b""], b'SUBJECT ""'),
        (['SUBJECT "two words" SEEN'], b'SUBJECT "two words" SEEN'),
        (["SUBJECT", '"two', 'words {5}"'], b'SUBJECT "two words {5}"'),
        (["LARGER", 5, "SENTON", date(2026, 1, 31)], b"LARGER 5 SENTON 31-Jan-2026"),
        (["NOT", ["SEEN", ("DRAFT", "OLD")]], b"NOT (SEEN (DRAFT OLD))"),
        (["(", "SEEN", ")"], b"( SEEN )"),
        (["TEXT", "ü".encode()], b"CHARSET UTF-8 TEXT {2+}\r\n\xc3\xbc"),
    ],
)
def test_raw_keys_are_sent_as_they_are(keys: Any, expected: bytes) -> None:
    assert line(raw=keys) == expected


def test_raw_keys_do_not_reach_beyond_themselves() -> None:
    assert line(raw=["OR", "SEEN"], sender="a") == b'(OR SEEN) FROM "a"'
    assert line(not_={"raw": ["SEEN", "DRAFT"]}) == b"NOT (SEEN DRAFT)"
    assert line(any_of=[{"raw": ["SEEN", "DRAFT"]}, {"uid": 1}]) == b"OR (SEEN DRAFT) UID 1"


ITSELF: dict[str, Any] = {"seen": True}
ITSELF["any_of"] = [ITSELF, ITSELF]
LIST_OF_ITSELF: list[Any] = ["NOT"]
LIST_OF_ITSELF.append(LIST_OF_ITSELF)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"since": "2026-01-31"}, r"date\(2026, 1, 31\)"),
        ({"before": 5}, "date"),
        ({"on": "yesterday"}, "on is a date"),
        ({"unsen": True}, "Did you mean unseen"),
        ({"UNSEEN": True}, "Did you mean unseen"),
        ({"unread": True}, "Did you mean unseen"),
        ({"from_": "a"}, "Did you mean sender"),
        ({"bcc": "a"}, "Did you mean header="),
        ({"zzz": True}, "There are answered, any_of"),
        ({"subject": "a\r\nA1 LOGOUT"}, "control character"),
        ({"subject": "Report\n"}, r"\.strip\(\)"),
        ({"subject": "a\0"}, "control character"),
        ({"subject": "a\x7f"}, "control character"),
        ({"subject": "a\x85b"}, "control character"),
        ({"subject": "\udc80"}, "not text"),
        ({"subject": b"bytes"}, r"subject is a text, not this bytes. Decode"),
        ({"subject": ""}, "empty"),
        ({"body": "x" * 40_000}, "40000 characters"),
        ({"sender": ""}, "empty"),
        ({"sender": 5}, "text"),
        ({"sender": Address("Ann", "")}, "sender is empty"),
        ({"sender": Address("Ann", "a\r\nb")}, "control character"),
        ({"to": ["a@example.com", "b@example.com"]}, r'any_of=\[\{"to": "one"\}'),
        ({"cc": (Address("", "a@example.com"),)}, r'any_of=\[\{"cc"'),
        ({"header": "Subject: a"}, "dictionary of names"),
        ({"header": {}}, "dictionary of names"),
        ({"header": {"Subject:": "a"}}, "without colon"),
        ({"header": {"a b": "c"}}, "name of a header"),
        ({"header": {"": "c"}}, "name of a header"),
        ({"header": {"Ü": "c"}}, "name of a header"),
        ({"header": {"A\r\nB": "c"}}, "name of a header"),
        ({"header": {5: "c"}}, "name of a header"),
        ({"header": {"A": None}}, 'Write ""'),
        ({"header": {"A": 1}}, "A value in header is a text"),
        ({"header": {"A": ["b"]}}, "Give a str"),
        ({"header": {"A": "b\r\n"}}, "control character"),
        ({"unseen": "yes"}, "True or False"),
        ({"answered": 1}, "True or False"),
        ({"deleted": "no"}, "True or False"),
        ({"larger": -1}, "octets"),
        ({"larger": True}, "octets"),
        ({"larger": 1e6}, "1_000_000"),
        ({"smaller": "5k"}, "octets"),
        ({"smaller": 2**32}, "octets"),
        ({"uid": 0}, "number"),
        ({"uid": -7}, "number"),
        ({"uid": 2**32}, "number"),
        ({"uid": True}, "number"),
        ({"uid": []}, "number"),
        ({"uid": [1, 0]}, "number"),
        ({"uid": [1, True]}, "number"),
        ({"uid": [1, "2"]}, "number"),
        ({"uid": range(5)}, "number"),
        ({"uid": range(2, 1)}, "number"),
        ({"uid": b"1:2"}, "number"),
        ({"uid": "1 LOGOUT"}, "number"),
        ({"uid": "7:1\r\n"}, "number"),
        ({"uid": "*"}, "number"),
        ({"uid": "1:99999999999"}, "number"),
        ({"uid": "99999999999:*"}, "number"),
        ({"uid": "\u0661"}, "number"),
        ({"not_": {}}, "dictionary"),
        ({"not_": "seen"}, "dictionary"),
        ({"not_": [{"seen": True}]}, "dictionary"),
        ({"not_": {"sender": None}}, "everything is None"),
        ({"not_": {5: True}}, "has a name"),
        ({"not_": {"ann@example.com": "sender"}}, "has a name"),
        ({"not_": {"subjet": "a"}}, "Did you mean subject"),
        ({"any_of": []}, "at least one"),
        ({"any_of": 5}, "at least one"),
        ({"any_of": "seen"}, "at least one"),
        ({"any_of": {"seen": True}}, "at least one"),
        ({"any_of": ["seen"]}, "dictionary"),
        ({"any_of": [{"seen": "x"}]}, "True or False"),
        ({"any_of": [{"seen": True}, {"sender": None}]}, "everything is None"),
        (ITSELF, "contain itself"),
        ({"raw": "UNSEEN"}, "list of search keys"),
        ({"raw": []}, "list of search keys"),
        ({"raw": ["OR", []]}, "list of search keys"),
        ({"raw": ["SEEN\r\nA1 LOGOUT"]}, "printable ASCII"),
        ({"raw": ["SEEN\n"]}, "printable ASCII"),
        ({"raw": ["SEEN", ["\0"]]}, "printable ASCII"),
        ({"raw": ["SUBJECT", "ü"]}, "as bytes"),
        ({"raw": ["SEEN", ""]}, "printable ASCII"),
        ({"raw": ["SUBJECT", b"a\r\nb"]}, "control character"),
        ({"raw": ["SUBJECT", b"\xff"]}, "UTF-8"),
        ({"raw": ["LARGER", -5]}, "not negative"),
        ({"raw": ["LARGER", True]}, "not negative"),
        ({"raw": ["LARGER", None]}, "not nothing"),
        ({"raw": ["LARGER", 1.5]}, "this float"),
        ({"raw": ["SUBJECT {5}"]}, "literal"),
        ({"raw": ["SUBJECT", "{5+}"]}, "literal"),
        ({"raw": ["CHARSET", "UTF-8", "SEEN"]}, "CHARSET"),
        ({"raw": ["return (min) seen"]}, "RETURN"),
        ({"raw": ['SUBJECT "open']}, "no partner"),
        ({"raw": ['SUBJECT "', "ü A1 LOGOUT".encode(), '"']}, "no partner"),
        ({"raw": ["SEEN) OR (DRAFT"]}, "no partner"),
        ({"raw": ["(SEEN"]}, "no partner"),
        ({"raw": LIST_OF_ITSELF}, "contain itself"),
    ],
)
def test_what_cannot_be_searched_is_a_configuration_error(
    keywords: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        criteria.compile(**keywords)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "keywords",
    [
        {"subject": SECRET + "\n"},
        {"subject": SECRET + "\udc80"},
        {"subject": SECRET.encode()},
        {"sender": [SECRET]},
        {"header": {SECRET + " x": "a"}},
        {"header": {"X": SECRET + "\0"}},
        {"since": SECRET},
        {"unseen": SECRET},
        {"uid": SECRET},
        {"not_": SECRET},
        {"not_": {SECRET + "@example.com": "a"}},
        {"raw": [SECRET + "\n"]},
        {"raw": [SECRET.encode() + b"\xff"]},
        {"raw": ['"' + SECRET]},
    ],
)
def test_an_error_does_not_show_what_somebody_searches_for(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        criteria.compile(**keywords)
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        chain = chain.__cause__ or chain.__context__


def test_the_repr_does_not_show_what_somebody_searches_for() -> None:
    search = criteria.compile(
        subject=SECRET + "ü", header={"X": SECRET}, not_={"to": SECRET}, any_of=[{"cc": SECRET}]
    )
    assert SECRET not in repr(search) + repr(search.key) + repr(search.local)


def test_a_thousand_alternatives_are_a_shallow_tree() -> None:
    addresses = [f"person{number}@example.com" for number in range(1000)]
    sent = line(any_of=[{"sender": address} for address in addresses])
    assert depth_of_or(sent.split()) <= 10
    assert len(sent) < sum(len(address) + len('OR FROM "" ') for address in addresses)
    assert all(f'FROM "{address}"'.encode() in sent for address in addresses)
    assert criteria.compile(any_of=[{"sender": "ü"}] * 1000).local is not None


def depth_of_or(words: list[bytes]) -> int:
    """Return how deep OR is nested in a line of FROM keys, all of which must belong to it."""
    remaining = iter(words)

    def key() -> int:
        if next(remaining) == b"OR":
            return 1 + max(key(), key())
        next(remaining)  # what FROM is followed by
        return 0

    depth = key()
    assert list(remaining) == []
    return depth


def test_a_sequence_set_is_sorted_and_shortened() -> None:
    assert sequence_set([9, 1, 2, 3, 2]) == "1:3,9"
    assert sequence_set(range(1, 501)) == "1:500"
    assert sequence_set(itertools.chain(range(500, 0, -1), [502])) == "1:500,502"
    assert sequence_set([]) == ""


def test_a_range_of_billions_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        assert line(uid=range(1, 2**32)) == b"UID 1:4294967295"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
