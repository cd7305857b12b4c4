"""A search in two steps finds what the server would have found in one."""

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail import criteria
from mailoauth.mail.matching import LocalSearch
from mailoauth.mail.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def local(**keywords: Any) -> LocalSearch:
    found = criteria.compile(**keywords).local
    assert found is not None
    return found


def superset(**keywords: Any) -> bytes:
    """Return what the server is asked instead."""
    (line,) = local(**keywords).search.command(literal_plus=True)
    return line


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"subject": "ü"}, b"ALL"),
        ({"subject": "ü", "unseen": True}, b"UNSEEN"),
        ({"subject": "ü", "sender": "a", "to": "ö"}, b'FROM "a"'),
        ({"header": {"X": "ü", "Y": "y"}}, b'HEADER Y "y"'),
        ({"not_": {"subject": "ü"}}, b"ALL"),
        ({"not_": {"subject": "ü", "seen": True}}, b"ALL"),
        ({"not_": {"not_": {"subject": "ü", "seen": True}}}, b"SEEN"),
        ({"not_": {"any_of": [{"subject": "ü"}, {"seen": True}]}}, b"NOT SEEN"),
        (
            {"not_": {"any_of": [{"subject": "ü"}, {"seen": True}, {"uid": 1}]}},
            b"NOT OR SEEN UID 1",
        ),
        ({"any_of": [{"subject": "ü"}, {"seen": True}]}, b"ALL"),
        ({"any_of": [{"subject": "ü", "uid": 1}, {"seen": True}]}, b"OR UID 1 SEEN"),
        ({"any_of": [{"not_": {"subject": "ü"}}, {"seen": True}]}, b"ALL"),
        ({"subject": "ü", "raw": ["KEYWORD", "$Label1"]}, b"KEYWORD $Label1"),
    ],
)
def test_the_server_is_asked_for_no_less_than_all_that_match(
    keywords: dict[str, Any], expected: bytes
) -> None:
    assert superset(**keywords) == expected
    assert local(**keywords).search.charset is None


def test_a_search_in_ascii_is_left_to_the_server() -> None:
    assert criteria.compile(subject="u", raw=["SEEN"], body="x" * 5000).local is None


RECEIVED = datetime(2026, 5, 1, 0, 30, tzinfo=timezone(timedelta(hours=9)))
MAIL = Message.from_bytes(
    b"From: =?utf-8?q?J=C3=BCrgen_Stra=C3=9Fe?= <juergen@example.com>\r\n"
    b"To: Ann <ann@example.com>\r\nTo: team@example.org\r\n"
    b"Cc: =?iso-8859-1?q?J=F6rg?= <joerg@example.org>\r\n"
    b"Subject: =?utf-8?b?" + base64.b64encode("Größe XL".encode()) + b"?=\r\n"
    b"Message-ID: <abc@example.com>\r\nX-Empty:\r\nX-Tag: one\r\nX-Tag: zw\xc3\xb6lf\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("Schöne Grüße\n".encode())
    + b"\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
    b"<p class=wide>F\xfcr <i>dich</i></p>\r\n--b--\r\n",
    uid=50,
    flags=("\\SEEN", "\\Answered", "$Label1"),
    internal_date=RECEIVED,
    size=1000,
)


