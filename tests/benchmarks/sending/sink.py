"""A submission server that forgets what it takes: ``sink CHAIN_FILE KEY_FILE``.

It prints its port. A line on its standard input is answered with how many messages came
since the last, and how many different letters these were; the end of it ends the sink.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading

_GREETING = b"220 localhost sink\r\n"
_EHLO = (
    b"250-localhost\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n250 AUTH XOAUTH2\r\n"
)
_REPLIES = {
    b"EHLO": _EHLO,
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
_END = b"\r\n.\r\n"
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class _Taken:
    """How many messages came, and a checksum of which."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._identities: set[int] = set()

    def add(self, message: bytes) -> None:
        found = _MESSAGE_ID.search(message)
        with self._lock:
            self._count += 1
            self._identities.add(hash(found[1]) if found else 0)

    def tell(self) -> str:
        with self._lock:
            told = f"{self._count} {len(self._identities)}"
            self._count = 0
            self._identities.clear()
        return told


def _converse(line: socket.socket, context: ssl.SSLContext, taken: _Taken) -> None:
    with context.wrap_socket(line, server_side=True) as client:
        client.sendall(_GREETING)
        left = b""
        in_message = False
        while data := client.recv(65536):
            left += data
            answer, left, in_message = _answer(left, taken, in_message=in_message)
            if answer:
                client.sendall(answer)


def _answer(left: bytes, taken: _Taken, *, in_message: bool) -> tuple[bytes, bytes, bool]:
    """Take what is whole; return the replies, the rest, and whether that is a message's."""
    answer = b""
    while True:
        message, found, rest = left.partition(_END if in_message else b"\r\n")
        if not found:
            return answer, left, in_message
        left = rest
        if in_message:
            taken.add(message)
            answer += b"250 2.0.0 Ok: taken\r\n"
            in_message = False
            continue
        verb = message[:4].upper()
        if verb == b"AUTH" and b" " not in message[5:]:
            answer += b"334 \r\n"  # the response is the next line, which is no command
        else:
            answer += _REPLIES.get(verb, b"235 2.7.0 Ok\r\n")
        in_message = verb == b"DATA"


def _accept(listener: socket.socket, context: ssl.SSLContext, taken: _Taken) -> None:
    while True:
        line, _ = listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(line, context, taken), daemon=True).start()


def main(chain_file: str, key_file: str) -> None:
    """Serve until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key_file)
    taken = _Taken()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, context, taken), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for _ in sys.stdin:
        print(taken.tell(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
