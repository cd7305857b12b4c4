"""A small mailbox for ``ScriptedImap``, with the extensions a test wants, and lines that end early."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailoauth import Message
from mailoauth.mail.mailbox import Mailbox
from tests.judges import TIMEOUT, signed_in_source
from tests.scripted_imap import ADA, ScriptedImap

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from mailoauth.emulator import OutlookEmulator
    from mailoauth.emulator.certificates import Certificates

BASIC = "IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE"
FULL = f"{BASIC} MOVE UIDPLUS LITERAL+ UNSELECT"
VALIDITY = 7

_APPEND = re.compile(r'APPEND "(?P<folder>[^"]*)".*?\{(?P<size>\d+)\+?\}\r\n(?P<raw>.*)', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def message(uid: int, folder: str = "INBOX", validity: int = VALIDITY) -> Message:
    """Return a message as it would have been read from the folder."""
    raw = f"Subject: {uid}\r\n\r\ntext\r\n".encode()
    return Message.from_bytes(raw, uid=uid, folder=folder, uid_validity=validity)


def messages(uids: Iterable[int], folder: str = "INBOX") -> list[Message]:
    return [message(uid, folder) for uid in uids]


def numbers(text: str) -> list[int]:
    """Return the UIDs of a set."""
    pairs = (run.partition(":") for run in text.split(","))
    return [uid for first, _, last in pairs for uid in range(int(first), int(last or first) + 1)]


def told(server: ScriptedImap, *verbs: str) -> list[str]:
    """Return the commands with these verbs that a server was told."""
    return [command for command in server.commands if command.startswith(verbs)]


def mailbox_of(emulator: OutlookEmulator) -> Mailbox:
    """Return Ada's mailbox on the emulator, signed in."""
    account = emulator.account(ADA)
    return Mailbox(account, tokens=signed_in_source(emulator, account), timeout=TIMEOUT)


class ScriptedMailbox:
    """Folders of UIDs and their flags. ``answers`` has what to say instead, by verb.

    ``listing`` are the lines that answer LIST. ``permanent`` are the PERMANENTFLAGS.
    """

    def __init__(self, *uids: int) -> None:
        self.folders: dict[str, dict[int, set[str]]] = {
            "INBOX": {uid: set() for uid in uids},
            "Done": {},
        }
        self.validity = VALIDITY
        self.permanent = r"(\Seen \Flagged \Deleted \*)"
        self.mode = "READ-WRITE"
        self.answers: dict[str, tuple[bytes, str | None] | None] = {}
        self.listing = b""
        self.stored: list[str] = []
        self._open = "INBOX"

    def __call__(self, command: str) -> tuple[bytes, str | None] | None:
        words = command.split(" ")
        verb = f"UID {words[1]}" if words[0] == "UID" else words[0]
        if verb in self.answers:
            return self.answers[verb]
        known = getattr(self, f"to_{verb.lower().replace(' ', '_')}", None)
        if known is None:
            return b"", "OK done"
        answer: tuple[bytes, str | None] = known(command)
        return answer

    def at(self, folder: str) -> list[int]:
        return sorted(self.folders[folder])

    def flagged(self, flag: str) -> list[int]:
        return sorted(uid for uid, flags in self.folders["INBOX"].items() if flag in flags)

    def to_select(self, command: str) -> tuple[bytes, str | None]:
        self._open = _QUOTED.findall(command)[0]
        if self._open not in self.folders:
            return b"", "NO [NONEXISTENT] there is none"
        head = (
            f"* OK [UIDVALIDITY {self.validity}] .\r\n* OK [PERMANENTFLAGS {self.permanent}] .\r\n"
        )
        return head.encode(), f"OK [{self.mode}] done"

    def to_namespace(self, command: str) -> tuple[bytes, str | None]:
        return b'* NAMESPACE (("" "/")) NIL NIL\r\n', "OK done"

    def to_list(self, command: str) -> tuple[bytes, str | None]:
        return self.listing, "OK done"

    def to_uid_search(self, command: str) -> tuple[bytes, str | None]:
        there = self._these(command)
        return ("* SEARCH" + "".join(f" {uid}" for uid in there) + "\r\n").encode(), "OK done"

    def to_uid_move(self, command: str) -> tuple[bytes, str | None]:
        return self._transfer(command, keep=False)

    def to_uid_copy(self, command: str) -> tuple[bytes, str | None]:
        return self._transfer(command, keep=True)

    def to_uid_store(self, command: str) -> tuple[bytes, str | None]:
        flags = set(command.partition("(")[2].rstrip(")").split())
        for uid in self._these(command):
            mine = self.folders[self._open][uid]
            mine.update(flags) if "+FLAGS" in command else mine.difference_update(flags)
        return b"", "OK done"

    def to_uid_expunge(self, command: str) -> tuple[bytes, str | None]:
        folder = self.folders[self._open]
        for uid in self._these(command):
            if "\\Deleted" in folder[uid]:
                del folder[uid]
        return b"", "OK done"

    def to_append(self, command: str) -> tuple[bytes, str | None]:
        found = _APPEND.fullmatch(command)
        assert found is not None
        if found["folder"] not in self.folders:
            return b"", "NO [TRYCREATE] there is none"
        self.stored.append(found["raw"])
        uid = max(self.folders[found["folder"]], default=0) + 1
        self.folders[found["folder"]][uid] = set()
        return b"", f"OK [APPENDUID {self.validity} {uid}] done"

    def _these(self, command: str) -> list[int]:
        wanted = re.search(r"[\d:,]{1,}(?= |$)", command)
        assert wanted is not None
        return [uid for uid in numbers(wanted[0]) if uid in self.folders[self._open]]

    def _transfer(self, command: str, *, keep: bool) -> tuple[bytes, str | None]:
        target = _QUOTED.findall(command)[0]
        if target not in self.folders:
            return b"", "NO [TRYCREATE] there is none"
        told = b""
        for uid in self._these(command):
            flags = self.folders[self._open][uid]
            self.folders[target][max(self.folders[target], default=0) + 1] = set(flags)
            if not keep:
                del self.folders[self._open][uid]
                told += b"* 1 EXPUNGE\r\n"
        return told, "OK done"


class CutImap(ScriptedImap):
    """Ends a connection after so many octets of its answers to a verb; ``cuts`` has the numbers."""

    def __init__(
        self,
        certificates: Certificates,
        script: Callable[[str], tuple[bytes, str | None] | None],
        *,
        capabilities: str,
        verb: str,
        cuts: Iterable[int],
    ) -> None:
        super().__init__(certificates, script, capabilities=capabilities)
        self._verb = verb
        self._cuts = list(cuts)
        self._due: int | None = None
        self._inner = script
        self._script = self._watched

    def _watched(self, command: str) -> tuple[bytes, str | None] | None:
        if command.startswith(self._verb) and self._cuts:
            self._due = self._cuts.pop(0)
        return self._inner(command)

    def _answer(
        self, line: ssl.SSLSocket, readline: Callable[[], bytes], read: Callable[[int], bytes]
    ) -> bool:
        cutting: ssl.SSLSocket = _Cutting(line, self)  # type: ignore[assignment] # all it needs
        return super()._answer(cutting, readline, read)

    def due(self) -> int | None:
        """Return after how many octets the next answer ends, once."""
        due, self._due = self._due, None
        return due


class _Cutting:
    def __init__(self, line: ssl.SSLSocket, server: CutImap) -> None:
        self._line = line
        self._server = server

    def sendall(self, data: bytes) -> None:
        due = self._server.due()
        if due is None:
            self._line.sendall(data)
            return
        self._line.sendall(data[:due])
        raise EOFError
