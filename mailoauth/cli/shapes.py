"""The JSON objects that commands print, as they are documented."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailoauth.accounts import Account
    from mailoauth.diagnosis import Diagnosis
    from mailoauth.mail.folders import Folder
    from mailoauth.mail.message import Address, Message
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.tokens.token import AccessToken

JsonObject = dict[str, Any]


def of_message(message: Message, *, whole: bool = True) -> JsonObject:
    """Return a message; one that is not ``whole`` has neither a text nor files."""
    record = {
        "uid": message.uid,
        "folder": message.folder,
        "flags": list(message.flags),
        "size": message.size,
        "date": utc(message.date),
        "internal_date": utc(message.internal_date),
        "subject": message.subject,
        "sender": _address(message.sender) if message.sender else None,
        "to": [_address(each) for each in message.to],
        "cc": [_address(each) for each in message.cc],
        "reply_to": [_address(each) for each in message.reply_to],
        "message_id": message.message_id,
    }
    if whole:
        record |= {
            "text": message.text,
            "html": message.html,
            "attachments": [
                {"filename": each.filename, "content_type": each.content_type, "size": each.size}
                for each in message.attachments
            ],
        }
    return record | {"defects": list(message.defects)}


def of_folder(folder: Folder) -> JsonObject:
    """Return a folder."""
    return {
        "name": folder.name,
        "special_use": folder.special_use,
        "messages": folder.messages,
        "unseen": folder.unseen,
        "flags": list(folder.flags),
        "selectable": folder.selectable,
        "delimiter": folder.delimiter,
        "subscribed": folder.subscribed,
    }


def of_receipt(receipt: SendReceipt, *, whole: bool = False) -> JsonObject:
    """Return what became of a message that was sent; a ``whole`` one of many says which it is."""
    record: JsonObject = {
        "message_id": receipt.message_id,
        "reply": receipt.reply,
        "accepted": list(receipt.accepted),
        "refused": dict(receipt.refused),
    }
    if receipt.saved is not None:
        record["saved"] = receipt.saved
    if not whole:
        return record
    error = receipt.error
    return record | {
        "key": receipt.key,
        "time": utc(receipt.time),
        "error": None if error is None else {"class": type(error).__name__, "text": str(error)},
    }


def of_diagnosis(finding: Diagnosis) -> JsonObject:
    """Return what a refusal means."""
    return {
        "text": finding.text,
        "code": finding.code,
        "category": finding.category,
        "fixer": finding.fixer,
        "meaning": finding.meaning,
        "steps": list(finding.steps),
        "source": finding.source,
    }


def of_token(account: Account, token: AccessToken, value: str) -> JsonObject:
    """Return an access token; ``value`` is it, or the string that carries it."""
    return {
        "access_token": value,
        "expires_at": utc_of_seconds(token.expires_at),
        "scopes": list(token.scopes),
        "account": account.name,
    }


def of_account(account: Account, state: str | None, expires_at: float | None) -> JsonObject:
    """Return an account; ``state`` is None where the record cannot be opened."""
    return {
        "name": account.name,
        "provider": account.provider.name,
        "user": account.user,
        "mailbox": account.mailbox or account.user,
        "sign_in": account.sign_in,
        "state": state,
        "expires_at": utc_of_seconds(expires_at),
    }


def utc(time: datetime | None) -> str | None:
    """Return a time as RFC 3339 has it, in UTC; None for a date that is out of all range."""
    with contextlib.suppress(OverflowError):
        if time is not None:
            return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return None


def utc_of_seconds(seconds: float | None) -> str | None:
    """Return seconds since the epoch as RFC 3339 has them, in UTC."""
    return None if seconds is None else utc(datetime.fromtimestamp(seconds, UTC))


def _address(address: Address) -> JsonObject:
    return {"name": address.name, "address": address.address}