@pytest.mark.parametrize(
    ("keyword", "true", "false"),
    [
        ("seen", [True], [False]),
        ("unseen", [False], [True]),
        ("flagged", [False], [True]),
        ("answered", [True], [False]),
        ("deleted", [False], [True]),
        ("since", [date(2026, 4, 30), date(2026, 5, 1), RECEIVED], [date(2026, 5, 2)]),
        ("before", [date(2026, 5, 2)], [date(2026, 5, 1), date(2026, 4, 30)]),
        ("on", [date(2026, 5, 1), RECEIVED], [date(2026, 4, 30)]),
        ("sender", ["jürgen", "STRASSE", "straße", "@EXAMPLE.com", "Ju\u0308rgen"], ["Ann"]),
        ("to", ["ann@", "Ann <", "TEAM"], ["jörg", "juergen"]),
        ("cc", ["JÖRG", "example.org"], ["ann"]),
        ("subject", ["größe xl", "GRÖSSE", "x"], ["XXL", "one"]),
        ("message_id", ["<abc@example.com>", "ABC"], ["<other@example.com>"]),
        ("body", ["schöne grüße", "für", "für dich", "class=wide"], ["Größe", "ann@"]),
        ("text", ["schöne", "größe", "ann@", "X-Tag: one", "zwölf"], ["nowhere"]),
        (
            "header",
            [{"x-empty": ""}, {"X-TAG": "ZWÖLF"}, {"x-tag": "ONE", "Subject": ""}],
            [{"X-Other": ""}, {"X-Empty": "a"}, {"X-Tag": "one", "Subject": "b"}],
        ),
        ("larger", [999], [1000]),
        ("smaller", [1001], [1000]),
        (
            "uid",
            [50, [1, 50], "50:*", "100:20", "1:10,40:60", "60,45:55"],
            [51, "51:*", "1:49", "49,51"],
        ),
        ("not_", [{"flagged": True}, {"seen": True, "uid": 9}], [{"seen": True, "uid": 50}]),
        ("any_of", [[{"uid": 9}, {"seen": True}]], [[{"uid": 9}, {"flagged": True}]]),
    ],
)
def test_each_criterion_is_judged_as_a_server_does(
    keyword: str, true: list[Any], false: list[Any]
) -> None:
    for value in true:
        assert judged(MAIL, **{keyword: value}), value
        assert not judged(MAIL, not_={keyword: value}), value
    for value in false:
        assert not judged(MAIL, **{keyword: value}), value


def judged(message: Message, **keywords: Any) -> bool:
    search = criteria.compile(**keywords)
    return LocalSearch(search, search.key).matches(message)


@pytest.mark.parametrize("keyword", sorted(criteria.Criteria.__annotations__.keys() - {"raw"}))
def test_every_keyword_has_its_judge(keyword: str) -> None:
    values: dict[str, Any] = {
        **dict.fromkeys(["seen", "unseen", "flagged", "answered", "deleted"], True),
        **dict.fromkeys(["since", "before", "on"], date(2026, 5, 1)),
        **dict.fromkeys(["uid", "larger", "smaller"], 1),
        "header": {"X": "y"},
        "not_": {"seen": True},
        "any_of": [{"seen": True}, {"flagged": True}],
    }
    assert isinstance(judged(MAIL, **{keyword: values.get(keyword, "a")}), bool)


def test_a_message_without_a_date_or_headers_meets_what_does_not_ask_for_them() -> None:
    empty = Message.from_bytes(b"")
    for keywords in ({"on": date.min}, {"since": date.min}, {"before": date.max}, {"sender": "a"}):
        assert not judged(empty, **keywords)
        assert judged(empty, not_=keywords)
    assert judged(empty)


def test_only_what_is_said_inside_a_message_needs_all_of_it() -> None:
    assert not local(subject="ü", sender="a", larger=5, header={"X": "y"}).whole
    assert local(subject="ü", body="a").whole
    assert local(subject="ü", any_of=[{"seen": True}, {"not_": {"text": "a"}}]).whole


def test_raw_keys_are_for_the_server_to_judge() -> None:
    search = local(subject="größe", raw=["KEYWORD", "$Other"])
    assert search.matches(MAIL)
    either = local(subject="größe", any_of=[{"raw": ["UNSEEN"]}, {"uid": 9}])
    assert either.matches(MAIL)
    (line,) = either.search.command(literal_plus=True)
    assert line == b"OR (UNSEEN) UID 9"


@pytest.mark.parametrize(
    "keywords",
    [
        {"raw": ["SUBJECT", "ü".encode()]},
        {"not_": {"raw": ["SEEN"], "subject": "ü"}},
        {"any_of": [{"raw": ["SEEN"]}, {"subject": "ü"}]},
        {"any_of": [{"seen": True}, {"not_": {"raw": ["SEEN"], "any_of": [{"to": "ü"}]}}]},
    ],
)
def test_raw_keys_that_only_a_server_with_utf_8_could_judge_are_refused(
    keywords: dict[str, Any],
) -> None:
    search = criteria.compile(**keywords)
    assert search.command(literal_plus=True)
    with pytest.raises(ConfigError, match=r"does not search in UTF-8.*raw") as caught:
        _ = search.local
    assert caught.value.remedy


