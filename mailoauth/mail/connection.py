"""ImapConnection: the commands that read a mailbox and mark messages, on one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailoauth.mail.commands import Command, Fetch, SearchCommand, Select
from mailoauth.mail.fetched import Selected
from mailoauth.mail.folder_names import wire_name
from mailoauth.mail.imap import ImapClient
from mailoauth.mail.sets import sequence_set, sequence_sets

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Sequence

    from mailoauth.mail.criteria import Search

#: A stretch of a message: UID, section, where it begins, octets.
_Part = tuple[int, str, int, int]


class ImapConnection(ImapClient):
    """One signed-in connection; every command blocks, but for :meth:`start`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._early: tuple[Search, SearchCommand] | None = None
        self._next_part: dict[_Part, Fetch] = {}

    def select(self, folder: str, *, then: Search | None = None) -> Selected:
        """Open a folder, if only for reading; ``FolderNotFound`` if there is none of that name.

        ``then`` is what will be searched for in it next: it is sent along, which saves a
        round trip.
        """
        self.selected = None
        self._early = None
        self._next_part.clear()
        command = Select()
        with self.translated("SELECT", folder=folder):
            # The same UIDs stand for other messages in the next folder.
            self.pipeline.drain()
            self.pipeline.send(command, b"SELECT " + wire_name(folder))
            if then is not None and then.charset is None:
                self._early = (then, self._send_search(then))
            self.pipeline.finish(command)
            self.set_state("SELECTED")
            self.selected = Selected(
                folder, command.validity, command.read_only, command.permanent_flags
            )
        self.just_selected = True
        return self.selected

    def search(self, search: Search) -> array[int]:
        """Return the UIDs that match, ascending."""
        early, self._early = self._early, None
        if early is not None and early[0] is search:
            command = early[1]
        else:
            if not self.just_selected:
                # Mail that came meanwhile is not found before a command has announced it
                # (RFC 9051 section 7.4.1); Dovecot announces it after the SEARCH, and after a
                # NOOP only if that is waited for.
                self.run("NOOP", Command())
            with self.translated("SEARCH"):
                command = self._send_search(search)
        self.just_selected = False
        with self.translated("SEARCH"):
            self.pipeline.finish(command)
        return command.uids

    def _send_search(self, search: Search) -> SearchCommand:
        pieces = search.command(literal_plus=False)
        if len(pieces) > 1 and self.has("LITERAL+"):
            pieces = search.command(literal_plus=True)
        command = SearchCommand()
        self.pipeline.send(command, b"UID SEARCH " + pieces[0], *pieces[1:])
        return command

    def start(self, fetch: Fetch) -> None:
        """Send a FETCH without waiting for what it brings; see :meth:`wait`."""
        self.just_selected = False
        with self.translated("FETCH"):
            uids = sequence_set(fetch.uids).encode()
            self.pipeline.send(fetch, b"UID FETCH " + uids + b" (" + fetch.what + b")")

    def wait(self, fetch: Fetch) -> None:
        """Wait until the next message that a FETCH brings is here, or its end."""
        with self.translated("FETCH"):
            while not (fetch.ready or fetch.over):
                self.pipeline.advance()

    def check(self, fetch: Fetch) -> None:
        """Raise what a FETCH was refused with, if it was."""
        with self.translated("FETCH"):
            fetch.check()

    def partial(self, uid: int, section: str, start: int, count: int) -> bytes | None:
        """Return octets of a message or of a part of it; b"" behind its end, None if it is gone.

        What comes next is asked for along with it.
        """
        wanted = (uid, section, start, count)
        fetch = self._next_part.pop(wanted, None) or self._start_part(wanted)
        self._next_part.clear()
        following = (uid, section, start + count, count)
        self._next_part[following] = self._start_part(following)
        self.wait(fetch)
        self.check(fetch)
        items = fetch.next()
        data = items[fetch.key] if items else None
        if data is not None and len(data) > count:
            self.usable = False
            raise self.verdicts.not_imap("FETCH")
        return data

    def _start_part(self, part: _Part) -> Fetch:
        uid, section, start, count = part
        fetch = Fetch(
            [uid],
            f"UID BODY.PEEK[{section}]<{start}.{count}>".encode("ascii"),
            f"BODY[{section}]<{start}>",
        )
        self.start(fetch)
        return fetch

    def store(self, uids: Iterable[int], flags: Sequence[str], *, add: bool) -> None:
        """Add or remove flags; harmless to repeat. ``ConfigError`` for one that is not kept."""
        self.just_selected = False
        if self.selected is not None and self.selected.read_only:
            raise self.verdicts.read_only(self.selected.folder)
        words = f"{'+' if add else '-'}FLAGS.SILENT ({' '.join(flags)})"
        for numbers in sequence_sets(uids):
            self.run("STORE", Command(), f"UID STORE {numbers} {words}".encode("ascii"))
