"""`--format mbox`: one file, each message after a line that begins with "From " (mboxrd).

That line holds the message's number where others put the sender, so the file itself
remembers what is in it::

    From 1714.42.0b5e9f0a1c@mailoauth.invalid Fri Jan  2 02:04:05 2026

Lines end in LF, and a line of a message that begins with "From ", or with that after
any number of ">", gets one ">" more. Nothing is ever rewritten: messages are appended
under a lock, and what a killed run left of one is cut off by the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen
from mailoauth.cli.files import (
    Source,
    explained,
    make_private_folder,
    received_at,
    write_all,
)
from mailoauth.cli.journal import Entry, Journal
from mailoauth.cli.single import appending
from mailoauth.cli.uids import UidSet
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from mailoauth.mail.message import Message

_QUOTED: Final = re.compile(rb"^(?=>*From )", re.MULTILINE)
_OURS: Final = re.compile(rb"From (\d{1,10})\.(\d{1,10})\.([0-9a-f]{10})@mailoauth\.invalid ")
_BEGINNING: Final = b"\nFrom "
_CHUNK: Final = 1024 * 1024
_LINE: Final = 200


class Mbox:
    """Appends each message once to a file that mutt and Python's ``mailbox`` read."""

    def __init__(self, path: Path, source: Source) -> None:
        self.path = path
        self._source = source
        self._journal = Journal(path.with_name(f".{path.name}.mailoauth-journal"))
        self._waiting: list[tuple[int, int, bytes]] = []
        self._known = UidSet()
        self._validity = 0
        self._read_to = 0

    def prepare(self) -> None:
        """Make the file. Raises ``ConfigError``, also for one that is no mbox."""
        with explained(self.path, "--output"):
            make_private_folder(self.path.parent)
            if not self.path.exists():
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            if not self.path.is_dir() and not self._looks_like_one():
                raise ConfigError(
                    f"{self.path} is no mbox: it does not begin with a line for a message.",
                    remedy="Name a new file, or an mbox, with --output.",
                )

    def _looks_like_one(self) -> bool:
        if not self.path.is_file():
            return False
        with self.path.open("rb") as file:
            return file.read(5) in {b"", b"From "}

    def known(self, validity: int) -> UidSet:
        """Return which are in it; removes what a run that was killed left of a message."""
        self._validity = validity
        self._known, self._read_to = UidSet(), 0
        with self._opened() as file:
            self._catch_up(file)
        return self._known

    def add(self, message: Message) -> None:
        """Append a message with the next commit."""
        self._waiting.append((message.uid_validity, message.uid, _entry(message, self._source)))

    def commit(self) -> None:
        """Have everything that was added on the disk."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with self._opened() as file:
            self._catch_up(file)
            texts = [text for validity, uid, text in waiting if not self._has(validity, uid)]
            if texts:
                self._append(file, texts)
                self._catch_up(file)

    def _has(self, validity: int, uid: int) -> bool:
        return validity == self._validity and uid in self._known

    @contextlib.contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with (
            explained(self.path, "--output"),
            self.path.open("r+b", buffering=0) as file,
            appending(self.path, file),
        ):
            yield file

    def _catch_up(self, file: IO[bytes]) -> None:
        """Mend what a killed run left; learn what others have appended meanwhile."""
        self._mend(file)
        size = file.seek(0, os.SEEK_END)
        if size < self._read_to:  # somebody removed messages
            self._known, self._read_to = UidSet(), 0
        for line in _separators(file, self._read_to):
            found = _OURS.match(line)
            if found and int(found[1]) == self._validity and found[3] == self._source.tag.encode():
                self._known.add(int(found[2]))
        self._read_to = size

    def _append(self, file: IO[bytes], texts: list[bytes]) -> None:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 2))
        ending = file.read(2) if end else b"\n\n"
        gap = b"" if ending == b"\n\n" else b"\n" if ending[-1:] == b"\n" else b"\n\n"
        first_line = texts[0][:_LINE].partition(b"\n")[0]
        with explained(self.path.parent, "--output"):
            self._journal.write(Entry.of(end, first_line, [gap, *texts]))
        file.seek(end)
        try:
            for text in (gap, *texts):
                write_all(file.fileno(), text)
            os.fsync(file.fileno())
        except BaseException:
            # Should this fail as well, the journal still says where to cut.
            file.truncate(end)
            self._journal.clear()
            raise
        self._journal.clear()

    def _mend(self, file: IO[bytes]) -> None:
        entry = self._journal.read()
        if entry is None:
            return
        size = file.seek(0, os.SEEK_END)
        if entry.offset < size and not _is_whole(file, entry):
            if size - entry.offset <= entry.length and _is_only_ours(file, entry):
                file.truncate(entry.offset)
                os.fsync(file.fileno())
            else:
                screen.warn(
                    f"mailoauth: a run that was killed may have left half a message in {self.path}. "
                    "It is left as it is: another program has changed the file since."
                )
        self._journal.clear()


def _entry(message: Message, source: Source) -> bytes:
    """Return the message as it stands in the file, the empty line behind it included."""
    when = time.asctime(time.gmtime(received_at(message)))
    number = f"{message.uid_validity}.{message.uid}.{source.tag}"
    text = _QUOTED.sub(b">", message.raw.replace(b"\r\n", b"\n"))
    ending = b"\n" if text.endswith(b"\n") else b"\n\n"
    return b"From %s@mailoauth.invalid %s\n%s%s" % (number.encode(), when.encode(), text, ending)


def _separators(file: IO[bytes], start: int) -> Iterator[bytes]:
    """Yield the beginnings of the lines that begin messages, from there on."""
    file.seek(start)
    held = b"\n"  # what is at the start begins a line
    while chunk := file.read(_CHUNK):
        held += chunk
        position = held.find(_BEGINNING)
        while position >= 0 and position + _LINE <= len(held):
            yield held[position + 1 : position + _LINE]
            position = held.find(_BEGINNING, position + 1)
        held = held[position if position >= 0 else -len(_BEGINNING) :]
    position = held.find(_BEGINNING)
    while position >= 0:
        yield held[position + 1 : position + _LINE]
        position = held.find(_BEGINNING, position + 1)


def _is_whole(file: IO[bytes], entry: Entry) -> bool:
    file.seek(entry.offset)
    digest = hashlib.sha256()
    left = entry.length
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    return not left and digest.hexdigest() == entry.digest


def _is_only_ours(file: IO[bytes], entry: Entry) -> bool:
    """Say whether what follows is what we began to append, and nothing of anybody else."""
    file.seek(entry.offset)
    beginning = file.read(_LINE).lstrip(b"\n").partition(b"\n")[0]
    if not entry.first_line.startswith(beginning):
        return False
    # The last one may have been cut off in its middle.
    return all(_OURS.match(line) or b"\n" not in line for line in _separators(file, entry.offset))