# The proof: a server that shares no code with us, and searches that nobody thought of.

WORDS = [
    "report",
    "Report",
    "größe",
    "GRÖSSE",
    "übung",
    "日本",
    "📬",
    "ann",
    'a"b',
    "x\\y",
    "(50%)",
]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Deleted"]
MESSAGES = 80
SEARCHES = 500


@dataclass
class Mail:
    """What a server knows of a message."""

    uid: int
    headers: dict[str, str]
    body: str
    flags: set[str]
    day: date
    size: int


def some_mail(dice: random.Random, uid: int) -> tuple[Mail, Message]:
    headers = {
        name: " ".join(dice.choices(WORDS, k=dice.randrange(3)))
        for name in ("Subject", "From", "To", "Cc", "Message-ID", "X-Tag")
        if dice.random() < 0.8
    }
    body = " ".join(dice.choices(WORDS, k=3))
    day = date(2026, 1, 1) + timedelta(days=dice.randrange(6))
    flags = {flag for flag in FLAGS if dice.random() < 0.5}
    lines = [f"{name}: =?utf-8?b?{encoded(text)}?=" for name, text in headers.items()]
    kind = "html" if dice.random() < 0.3 else "plain"
    lines += [f"Content-Type: text/{kind}; charset=utf-8", "Content-Transfer-Encoding: base64"]
    raw = "\r\n".join([*lines, "", encoded(body), ""]).encode()
    when = datetime(day.year, day.month, day.day, dice.randrange(24), tzinfo=UTC)
    message = Message.from_bytes(raw, uid=uid, flags=flags, internal_date=when)
    return Mail(uid, headers, body, flags, day, len(raw)), message


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def some_criteria(dice: random.Random, depth: int = 0) -> dict[str, Any]:
    names = dice.sample(sorted(CHOICES), dice.randint(1, 3))
    found = {name: CHOICES[name](dice) for name in names}
    if depth < 3 and dice.random() < 0.5:
        found["not_"] = some_criteria(dice, depth + 1)
    if depth < 3 and dice.random() < 0.5:
        found["any_of"] = [some_criteria(dice, depth + 1) for _ in range(dice.randint(1, 4))]
        for name in names if dice.random() < 0.5 else ():
            del found[name]
    return found


def a_bool(dice: random.Random) -> bool:
    return dice.random() < 0.5


def a_word(dice: random.Random) -> str:
    return dice.choice(WORDS)


def a_day(dice: random.Random) -> date:
    return date(2026, 1, 1) + timedelta(days=dice.randrange(6))


CHOICES: dict[str, Callable[[random.Random], Any]] = {
    **dict.fromkeys(["seen", "unseen", "flagged", "answered", "deleted"], a_bool),
    **dict.fromkeys(["sender", "to", "cc", "subject", "message_id", "body", "text"], a_word),
    **dict.fromkeys(["since", "before", "on"], a_day),
    "header": lambda dice: {"X-Tag": dice.choice(["", *WORDS])},
    "larger": lambda dice: dice.randrange(100, 400),
    "smaller": lambda dice: dice.randrange(100, 400),
    "uid": lambda dice: dice.choice([dice.sample(range(1, 81), 40), "40:*", "9:1,30:70"]),
}


