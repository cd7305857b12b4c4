"""The mail behind both servers: mailboxes, folders and messages, in memory.

What a folder does is pymap's (its in-memory backend); which folders there are,
what they are for and how mail gets in is ours. Everything runs on the servers'
event loop.
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pymap.backend.dict.mailbox import MailboxData, Message
from pymap.backend.mailbox import MailboxSetInterface
from pymap.backend.session import BaseSession
from pymap.listtree import ListTree
from pymap.mime import MessageContent
from pymap.parsing.specials.flag import Flag, Recent, Seen, get_system_flags

from mailoauth.emulator.records import StoredMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymap.concurrent import Event
    from pymap.config import IMAPConfig
    from pymap.parsing.message import AppendMessage
    from pymap.parsing.specials import ObjectId
    from pymap.selected import SelectedMailbox

    from mailoauth.emulator.personality import Personality

# Exchange's are small numbers, not times.
_first_validity = itertools.count(14)

_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class Folder(MailboxData):
    """One folder."""

    def __init__(self, keywords: Iterable[str]) -> None:
        # pymap's caches serve OBJECTID, which neither provider has.
        super().__init__(None, None)  # type: ignore[arg-type]  # only append() uses them: ours does not
        self._uid_validity = next(_first_validity)
        self._max_uid = 0
        self._keywords = frozenset(Flag(keyword) for keyword in keywords)

    @property
    def permanent_flags(self) -> frozenset[Flag]:
        """The flags that are kept; Exchange keeps no others."""
        return (get_system_flags() - {Recent}) | self._keywords

    def add(self, raw: bytes, flags: Iterable[Flag] = (), when: datetime | None = None) -> Message:
        """Put a message in; sessions that have the folder selected are told."""
        self._max_uid += 1
        message = Message(
            self._max_uid,
            when or datetime.now(UTC),
            frozenset(flags) & self.permanent_flags,
            content=MessageContent.parse(raw),
        )
        self._messages[message.uid] = message
        self._mod_sequences.update([message.uid])
        self._updated.set()
        return message

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:  # noqa: ARG002 - Exchange has no \Recent
        """Put in what a client sent."""
        return self.add(append_msg.literal, append_msg.flag_set, append_msg.when)

    async def update_selected(
        self, selected: SelectedMailbox, *, wait_on: Event | None = None
    ) -> SelectedMailbox:
        """Tell a session what is new, in IDLE not before something is."""
        # pymap would sleep through what came in before IDLE, or between two rounds of it.
        if selected.mod_sequence != self._mod_sequences.highest:
            wait_on = None
        last = selected.messages.max_uid
        updated = await super().update_selected(selected, wait_on=wait_on)
        # Exchange tells of new mail by its number alone; pymap would add the flags.
        for uid in itertools.takewhile(lambda uid: uid > last, reversed(self._messages)):
            flags = self._messages[uid].permanent_flags
            updated._silenced_flags.add((uid, flags))  # noqa: SLF001 - silence() knows only what the client asked for
        return updated

    def stored(self) -> list[StoredMessage]:
        """Return the messages, oldest first."""
        return [
            StoredMessage(
                raw=_content(message),
                flags=frozenset(str(flag) for flag in message.permanent_flags),
                uid=message.uid,
                internal_date=message.internal_date,
            )
            for message in self._messages.values()
        ]


class Folders(MailboxSetInterface[Folder]):
    """The folders of one mailbox."""

    def __init__(self, personality: Personality) -> None:
        self._personality = personality
        self._folders: dict[str, Folder] = {}
        self._subscribed: set[str] = set()
        for name in personality.folders:
            self.create(name)

    @property
    def delimiter(self) -> str:
        """What parts the levels of a name."""
        return "/"

    def create(self, name: str) -> Folder:
        """Make a folder; ValueError if there is one of that name."""
        if _key(name) in self._folders:
            raise ValueError(name)
        folder = self._folders[_key(name)] = Folder(self._personality.keywords)
        return folder

    def folder(self, name: str) -> Folder:
        """Return a folder; KeyError if there is none of that name."""
        return self._folders[_key(name)]

    def open(self, name: str) -> Folder:
        """Return a folder, made if there is none of that name."""
        return self._folders.get(_key(name)) or self.create(name)

    def special_use(self, name: str) -> str:
        """Return what the folder is for: "Sent", "Trash" and so on, or nothing."""
        return self._personality.folders.get(name, "")

    async def set_subscribed(self, name: str, subscribed: bool) -> None:  # noqa: FBT001 - pymap's signature
        """Note a subscription."""
        (self._subscribed.add if subscribed else self._subscribed.discard)(_key(name))

    async def list_subscribed(self) -> ListTree:
        """Return the folders that were subscribed to."""
        names = (name for name in self._folders if name in self._subscribed)
        return ListTree(self.delimiter).update("INBOX", *names)

    async def list_mailboxes(self) -> ListTree:
        """Return all folders."""
        return ListTree(self.delimiter).update(*self._folders)

    async def get_mailbox(self, name: str) -> Folder:
        """Return a folder; KeyError if there is none of that name."""
        return self.folder(name)

    async def add_mailbox(self, name: str) -> ObjectId:
        """Make a folder."""
        return self.create(name).mailbox_id

    async def delete_mailbox(self, name: str) -> None:
        """Remove a folder; KeyError if there is none of that name."""
        del self._folders[_key(name)]

    async def rename_mailbox(self, before: str, after: str) -> None:
        """Rename a folder and those below it."""
        tree = await self.list_mailboxes()
        if tree.get(before) is None:
            raise KeyError(before)
        if tree.get(after) is not None:
            raise ValueError(after)
        for old, new in tree.get_renames(before, after):
            self._folders[new] = self._folders.pop(old)
            if old == "INBOX":  # RFC 3501 section 6.3.5: it leaves an empty one behind
                self.create("INBOX")


class Session(BaseSession[Message]):
    """One client's view of a mailbox."""

    def __init__(self, owner: str, config: IMAPConfig, folders: Folders) -> None:
        super().__init__(owner)
        self._config = config
        self._folders = folders

    @property
    def config(self) -> IMAPConfig:
        """The server's settings."""
        return self._config

    @property
    def mailbox_set(self) -> Folders:
        """The folders."""
        return self._folders

    async def list_mailboxes(
        self,
        ref_name: str,
        filter_: str,
        subscribed: bool = False,  # noqa: FBT001, FBT002 - pymap's signature
        selected: SelectedMailbox | None = None,
    ) -> tuple[Iterable[tuple[str, str | None, Sequence[bytes]]], SelectedMailbox | None]:
        """Return the folders that match, with their special use as an attribute."""
        entries, updates = await super().list_mailboxes(ref_name, filter_, subscribed, selected)
        listed: list[tuple[str, str | None, Sequence[bytes]]] = []
        for name, delimiter, attributes in entries:
            use = self._folders.special_use(name)
            listed.append((name, delimiter, [*attributes, use.encode()] if use else attributes))
        return listed, updates


class Mailstore:
    """Every mailbox of the emulator."""

    def __init__(self, personality: Personality) -> None:
        self._personality = personality
        self._mailboxes: dict[str, Folders] = {}

    def add(self, address: str) -> None:
        """Make a mailbox; one that exists keeps its mail."""
        self._mailboxes.setdefault(address, Folders(self._personality))

    def folders(self, address: str) -> Folders:
        """Return the folders of a mailbox."""
        return self._mailboxes[address]

    def deliver(
        self, address: str, raw: bytes, folder: str = "INBOX", *, seen: bool = False
    ) -> int:
        """Put a message into a folder, made if need be, and return its UID."""
        flags = (Seen,) if seen else ()
        # IMAP knows no lines that end otherwise (RFC 3501 section 2.2).
        whole = _BARE_LINE_FEED.sub(b"\r\n", raw)
        return self.folders(address).open(folder).add(whole, flags).uid


def _content(message: Message) -> bytes:
    return bytes(message._content or b"")  # noqa: SLF001 - pymap shows it to coroutines only


def _key(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name
