"""The floor: a TLS socket, commands sent ahead, bytes counted and not looked at."""

from __future__ import annotations

import base64
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.benchmarks.common import memory
from tests.benchmarks.reading.job import SAVED, Done
from tests.benchmarks.reading.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from tests.benchmarks.reading.job import Job


class RawConnection:
    """A signed-in connection; leaving the ``with`` block says goodbye."""

    def __init__(self, job: Job) -> None:
        context = ssl.create_default_context(cafile=job.ca_file)
        plain_socket = socket.create_connection(("127.0.0.1", job.port), 120)
        plain_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain_socket, server_hostname="localhost")
        self._room = memoryview(bytearray(65536))
        self._socket.recv(65536)  # the greeting, which fits in one record
        proof = f"user={job.user}\1auth=Bearer {job.token}\1\1".encode()
        self.send(b"S AUTHENTICATE XOAUTH2 " + base64.b64encode(proof))
        self.skip_until(b"S")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._socket:
            if kind is None:
                self.send(b"Z LOGOUT")
                self.skip_until(b"Z")

    def send(self, *lines: bytes) -> None:
        """Send command lines at once."""
        self.send_bytes(*(line + b"\r\n" for line in lines))

    def send_bytes(self, *pieces: bytes) -> None:
        """Send the pieces as they are."""
        self._socket.sendall(b"".join(pieces))

    def receive(self) -> bytes:
        """Return what there is, b"" at the end of the line."""
        return self._socket.recv(65536)

    def skip_until(self, tag: bytes) -> int:
        """Read up to the completion of the last command sent; return how many bytes that was."""
        count = 0
        end = b""
        while not self._completed(end, tag):
            size = self._socket.recv_into(self._room)
            if not size:
                raise ConnectionError("the server hung up")
            count += size
            end = (end + bytes(self._room[max(0, size - 512) : size]))[-1024:]
        return count

    def read_until(self, tag: bytes) -> bytes:
        """The same for an answer that is wanted."""
        answer = b""
        while not self._completed(answer[-1024:], tag):
            answer += self.receive()
        return answer

    def unseen(self) -> list[int]:
        """Open INBOX and return the UIDs of what is unseen, in one round trip."""
        self.send(b"A SELECT INBOX", b"B UID SEARCH UNSEEN")
        answer = self.read_until(b"B")
        found = answer.partition(b"* SEARCH")[2].partition(b"\r\n")[0]
        return [int(uid) for uid in found.split()]

    def count(self, batches: Iterable[bytes], item: bytes) -> int:
        """Fetch an item of all batches, each asked for before the first is answered."""
        sets = list(batches)
        self.send(*(b"F%d UID FETCH %s %s" % (n, uids, item) for n, uids in enumerate(sets, 1)))
        return self.skip_until(b"F%d" % len(sets)) if sets else 0

    @staticmethod
    def _completed(end: bytes, tag: bytes) -> bool:
        if not end.endswith(b"\r\n"):
            return False
        last = end[end.rfind(b"\n", 0, -1) + 1 :]
        if not last.startswith(tag + b" "):
            return False
        if not last.startswith(tag + b" OK"):
            raise ConnectionError(f"the server said {last.decode(errors='replace')}")
        return True


def in_batches(uids: Sequence[int], size: int) -> Iterator[bytes]:
    """Give sets of UIDs."""
    for start in range(0, len(uids), size):
        yield b",".join(b"%d" % uid for uid in uids[start : start + size])


def _read(job: Job, item: bytes, batch: int) -> Done:
    with RawConnection(job) as connection:
        uids = connection.unseen()
        octets = connection.count(in_batches(uids, batch), item)
    return Done(len(uids), octets=octets)


def small(job: Job) -> Done:
    return _read(job, b"BODY.PEEK[]", 100)


def large(job: Job) -> Done:
    return _read(job, b"BODY.PEEK[]", 5)


def raw(job: Job) -> Done:
    return _read(job, b"BODY.PEEK[]", 100)


def scale(job: Job) -> Done:
    return _read(job, b"BODY.PEEK[]", 500)


def headers(job: Job) -> Done:
    return _read(job, b"BODY.PEEK[HEADER]", 100)


def append(job: Job) -> Done:
    """Send all letters without waiting (LITERAL+, RFC 7888)."""
    letters = (plain(number) for number in range(job.count))
    commands = [
        b"P%d APPEND INBOX {%d+}\r\n%s" % (number, len(letter), letter)
        for number, letter in enumerate(letters, 1)
    ]
    with RawConnection(job) as connection:
        connection.send(*commands)
        connection.skip_until(b"P%d" % job.count)
    return Done(job.count)


def save(job: Job) -> Done:
    """Write the one message to a file, straight from the line."""
    with RawConnection(job) as connection, (Path(job.folder) / SAVED).open("wb") as file:
        uids = connection.unseen()
        before = memory.resident()
        connection.send(b"W UID FETCH %d BODY.PEEK[]" % uids[0])
        first = connection.receive()
        while b"}\r\n" not in first:
            first += connection.receive()
        start, _, data = first.partition(b"}\r\n")
        left = int(start.rpartition(b"{")[2])
        while left > 0:
            file.write(data[:left])
            left -= len(data)
            data = connection.receive() if left > 0 else b""
        extra = memory.since(before)
    return Done(1, extra=extra)
