"""What the tests of bad input share: Ada signed in, her home, and both verbs failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth import MailSession, sign_in
from tests.session_colours import ADA

if TYPE_CHECKING:
    from pathlib import Path

    from mailoauth.accounts import Account
    from mailoauth.emulator import OutlookEmulator
    from mailoauth.errors import MailOAuthError

BOB = "bob@example.com"


def ada(emulator: OutlookEmulator) -> Account:
    """Sign Ada in, in the browser, into the home of this test."""
    account = emulator.account(ADA)
    sign_in(account, open_url=emulator.browser)
    return account


def moved(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move the home, as for a new process: of the new place this one remembers no token or key."""
    new = home.with_name("moved")
    home.rename(new)
    monkeypatch.setenv("MAILOAUTH_HOME", str(new))
    return new


def records(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((home / "records").iterdir())}


def subjects(account: Account | str) -> list[str]:
    with MailSession(account) as mail:
        return [message.subject for message in mail.unseen()]


def refused(
    emulator: OutlookEmulator,
    account: Account | str,
    kind: type[MailOAuthError],
    said: str,
) -> MailOAuthError:
    """Read and send, both of which must fail in this way, before any server is asked."""
    connections, requests = len(emulator.connections), len(emulator.token_requests)
    for verb in (subjects, send):
        with pytest.raises(kind, match=said) as caught:
            verb(account)
        text = str(caught.value)
        assert text.isprintable(), text
        assert caught.value.remedy.endswith("."), text
    assert (len(emulator.connections), len(emulator.token_requests)) == (connections, requests)
    return caught.value


def send(account: Account | str) -> None:
    with MailSession(account) as mail:
        mail.send(to=BOB, subject="s", text="t")
