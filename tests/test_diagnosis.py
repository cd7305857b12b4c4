from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from mailoauth import refusals, refusals_identity, refusals_smtp
from mailoauth.diagnosis import Category, Fixer, Protocol, diagnose

if TYPE_CHECKING:
    from mailoauth.refusals import Refusal

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
ROWS = (
    *refusals.IMAP,
    *refusals_smtp.SMTP,
    *refusals_identity.TEXTS,
    *refusals.LAST_RESORTS,
)
EVERY_ROW = (
    *ROWS,
    *refusals_identity.NUMBERS.values(),
    *refusals_identity.WORDS.values(),
    refusals.UNKNOWN,
)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("hinted", [True, False], ids=["hinted", "unhinted"])
def test_a_real_refusal_is_understood(path: Path, *, hinted: bool) -> None:
    source, expected, code, text = path.read_bytes().decode().split("\n", 3)
    assert source.startswith("# ")
    protocol, category, fixer, *subject = expected.removeprefix("# ").split()
    found = diagnose(text, protocol=protocol if hinted else None)  # type: ignore[arg-type] # of a file
    assert (found.category, found.fixer, found.subject) == (category, fixer, "".join(subject))
    assert found.code == code.removeprefix("# code:").strip()
    assert found.text == text.strip()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sample[:60])
@pytest.mark.parametrize("hinted", [True, False], ids=["hinted", "unhinted"])
def test_no_row_is_shadowed_by_another(row: Refusal, *, hinted: bool) -> None:
    found = diagnose(row.sample, protocol=row.protocol if hinted else None)
    # Throttling has the same words in IMAP and SMTP: unhinted, either row will do.
    assert (found.category, found.meaning) == (row.category, row.meaning)
    if hinted:
        assert (found.fixer, found.steps, found.source) == (row.fixer, row.steps, row.source)


@pytest.mark.parametrize("number", refusals_identity.NUMBERS)
def test_a_number_of_entra_says_more_than_the_error(number: int) -> None:
    row = refusals_identity.NUMBERS[number]
    for error in ("invalid_grant", "invalid_client", "temporarily_unavailable", "server_error"):
        found = diagnose(f"{error} AADSTS{number}: Text.", protocol="identity")
        assert (found.category, found.meaning) == (row.category, row.meaning)
        assert found.code == f"AADSTS{number}"


@pytest.mark.parametrize("word", refusals_identity.WORDS)
def test_an_unknown_number_is_judged_by_the_error(word: str) -> None:
    row = refusals_identity.WORDS[word]
    for text in (word, f"{word} basic_action AADSTS99999999: New.", f"HTTP 400 {word}"):
        found = diagnose(text, protocol="identity")
        assert (found.category, found.fixer, found.meaning) == (
            row.category,
            row.fixer,
            row.meaning,
        )


@pytest.mark.parametrize(
    ("errors", "category"),
    [
        ("invalid_grant interaction_required login_required consent_required", "sign_in"),
        ("invalid_client unauthorized_client invalid_scope invalid_request", "configuration"),
        ("invalid_resource unsupported_grant_type", "configuration"),
        ("temporarily_unavailable server_error", "passing"),
    ],
)
def test_the_rule_for_unknown_codes_is_kept(errors: str, category: str) -> None:
    assert {diagnose(error).category for error in errors.split()} == {category}


@pytest.mark.parametrize(
    ("numbers", "category"),
    [
        ("50076 50078 50079 50074 53003 50173 50126 65001 65004 70000 70008 700082", "sign_in"),
        ("700084 70043 54005", "sign_in"),
        ("53000 53001 53002 53004 530032 530035 50034 50053 50055 50057 90094", "configuration"),
        ("90095 70011 28002 28003 700022 700016 700005 7000215 7000218 7000222", "configuration"),
        ("700025 700027 900144 9002313 90009 500011 50011 500113 50105 50194", "configuration"),
        ("9001023 9002331 9002332 90002 90038 501481", "configuration"),
        ("50196 90055", "throttled"),
        ("50033 90006 90012 90024 90033 70012", "passing"),
    ],
)
def test_each_class_of_numbers_has_its_cure(numbers: str, category: str) -> None:
    found = {number: diagnose(f"AADSTS{number}: Text.").category for number in numbers.split()}
    assert found == dict.fromkeys(numbers.split(), category)


def test_a_known_number_is_found_behind_an_unknown_one() -> None:
    assert diagnose("invalid_grant AADSTS11111 AADSTS7000222").category == "configuration"


def test_the_first_word_of_the_error_decides() -> None:
    found = diagnose("invalid_client The grant is an invalid_grant", protocol="identity")
    assert (found.category, found.code) == ("configuration", "invalid_client")


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("HTTP 503", "passing"),
        ("HTTP Error: 502", "passing"),
        ("HTTP/1.1 500 Internal Server Error", "passing"),
        ("HTTP 429", "throttled"),
        ("HTTP 404", "unknown"),
    ],
)
def test_a_bare_status_is_understood(text: str, category: str) -> None:
    assert diagnose(text, protocol="identity").category == category


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("NO Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92.415),
        ("HTTP 429 Retry-After: 17", 17.0),
        ("432 4.3.2 Concurrent connections limit exceeded.", None),
        ("NO Request is throttled. Suggested Backoff Time: many milliseconds", None),
    ],
)
def test_the_wait_is_in_seconds(text: str, seconds: float | None) -> None:
    found = diagnose(text)
    assert (found.category, found.retry_after) == ("throttled", seconds)


