"""Which error a refusal becomes, without a socket."""

from __future__ import annotations

import pytest

from mailoauth.diagnosis import diagnose
from mailoauth.errors import (
    MailboxUnavailable,
    SendingDisabled,
    ServerError,
    Throttled,
    TokenRefused,
)
from mailoauth.mail.refusal import refusal_error

SMTP_OFF = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
    "Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. [HOST]"
)


@pytest.mark.parametrize(
    ("reply", "protocol", "signing_in", "kind"),
    [
        ("NO AUTHENTICATE failed.", "imap", True, TokenRefused),
        ("535 5.7.3 Authentication unsuccessful [HOST]", "smtp", True, TokenRefused),
        ("NO some words that nobody knows", "imap", True, TokenRefused),
        ("NO some words that nobody knows", "imap", False, ServerError),
        (SMTP_OFF, "smtp", True, SendingDisabled),
        (
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            "smtp",
            False,
            SendingDisabled,
        ),
        ("BAD User is authenticated but not connected.", "imap", False, MailboxUnavailable),
        (
            "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
            "imap",
            True,
            Throttled,
        ),
    ],
)
def test_the_class_of_an_error_is_its_remedy(
    reply: str,
    protocol: str,
    signing_in: bool,
    kind: type[Exception],
) -> None:
    error = refusal_error(
        reply,
        diagnose(reply, protocol=protocol),  # type: ignore[arg-type] # one of the three
        who="team@example.com",
        server="server.example.com",
        account="ada@example.com",
        signing_in=signing_in,
    )
    assert type(error) is kind
    assert "server.example.com refused team@example.com" in str(error)
    assert reply[:60] in str(error)
    assert "{" not in str(error), "a placeholder that was not filled"


def test_a_throttled_reply_says_how_long_to_wait() -> None:
    reply = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"
    error = refusal_error(
        reply, diagnose(reply, protocol="imap"), who="ada", server="server", account="ada"
    )
    assert isinstance(error, Throttled)
    assert error.retry_after == pytest.approx(92.415)


def test_what_the_server_said_cannot_move_the_cursor() -> None:
    reply = "NO \x1b[2J\x07 wiped"
    error = refusal_error(
        reply, diagnose(reply, protocol="imap"), who="ada", server="server", account="ada"
    )
    assert "\x1b" not in str(error)
