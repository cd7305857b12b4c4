"""The laboratory: real servers, mailboxes filled when they are first needed, the long line."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.benchmarks.common import runs
from tests.benchmarks.common.line import LongLine
from tests.benchmarks.reading.contenders import table
from tests.benchmarks.reading.contenders.raw_socket import RawConnection
from tests.benchmarks.reading.contenders.table import CONTENDERS, FLOOR
from tests.benchmarks.reading.job import SAVED, Job
from tests.benchmarks.reading.works import contents

if TYPE_CHECKING:
    from types import TracebackType

    from tests.benchmarks.common.runs import Run
    from tests.benchmarks.reading.works import Sizes, Work
    from tests.real.servers import RealServers

#: Seconds each way.
_DELAY: Final = 0.020
#: How many letters are put in by one command.
_AT_ONCE: Final = 200


class Lab:
    """Prepares works and runs them; a context manager."""

    def __init__(self, servers: RealServers, sizes: Sizes) -> None:
        self._servers = servers
        self._sizes = sizes
        self._octets: dict[str, int] = {}
        self._stack = ExitStack()
        self._port = servers.imap_direct.port
        self._lines = {
            "short": LongLine(self._port, 0.0),
            "long": LongLine(self._port, _DELAY),
        }
        self._folder = Path()

    def __enter__(self) -> Self:
        for line in self._lines.values():
            self._stack.enter_context(line)
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def prepare(self, work: Work) -> None:
        """Fill the work's mailbox and let the server read it once, so that nobody is the first."""
        user = _user(work)
        if user not in self._octets:
            self._servers.add_user(user)
            self._octets[user] = self._fill(work)
        if work.mailbox != "append":
            self._work(FLOOR, work)

    def run(self, contender: str, work: Work) -> Run:
        """Let a contender do the work, and check what can be checked from here."""
        if work.mailbox == "append":
            self._servers.clear(_user(work))
        run = self._work(contender, work)
        problem = ""
        if run.done.count != work.count:
            problem = f"did {run.done.count} of {work.count}"
        if run.done.octets and work.verb != "headers":
            whole = self._octets[_user(work)]
            if not whole <= run.done.octets < whole * 1.1 + 4096:
                problem = f"read {run.done.octets} octets of {whole}"
        if work.mailbox == "append":
            appended = len(self._servers.messages(_user(work)))
            problem = f"appended {appended}" if appended != work.count else problem
        if problem:
            raise runs.RunFailed(problem)
        if work.mailbox == "save":
            return replace(run, done=replace(run.done, proof=self._hash_saved()))
        return run

    def _work(self, contender: str, work: Work) -> Run:
        who = CONTENDERS[contender]
        command = who.command(table.__name__, contender, work.verb)
        return runs.run(command, who.told(self._job(work)))

    def _hash_saved(self) -> str:
        saved = self._folder / SAVED
        with saved.open("rb") as file:
            proof = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        saved.unlink()
        return proof

    def _job(self, work: Work) -> Job:
        user = _user(work)
        return Job(
            port=self._lines[work.line].port if work.line in self._lines else self._port,
            user=user,
            token=self._servers.issue_token(user),
            ca_file=str(self._servers.ca_file),
            folder=str(self._folder),
            count=work.count,
        )

    def _fill(self, work: Work) -> int:
        """Put everything in, many letters a command (MULTIAPPEND, RFC 3502); return the octets."""
        job = replace(self._job(work), port=self._port)
        octets = 0
        in_command = 0
        with RawConnection(job) as connection:
            for letter in contents(work, self._sizes):
                octets += len(letter)
                start = b"M APPEND INBOX " if not in_command else b" "
                connection.send_bytes(b"%s{%d+}\r\n" % (start, len(letter)), letter)
                in_command += 1
                if in_command == _AT_ONCE:
                    connection.send(b"")
                    connection.skip_until(b"M")
                    in_command = 0
            if in_command:
                connection.send(b"")
                connection.skip_until(b"M")
        return octets


def _user(work: Work) -> str:
    suffix = str(work.count) if work.mailbox == "scale" else ""
    return f"{work.mailbox}{suffix}@example.com"
