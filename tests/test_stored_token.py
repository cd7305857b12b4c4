"""A session with a valid stored token: no request to the identity service, and no msal."""

from __future__ import annotations

import subprocess
import sys

import mailoauth
from mailoauth.emulator import OutlookEmulator
from tests.judges import note

SCRIPT = """
import sys, mailoauth
with mailoauth.MailSession("ada@example.com") as mail:
    for message in mail.unseen(mark_seen=True):
        print(message.subject)
    mail.send(to="ada@example.com", subject="sent by the script", text="text")
print("loaded:", sorted({"msal", "requests", "urllib3", "keyring"} & set(sys.modules)))
"""


def test_a_stored_token_needs_neither_a_request_nor_msal() -> None:
    with OutlookEmulator() as emulator:
        emulator.add_user("ada@example.com")
        account = emulator.account("ada@example.com")
        mailoauth.sign_in(account, open_url=emulator.browser)
        mailoauth.save_account(account)
        emulator.deliver("ada@example.com", note("hello"))
        requests = len(emulator.token_requests)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "hello\nloaded: []\n", done.stderr
        assert done.stderr == ""
        assert len(emulator.token_requests) == requests
        subjects = [
            b"sent by the script" in one.raw for one in emulator.messages("ada@example.com")
        ]
        assert subjects == [False, True]
