"""Read and send mail over IMAP and SMTP with OAuth2, Outlook first.

The public names; each is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailoauth.accounts import (
        Account,
        Endpoint,
        Provider,
        forget_account,
        list_accounts,
        load_account,
        save_account,
    )
    from mailoauth.async_session import AsyncMailSession
    from mailoauth.diagnosis import Diagnosis, diagnose
    from mailoauth.errors import (
        AuthError,
        ConcurrentUse,
        ConfigError,
        ConnectionFailed,
        ConnectionTimedOut,
        DeliveryUnknown,
        FolderNotFound,
        MailboxUnavailable,
        MailOAuthError,
        OutcomeUnknown,
        RecipientsRefused,
        SendingDisabled,
        ServerError,
        SignInFailed,
        SignInRequired,
        StoreError,
        Throttled,
        TokenRefused,
    )
    from mailoauth.mail import (
        Address,
        AsyncMailer,
        Attachment,
        Mailbox,
        Message,
        SendReceipt,
    )
    from mailoauth.mail.async_mailbox import AsyncMailbox
    from mailoauth.mail.compose import compose
    from mailoauth.mail.folders import Folder
    from mailoauth.mail.many import AsyncReceipts, Progress
    from mailoauth.mail.replying import forward, reply
    from mailoauth.mailer import Mailer, Receipts
    from mailoauth.session import MailSession
    from mailoauth.tokens import (
        AccessToken,
        FileStore,
        MemoryStore,
        Refresher,
        StaticToken,
        TokenCache,
        TokenSource,
        TokenStore,
        sign_in,
        sign_in_device_code,
        sign_in_pasted,
        token_source,
    )

__version__ = "0.1.0"

_HOMES = {
    "account": "Account",
    "accounts": "forget_account list_accounts load_account save_account",
    "async_session": "AsyncMailSession",
    "diagnosis": "Diagnosis diagnose",
    "errors": (
        "AuthError ConcurrentUse ConfigError ConnectionFailed ConnectionTimedOut DeliveryUnknown"
        " FolderNotFound MailOAuthError MailboxUnavailable OutcomeUnknown RecipientsRefused"
        " SendingDisabled ServerError SignInFailed SignInRequired StoreError Throttled TokenRefused"
    ),
    "mail": "Address AsyncMailer Attachment Mailbox Message SendReceipt",
    "mail.folders": "Folder",
    "mail.compose": "compose",  # at the room's door the module of that name would hide it
    "mail.many": "AsyncReceipts Progress",
    "mail.replying": "forward reply",
    "mail.async_mailbox": "AsyncMailbox",
    "mailer": "Mailer Receipts",
    "session": "MailSession",
    "presets": "Endpoint Provider",
    "tokens": (
        "AccessToken FileStore MemoryStore Refresher StaticToken TokenCache TokenSource TokenStore"
        " sign_in sign_in_device_code sign_in_pasted token_source"
    ),
}

__all__ = [
    "AccessToken",
    "Account",
    "Address",
    "AsyncMailSession",
    "AsyncMailbox",
    "AsyncMailer",
    "AsyncReceipts",
    "Attachment",
    "AuthError",
    "ConcurrentUse",
    "ConfigError",
    "ConnectionFailed",
    "ConnectionTimedOut",
    "DeliveryUnknown",
    "Diagnosis",
    "Endpoint",
    "FileStore",
    "Folder",
    "FolderNotFound",
    "MailOAuthError",
    "MailSession",
    "Mailbox",
    "MailboxUnavailable",
    "Mailer",
    "MemoryStore",
    "Message",
    "OutcomeUnknown",
    "Progress",
    "Provider",
    "Receipts",
    "RecipientsRefused",
    "Refresher",
    "SendReceipt",
    "SendingDisabled",
    "ServerError",
    "SignInFailed",
    "SignInRequired",
    "StaticToken",
    "StoreError",
    "Throttled",
    "TokenCache",
    "TokenRefused",
    "TokenSource",
    "TokenStore",
    "compose",
    "diagnose",
    "forget_account",
    "forward",
    "list_accounts",
    "load_account",
    "reply",
    "save_account",
    "sign_in",
    "sign_in_device_code",
    "sign_in_pasted",
    "token_source",
]

if not TYPE_CHECKING:  # so that a misspelt name fails the type checks

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names.split():
                import importlib  # noqa: PLC0415 - only once something is asked for

                value = getattr(importlib.import_module(f"mailoauth.{home}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module 'mailoauth' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]
