"""What an error of a submission means for its message and for the others: decided without I/O."""

from __future__ import annotations

import pytest

from mailoauth.errors import (
    ConcurrentUse,
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    MailOAuthError,
    ServerError,
    SignInRequired,
    StoreError,
    Throttled,
)
from mailoauth.mail.mailing.attempts import Item, Verdict, verdict
from tests.many_world import note, refusal, refused_by_all

BUSY = "432 4.3.2 Concurrent connections limit exceeded."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal(BUSY), Verdict.WAIT),
        (refusal("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"), Verdict.WAIT),
        (
            refusal("451 4.7.500 Request is throttled. Suggested Backoff Time: 9 milliseconds"),
            Verdict.WAIT,
        ),
        (refusal("451 4.7.0 Temporary server error. Please try again later. PRX2"), Verdict.WAIT),
        (refusal("421 4.4.2 Connection timed out"), Verdict.WAIT),
        (refusal("421 nothing else"), Verdict.WAIT),
        (refusal("430 4.2.0 STOREDRV; mailbox logon failure"), Verdict.WAIT),
        (refusal("454 4.7.0 Too many login attempts, please try again later."), Verdict.WAIT),
        (refusal("550 5.4.5 Daily user sending limit exceeded."), Verdict.DAY),
        (Throttled.after("the day is used up", 100.0), Verdict.DAY),
        (refusal("450 4.2.1 The mailbox is busy"), Verdict.LATER),
        (refused_by_all("550 5.1.1 User unknown", "450 4.7.1 Greylisted"), Verdict.LATER),
        (refused_by_all("550 5.1.1 User unknown", "550 5.1.1 User unknown"), Verdict.REFUSED),
        (refusal("550 5.6.0 I do not like it"), Verdict.REFUSED),
        (ServerError("no SMTPUTF8"), Verdict.REFUSED),
        (refusal("552 5.3.4 Message size exceeds fixed limit"), Verdict.REFUSED),
        (ConfigError("too large"), Verdict.FAILED),
        (ConnectionFailed("lost"), Verdict.LOST),
        (ConnectionTimedOut("slow"), Verdict.LOST),
        (SignInRequired("ask a person"), Verdict.ACCOUNT),
        (StoreError("no key"), Verdict.ACCOUNT),
        (ConcurrentUse("forked"), Verdict.ACCOUNT),
        (
            refusal("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant"),
            Verdict.ACCOUNT,
        ),
        (refusal("550 5.7.501 Access denied, spam abuse detected"), Verdict.ACCOUNT),
        (refusal("553 5.7.1 Sender address rejected: not owned by user"), Verdict.SENDER),
        (DeliveryUnknown("lost"), Verdict.UNKNOWN),
    ],
)
def test_what_follows_from_an_error(error: MailOAuthError, expected: Verdict) -> None:
    assert verdict(error) is expected


def test_an_items_repr_shows_nothing_of_its_message() -> None:
    shown = repr(Item(note(1, text="secret"), 1, "bob"))
    assert not [word for word in ("secret", "bob", "note") if word in shown]
