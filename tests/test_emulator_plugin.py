"""The fixture ``outlook_emulator`` as other people's tests use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import os

import pytest

import mailoauth


@pytest.mark.parametrize("round", range(3))
def test_the_account_is_signed_in(outlook_emulator, round, tmp_path):
    account = outlook_emulator.account("ada@example.com")
    assert outlook_emulator.account("ada@example.com") == account
    assert os.environ["MAILOAUTH_HOME"].startswith(str(tmp_path))
    assert "MAILOAUTH_CLIENT_ID" not in os.environ
    outlook_emulator.deliver("ada@example.com", b"Subject: Hello\\r\\n\\r\\nHello.\\r\\n")
    with mailoauth.MailSession(account) as mail:
        assert [message.subject for message in mail.unseen()] == ["Hello"]
    assert len(outlook_emulator.token_requests) == 1


def test_others_sign_in_too(outlook_emulator):
    outlook_emulator.add_user("bob@example.com", upn="bob@contoso.example")
    with mailoauth.MailSession(outlook_emulator.account("bob@example.com")) as mail:
        assert list(mail.unseen()) == []
"""


def test_the_fixture_hands_out_signed_in_accounts_under_xdist(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    plugins = ("-p", "xdist", "-p", "mailoauth.emulator.plugin", "-p", "no:cacheprovider")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-W", "error", *plugins, "."],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent.parent),
            # Installed or not, the plugin is loaded once: by name.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "MAILOAUTH_CLIENT_ID": "the developer's own",
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr
