"""Message-IDs: drawn, checked, and strung together to threads (RFC 5322 section 3.6.4)."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from mailoauth.errors import ConfigError
from mailoauth.mail.writing.fields import LONGEST_WORD

if TYPE_CHECKING:
    from mailoauth.mail.message import Message

_MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
_OWN_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?-~]+>")
_MOST_REFERENCES = 100


def drawn_id(author: str) -> str:
    """Return a new Message-ID, in the domain of an address."""
    # Without a domain this computer's name would be the usual choice: nobody's business.
    domain = author.rpartition("@")[2].strip("[]") or "mailoauth.invalid"
    return f"<{time.time_ns() // 1_000_000:x}.{os.urandom(10).hex()}@{domain}>"


def checked_id(message_id: str) -> str:
    """Return a Message-ID that every server and program understands (RFC 5322 section 3.6.4)."""
    if not isinstance(message_id, str) or not _OWN_ID.fullmatch(message_id):
        raise ConfigError(
            f"{message_id!r} is not a Message-ID.", remedy="Write it like <name@example.com>."
        )
    if len(message_id) > LONGEST_WORD:
        raise ConfigError("The Message-ID is too long for a line.", remedy="Choose a shorter one.")
    return message_id


def thread_of(message: Message) -> list[str]:
    """Return the Message-IDs that an answer refers to (RFC 5322 section 3.6.4)."""
    said = message.headers
    earlier = message_ids(said.get("references", ""))
    if not earlier:
        parents = message_ids(said.get("in-reply-to", ""))
        earlier = parents if len(parents) == 1 else []
    own = message_ids(message.message_id)[:1]
    thread = [each for each in earlier if each not in own] + own
    # The first one is the thread's root; what is long was made to be.
    return thread[:1] + thread[1:][-_MOST_REFERENCES:]


def message_ids(text: str) -> list[str]:
    """Find the Message-IDs in a header, those that can be written again; each once."""
    found = _MESSAGE_ID.findall(text)
    if not found and text.isascii() and text.isprintable() and text and " " not in text:
        found = [text]  # brackets forgotten: other programs compare it as it is
    return [each for each in dict.fromkeys(found) if len(each) <= LONGEST_WORD]