class Server:
    """Reads the line of a search as RFC 9051 section 6.4.4 has it, and judges what it knows."""

    _TOKEN = re.compile(rb'[()]|"((?:[^"\\]|\\.)*)"|\{(\d+)\+\}\r\n|[^ ()"]+')
    _MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"

    def __init__(self, line: bytes, *, knows_utf_8: bool) -> None:
        announced = line.startswith(b"CHARSET UTF-8 ")
        assert line.isascii() is not announced
        assert knows_utf_8 or not announced
        self._tokens = list(self._read(line.removeprefix(b"CHARSET UTF-8 ")))
        self._next = 0
        self.key = self._all_to(len(self._tokens))

    def _read(self, line: bytes) -> Iterator[tuple[str, bool]]:
        """Yield words, and whether each was a quoted string or a literal."""
        place = 0
        while place < len(line):
            match = self._TOKEN.match(line, place)
            assert match, line
            place = match.end()
            if match[2]:
                place += int(match[2])
                yield line[match.end() : place].decode(), True
            elif match[1] is not None:
                yield re.sub(rb"\\(.)", rb"\1", match[1]).decode("ascii"), True
            else:
                yield match[0].decode("ascii"), False
            place += line[place : place + 1] == b" "

    def _word(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][0]

    def _all_to(self, end: int) -> Callable[[Mail], bool]:
        keys = [self._key()]
        while self._next < end and self._tokens[self._next] != (")", False):
            keys.append(self._key())
        return lambda mail: all(key(mail) for key in keys)

    def _key(self) -> Callable[[Mail], bool]:
        word = self._word()
        if word == "(":
            inner = self._all_to(len(self._tokens))
            assert self._word() == ")"
            return inner
        if word == "NOT":
            inner = self._key()
            return lambda mail: not inner(mail)
        if word == "OR":
            one, other = self._key(), self._key()
            return lambda mail: one(mail) or other(mail)
        return self._criterion(word)

    def _criterion(self, word: str) -> Callable[[Mail], bool]:
        if word == "ALL":
            return lambda mail: True
        if f"\\{word.removeprefix('UN').capitalize()}" in FLAGS:
            flag = f"\\{word.removeprefix('UN').capitalize()}"
            return lambda mail: (flag in mail.flags) is not word.startswith("UN")
        if word == "HEADER":
            return self._header(self._word())
        if word in {"FROM", "TO", "CC", "SUBJECT"}:
            return self._header(word)
        value = self._word()
        if word in {"SINCE", "BEFORE", "ON"}:
            return self._day(word, value)
        folded = value.casefold()
        known: dict[str, Callable[[Mail], bool]] = {
            "UID": lambda mail: in_set(mail.uid, value),
            "LARGER": lambda mail: mail.size > int(value),
            "SMALLER": lambda mail: mail.size < int(value),
            "BODY": lambda mail: folded in mail.body.casefold(),
            "TEXT": lambda mail: any(
                folded in text.casefold() for text in (mail.body, *mail.headers.values())
            ),
        }
        return known[word]

    def _header(self, name: str) -> Callable[[Mail], bool]:
        value = self._word().casefold()
        return lambda mail: any(
            value in text.casefold()
            for header, text in mail.headers.items()
            if header.lower() == name.lower()
        )

    def _day(self, word: str, value: str) -> Callable[[Mail], bool]:
        day, month, year = value.split("-")
        wanted = date(int(year), self._MONTHS.split().index(month) + 1, int(day))
        return {
            "SINCE": lambda mail: mail.day >= wanted,
            "BEFORE": lambda mail: mail.day < wanted,
            "ON": lambda mail: mail.day == wanted,
        }[word]


def in_set(uid: int, text: str) -> bool:
    for run in text.split(","):
        ends = [MESSAGES if end == "*" else int(end) for end in run.split(":")]
        if min(ends) <= uid <= max(ends):
            return True
    return False


def found_by_server(search: criteria.Search, mails: list[Mail], *, knows_utf_8: bool) -> set[int]:
    (line,) = search.command(literal_plus=True)
    key = Server(line, knows_utf_8=knows_utf_8).key
    return {mail.uid for mail in mails if key(mail)}


def test_two_steps_find_what_one_would_have_found() -> None:
    dice = random.Random(20260131)
    pairs = [some_mail(dice, uid) for uid in range(1, MESSAGES + 1)]
    mails = [mail for mail, _ in pairs]
    compared = narrowed = 0
    for _ in range(SEARCHES):
        keywords = some_criteria(dice)
        search = criteria.compile(**keywords)
        wanted = found_by_server(search, mails, knows_utf_8=True)
        everywhere = LocalSearch(search, search.key)
        assert {mail.uid for mail, message in pairs if everywhere.matches(message)} == wanted
        if search.local is None:
            continue
        first = found_by_server(search.local.search, mails, knows_utf_8=False)
        both = {m.uid for m, message in pairs if m.uid in first and search.local.matches(message)}
        assert both == wanted, keywords
        compared += 0 < len(wanted) < len(first)
        narrowed += len(wanted) < len(first) < MESSAGES
    # Searches that find all or nothing would prove nothing.
    assert compared > 40
    assert narrowed > 20
