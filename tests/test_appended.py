"""What APPEND is given: messages, flags and dates, checked and written without a socket."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.mime.text import MIMEText
from typing import Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.appended import checked_flags, content_of, internal_date


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"Subject: a\r\n\r\n\0", "NUL byte"),
        ("Subject: a\r\n\r\n", "of the type str"),
        (None, "of the type NoneType"),
        ([], "of the type list"),
    ],
)
def test_what_is_no_message_is_refused(bad: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        content_of(bad)


def test_older_messages_keep_their_bcc_too() -> None:
    old = MIMEText("text")
    old["To"] = "bob@example.com"
    old["Bcc"] = "carol@example.com"
    old["Resent-Bcc"] = "dora@example.com"
    raw = content_of(old)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    read = message_from_bytes(raw, policy=policy.default)
    assert (read["Bcc"], read["Resent-Bcc"]) == ("carol@example.com", "dora@example.com")
    assert read.get_content().strip() == "text"


def test_a_header_that_is_two_is_refused() -> None:
    old = MIMEText("text")
    old["Bcc"] = "carol@example.com\r\nX: y"
    with pytest.raises(ConfigError, match="cannot be written"):
        content_of(old)


def test_dates_are_written_as_imap_has_them() -> None:
    assert internal_date(None) == ""
    assert internal_date(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "02-Jan-2026 03:04:05 +0000"
    far = timezone(timedelta(hours=5, minutes=45))
    assert internal_date(datetime(999, 12, 31, tzinfo=far)) == "31-Dec-0999 00:00:00 +0545"
    odd = timezone(timedelta(minutes=53, seconds=28))
    assert internal_date(datetime(1880, 1, 1, 1, 0, 0, tzinfo=odd)) == "01-Jan-1880 00:06:32 +0000"


def test_a_time_without_a_zone_is_a_local_one() -> None:
    naive = datetime(2026, 7, 1, 12, 0, 0)  # noqa: DTZ001 - what is tested
    local = naive.astimezone()
    assert internal_date(naive) == internal_date(local)


@pytest.mark.parametrize("bad", ["2026-01-01", 0, date(2026, 1, 1)])
def test_what_is_no_time_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match=r"^date is"):
        internal_date(bad)


def test_flags_are_a_list_of_words() -> None:
    assert checked_flags(["\\Seen", "$Forwarded", "\\Seen"]) == ["\\Seen", "$Forwarded"]
    for bad in ("\\Seen", ["\\Seen\r\nX1 NOOP"], ["two words"], [""], ["\\Recent"], [1]):
        with pytest.raises(ConfigError, match="flag"):
            checked_flags(bad)  # type: ignore[arg-type] # that is what is tested
