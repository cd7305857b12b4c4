"""The pytest fixture ``outlook_emulator``; nothing is loaded before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailoauth.accounts import Account
    from mailoauth.emulator.outlook import OutlookEmulator

# What could make a test use the developer's own accounts, apps or keys.
_SETTINGS = (
    "ADDRESS CERTIFICATE_FILE CLIENT_ID CLIENT_SECRET_FILE KEY_FILE MAILBOX PROVIDER SIGN_IN TENANT"
    " USER"
)


@pytest.fixture
def outlook_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OutlookEmulator]:
    """Run an embedded Outlook that knows ada@example.com and hands out signed-in accounts.

    mailoauth's settings are the test's own: a new MAILOAUTH_HOME and MAILOAUTH_KEY.
    """
    import base64  # noqa: PLC0415 - the plugin is loaded in every pytest run
    import os  # noqa: PLC0415 - the same

    for name in _SETTINGS.split():
        monkeypatch.delenv(f"MAILOAUTH_{name}", raising=False)
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path / "mailoauth"))
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(os.urandom(32)).decode())
    with _signing_in() as emulator:
        emulator.add_user("ada@example.com")
        yield emulator


def _signing_in() -> OutlookEmulator:
    import mailoauth  # noqa: PLC0415 - the plugin is loaded in every pytest run
    from mailoauth.emulator import OutlookEmulator  # noqa: PLC0415 - the same

    class SignedInEmulator(OutlookEmulator):
        """An emulator whose accounts are signed in."""

        def __init__(self) -> None:
            super().__init__()
            self._signed_in: set[str] = set()

        def account(self, address: str) -> Account:
            """Return the account of a user, signed in at the first call."""
            account = super().account(address)
            if account.name not in self._signed_in:
                mailoauth.sign_in(account, open_url=self.browser)
                self._signed_in.add(account.name)
            return account

    return SignedInEmulator()