@pytest.mark.parametrize(
    "text",
    ["AUTHENTICATE failed.", "Authentication failed: AUTHENTICATE failed.", "authenticate FAILED"],
)
def test_the_tag_and_the_case_do_not_matter(text: str) -> None:
    assert diagnose(text, protocol="imap").category == "stale_token"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A01 NO AUTHENTICATE failed.", "NO"),
        ("* BYE Server shutting down.", "BYE"),
        ("435 something new", "435"),
        ("C: MAIL FROM:<a@example.com>\nS: 550 5.7.60 SMTP; no", "550 5.7.60"),
        ("it took 250 ms", ""),
        ("No idea", ""),
    ],
)
def test_the_code_is_the_most_telling_one(text: str, code: str) -> None:
    assert diagnose(text).code == code


@pytest.mark.parametrize("text", ["450 4.9.9 Never seen", "471 never seen", "421 bye"])
def test_an_unknown_temporary_refusal_of_smtp_is_passing(text: str) -> None:
    assert diagnose(text, protocol="smtp").category == "passing"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "550 5.9.9 Never seen",
        "A01 NO Never seen",
        "hello",
        "\x00\xff\ud800",
        "AADSTS",
        "404 Not Found",
        "Bye for now",
    ],
)
@pytest.mark.parametrize("protocol", [None, *get_args(Protocol)])
def test_unknown_text_is_unknown_and_says_how_to_get_more(
    text: str, protocol: Protocol | None
) -> None:
    found = diagnose(text, protocol=protocol)
    assert (found.category, found.fixer) == ("unknown", "nobody")
    assert any("--verbose" in step for step in found.steps)


def test_a_hint_keeps_other_protocols_out() -> None:
    assert diagnose("invalid_grant", protocol="imap").category == "unknown"
    assert diagnose("A01 NO AUTHENTICATE failed.", protocol="smtp").category == "unknown"


def test_huge_and_binary_text_is_fast_and_cut() -> None:
    rubbish = random.Random(7)
    noise = "".join(chr(rubbish.randrange(0x11000)) for _ in range(100_000))
    pieces = ["invalid_grant ", "4", "535 5.", "AADSTS", "NO [", "\n", " ", "BYE", "HTTP "]
    texts = [noise, *(piece * 100_000 for piece in pieces)]
    diagnose("compile the patterns")
    start = time.process_time()
    assert all(len(diagnose(text).text) <= 20_000 for text in texts)
    assert time.process_time() - start < 5


def test_what_stands_behind_the_limit_is_not_read() -> None:
    assert diagnose("x" * 30_000 + "\n535 5.7.139").category == "unknown"


@pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: row.meaning[:50])
def test_every_row_is_well_formed(row: Refusal) -> None:
    assert row.category in get_args(Category)
    assert row.fixer in get_args(Fixer)
    assert row.protocol in get_args(Protocol)
    re.compile(row.pattern)
    assert row.meaning.endswith(".")
    assert ". " not in row.meaning
    assert row.steps
    names = {"user": "u", "client_id": "c", "tenant": "t", "mailbox": "m"}
    for step in row.steps:
        assert "{" not in step.format(**names)
    assert row.source or row is refusals.UNKNOWN


def test_smtp_auth_that_is_switched_off_names_the_administrators_command() -> None:
    found = diagnose(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"
        " for the Tenant."
    )
    assert "Set-CASMailbox {mailbox} -SmtpClientAuthenticationDisabled $false" in found.steps[0]


def test_the_steps_are_filled_with_what_is_known() -> None:
    steps = diagnose("AADSTS700016").steps_for(client_id="1234", tenant="", user="ada@example.com")
    assert steps[0].startswith("Compare the client id 1234 and the tenant {tenant} with")


@pytest.mark.parametrize("row", [*refusals.IMAP, *refusals_smtp.SMTP], ids=lambda row: row.sample)
def test_a_mail_servers_row_needs_only_the_user_and_the_mailbox(row: Refusal) -> None:
    found = diagnose(row.sample, protocol=row.protocol)
    assert not any("{" in step for step in found.steps_for(user="u", mailbox="m"))


def test_importing_it_loads_neither_the_table_nor_anything_heavy() -> None:
    code = (
        "import sys, mailoauth.diagnosis;"
        "print([m for m in ('mailoauth.refusals', 'ssl', 'asyncio', 'tomllib') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_checkout()
    )
    assert ran.stdout.strip() == "[]"


def _checkout() -> Path:
    return Path(__file__).parent.parent
