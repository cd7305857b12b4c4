"""What the programs have in common: the account of the test that started them, and how to report."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth import Account, Endpoint, Provider, StaticToken
from mailoauth.errors import DeliveryUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator


def account() -> Account:
    """Return the account that the test wrote down."""
    world = json.loads(os.environ["ENDINGS_WORLD"])
    provider = Provider(
        name="endings",
        oauth="microsoft",
        authority=world["authority"],
        scopes=tuple(world["scopes"]),
        imap=Endpoint(*world["imap"]),
        smtp=Endpoint(*world["smtp"]),
        ca_file=Path(world["ca_file"]),
        client_id=world["client_id"],
    )
    return Account(user="ada@example.com", provider=provider)


def options() -> dict[str, Any]:
    """Return the options of a session: a living token, and time-outs longer than any test."""
    return {"tokens": StaticToken(os.environ["ENDINGS_TOKEN"]), "timeout": 60.0}


def message(subject: str, size: int = 0) -> dict[str, Any]:
    """Return the keywords of a message to oneself."""
    text = "\n".join(["x" * 70] * (size // 70)) or "text"
    return {"to": "ada@example.com", "subject": subject, "text": text}


def say(*words: object) -> None:
    """Tell the test something."""
    print(*words, flush=True)


def go() -> None:
    """Wait for the test to say go on."""
    say("ready")
    sys.stdin.readline()


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an exception and all that stand behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def tell(error: BaseException) -> None:
    """Tell the classes of an exception and of what is behind it, and what is known."""
    say("ended", *(type(one).__name__ for one in chain(error)))
    for one in chain(error):
        if isinstance(one, DeliveryUnknown):
            say("unknown", one.message_id)
