"""An embedded Outlook for tests: identity service, IMAP and SMTP in this process.

::

    with OutlookEmulator() as outlook:
        outlook.add_user("ada@example.com")
        outlook.deliver("ada@example.com", email_message)
        account = outlook.account("ada@example.com")
        mailoauth.sign_in(account, open_url=outlook.browser)

It needs the extra: ``pip install "mailoauth[emulator]"``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailoauth.emulator.faults import Cut, Reply, Silent
    from mailoauth.emulator.outlook import OutlookEmulator
    from mailoauth.emulator.records import Connection, SentMessage, StoredMessage

__all__ = [
    "Connection",
    "Cut",
    "OutlookEmulator",
    "Reply",
    "SentMessage",
    "Silent",
    "StoredMessage",
]

_WHERE = {
    "Connection": "records",
    "Cut": "faults",
    "OutlookEmulator": "outlook",
    "Reply": "faults",
    "SentMessage": "records",
    "Silent": "faults",
    "StoredMessage": "records",
}

#: What the extra installs, by the names under which it is imported.
_EXTRA = {"aiosmtpd", "multipart", "pymap", "python_multipart", "starlette", "trustme", "uvicorn"}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        module = import_module(f"{__name__}.{_WHERE[name]}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _EXTRA:
            raise
        message = (
            f"The emulator needs the package {missing.name}, which is not installed. "
            'Install the extra: pip install "mailoauth[emulator]"'
        )
        raise ImportError(message, name=missing.name) from missing
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
