"""The input of a run of many messages: taken one by one, each known by a key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mailoauth.errors import ConfigError
from mailoauth.mail.addresses import parse_addresses
from mailoauth.mail.mailing.attempts import Item
from mailoauth.mail.writing.envelopes import envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_MESSAGE_ID: Final = re.compile(
    rb"^Message-ID[ \t]*:(?:[ \t]|\r?\n[ \t])*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")


class Intake:
    """Takes items from an iterable or an async iterable, for any number of tasks."""

    def __init__(self, messages: object, key: Callable[[Any], str | None] | None) -> None:
        self.total = len(messages) if isinstance(messages, Collection) else None
        self.keyed = key is not None
        self._key = key
        self._turn = asyncio.Lock()
        self._position = 0
        self._plain: Iterator[Any] | None = None
        self._awaited: AsyncIterator[Any] | None = None
        if isinstance(messages, AsyncIterable):
            self._awaited = aiter(messages)
        else:
            self._plain = iter(_many(messages))
        # A sized iterator can be gone through only once: it is not counted beforehand.
        again = self.total is not None and self._plain is not None and self._plain is not messages
        self._messages = messages if again else None

    async def take(self) -> Item | None:
        """Return the next one, None after the last; raises what the input or ``key`` raises."""
        if self._plain is not None:
            for message in self._plain:
                return self._item(message)
        elif self._awaited is not None:
            async with self._turn:
                async for message in self._awaited:
                    return self._item(message)
        return None

    def _item(self, message: Any) -> Item:
        self._position += 1
        return Item(message, self._position, self._key_of(message, self._position))

    def _key_of(self, message: Any, position: int) -> str:
        key = None if self._key is None else self._key(message)
        if key is None:
            return storable(own_message_id(message)) or f"#{position}"
        return storable(key) if isinstance(key, str) else ""  # which is an error of that message

    @property
    def awaits(self) -> bool:
        """Whether taking the next one may last."""
        return self._awaited is not None

    def counted(self) -> Iterator[tuple[str, int]]:
        """Yield key and number of recipients of each message of a sized input, not taking it."""
        for position, message in enumerate(self._again(), 1):
            yield self._key_of(message, position), count_recipients(message)

    def _again(self) -> Iterable[Any]:
        if isinstance(self._messages, Iterable):
            return self._messages
        return ()

    @property
    def countable(self) -> bool:
        """Whether the recipients can be counted beforehand."""
        return self._messages is not None


def _many(messages: object) -> Iterable[Any]:
    from email.message import Message  # noqa: PLC0415 - email is slow to import

    one = isinstance(messages, str | bytes | bytearray | memoryview | Mapping | Message)
    if one or not isinstance(messages, Iterable):
        raise ConfigError(
            f"send_many() takes many messages, not {type(messages).__name__}.",
            remedy="Give a list, a generator or an async generator of messages.",
        )
    return messages


def storable(text: str) -> str:
    """Return a text as UTF-8 can have it: octets that are no text are in it as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def own_message_id(message: Any) -> str:
    """Return the Message-ID that a message brings along, "" if it has none or is no message."""
    if isinstance(message, bytes | bytearray | memoryview):
        raw = bytes(message)
        end = _HEAD_END.search(raw)
        found = _MESSAGE_ID.search(raw, 0, end.start() if end else len(raw))
        return found[1].decode("ascii", "replace").strip() if found else ""
    if isinstance(message, Mapping):
        headers = message.get("headers")
        items = list(headers.items()) if isinstance(headers, Mapping) else []
    else:
        # Not parsed: that is slow, and fails for some that are broken.
        raw_items = getattr(message, "raw_items", None)
        items = raw_items() if raw_items is not None else []
    for name, value in items:
        if isinstance(name, str) and name.lower() == "message-id":
            return str(value).strip()
    return ""


def count_recipients(message: Any) -> int:
    """Return to how many a message goes; 0 for one that cannot be sent at all."""
    if isinstance(message, Mapping):
        return sum(_count(message.get(name)) for name in ("to", "cc", "bcc"))
    try:
        return len(envelope(message)[1])
    except (ConfigError, AttributeError, TypeError, ValueError):  # of something else, too
        return 0


def _count(recipients: Any) -> int:
    if isinstance(recipients, str):
        return len(parse_addresses(recipients))
    if isinstance(recipients, list | tuple | set | frozenset):
        return sum(_count(each) for each in recipients)
    # An Address, or an iterator that may be gone through only once.
    return 1 if recipients else 0
