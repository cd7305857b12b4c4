"""How mail is read and sent with a token: the front door of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailoauth.mail.mailbox import Mailbox
    from mailoauth.mail.mailer import AsyncMailer
    from mailoauth.mail.message import Address, Attachment, Message
    from mailoauth.mail.reading import MessageIterator
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.mail.sasl import OAuthBearer, XOAuth2

_HOMES = {
    "Address": "message",
    "AsyncMailer": "mailer",
    "Attachment": "message",
    "Mailbox": "mailbox",
    "Message": "message",
    "MessageIterator": "reading",
    "OAuthBearer": "sasl",
    "SendReceipt": "receipt",
    "XOAuth2": "sasl",
}

__all__ = [
    "Address",
    "AsyncMailer",
    "Attachment",
    "Mailbox",
    "Message",
    "MessageIterator",
    "OAuthBearer",
    "SendReceipt",
    "XOAuth2",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only once something is asked for

        return getattr(importlib.import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return __all__
