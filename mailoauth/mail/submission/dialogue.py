"""What is said in a submission: commands, replies, and the message made ready; no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from mailoauth.errors import ConfigError, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mailoauth.mail.parcel import Parcel

#: RFC 5321 section 4.5.3.1.5 has 512 octets a line; servers say more, and aiosmtplib takes this.
_LONGEST_LINE: Final = 8192
#: The lines of one reply in all; no EHLO comes near it.
_LONGEST_REPLY: Final = 32 * 1024

#: Commands written at once (RFC 2920). Their replies are kept until they are read, so this
#: bounds what a server can make us keep; most messages have fewer recipients.
_GROUP: Final = 100

#: How much of a message is written at a time, each within one time-out.
PIECE: Final = 65_536

#: RFC 5321 section 4.1.2: only a quoted local part may hold spaces and angle brackets.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"@')
_BREAKS_OUT: Final = re.compile(r"[\s<>]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Reply(NamedTuple):
    """A server's reply: the code and the text, lines joined by a newline."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Command(NamedTuple):
    """A command as it is written; ``recipient`` is whom RCPT names."""

    verb: str
    line: bytes
    recipient: str = ""


RSET: Final = Command("RSET", b"RSET\r\n")
DATA: Final = Command("DATA", b"DATA\r\n")
#: RFC 2920 section 3.1: what a client says that was let in though nobody is to get the message.
EMPTY_MESSAGE: Final = b".\r\n"


class ReplyReader:
    """Makes replies of what arrives, in whatever pieces (RFC 5321 section 4.2)."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[bytes] = []
        self._size = 0
        #: Whether something came that is no reply; nothing is read any more.
        self.garbled = False

    @property
    def within(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest or self._texts)

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that are whole by now."""
        replies: list[Reply] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._take(line, replies):
                self.garbled = True
                break
        self.garbled |= len(self._rest) > _LONGEST_LINE
        return replies

    def _take(self, line: bytes, replies: list[Reply]) -> bool:
        line = line.rstrip(b"\r")
        code, mark = line[:3], line[3:4]
        self._size += len(line)
        if len(line) > _LONGEST_LINE or self._size > _LONGEST_REPLY:
            return False
        if len(code) < 3 or not code.isdigit() or code[:1] not in b"2345" or mark not in b" -\t":  # noqa: PLR2004 - a code's digits
            return False
        self._texts.append(line[4:].strip())
        if mark != b"-":
            replies.append(Reply(int(code), b"\n".join(self._texts).decode("utf-8", "replace")))
            self._texts.clear()
            self._size = 0
        return True


class Answers:
    """What was answered to the commands before a message, as far as it is known."""

    def __init__(self, recipients: int) -> None:
        self.mail: Reply | None = None  # where the sender was refused
        self.data: Reply | None = None
        self.refused: dict[str, Reply] = {}
        self._accepted = 0
        self._unanswered = recipients

    @property
    def nobody(self) -> bool:
        """Whether every recipient was refused."""
        return not self._accepted and not self._unanswered

    @property
    def let_in(self) -> bool:
        """Whether the server waits for a message (RFC 5321 section 4.1.1.4)."""
        return self.data is not None and self.data.code == 354  # noqa: PLR2004 - start mail input

    @property
    def pointless(self) -> bool:
        """Whether nothing would come of the commands that are still to be said."""
        return self.mail is not None or self.nobody

    def note(self, command: Command, reply: Reply) -> bool:
        """Take one; False for what is no answer to that command (RFC 5321 section 4.3.2)."""
        refused = reply.code >= 400  # noqa: PLR2004 - RFC 5321 section 4.2.1: negative
        if command.verb == "DATA":
            self.data = reply
            return refused or self.let_in
        accepted = reply.code < 300  # noqa: PLR2004 - RFC 5321 section 4.2.1: completed
        if command.verb == "RSET":
            return accepted
        if command.verb == "MAIL" and refused:
            self.mail = reply
        elif command.verb == "RCPT" and (accepted or refused):
            self._unanswered -= 1
            self._accepted += accepted
            if refused:
                self.refused[command.recipient] = reply
        return accepted or refused


def commands(parcel: Parcel, extensions: Mapping[str, str], place: str) -> list[Command]:
    """Return what is said before the message; ``extensions`` are EHLO's, in small letters.

    A message that is too large for the server is a ``ConfigError``, as is an address that
    would break out of its command; one beyond ASCII where the server has no SMTPUTF8
    (RFC 6531) is a ``ServerError``.
    """
    if not parcel.recipients:
        raise ConfigError("The message has no recipients. Nothing was sent.")
    _check_size(len(parcel.data), extensions.get("size", ""), place)
    options = _mail_options(parcel, extensions, place)
    mail = b" ".join((b"MAIL FROM:" + _path(parcel.sender), *options))
    return [
        Command("MAIL", mail + b"\r\n"),
        *(
            Command("RCPT", b"RCPT TO:" + _path(recipient) + b"\r\n", recipient)
            for recipient in parcel.recipients
        ),
        DATA,
    ]


def groups(said: Sequence[Command], *, pipelining: bool) -> Iterator[Sequence[Command]]:
    """Yield the commands that are written at once: RFC 2920 where it is offered, else one."""
    size = _GROUP if pipelining else 1
    for start in range(0, len(said), size):
        yield said[start : start + size]


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield a message as it goes over the wire, dots doubled, with its end (RFC 5321 4.5.2)."""
    ending = b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n"
    for start in range(0, max(len(data), 1), PIECE):
        # One octet more in front tells whether the piece begins a line.
        text = (data[start - 1 : start] or b"\n") + data[start : start + PIECE]
        if b"\n." in text:
            text = text.replace(b"\n.", b"\n..")
        last = start + PIECE >= len(data)
        yield text[1:] + ending if last else text[1:]


def _mail_options(parcel: Parcel, extensions: Mapping[str, str], place: str) -> list[bytes]:
    """Return the parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 if needed."""
    options = []
    if "size" in extensions:
        options.append(b"SIZE=%d" % len(parcel.data))
    if "8bitmime" in extensions and not parcel.data.isascii():
        options.append(b"BODY=8BITMIME")
    if not all(address.isascii() for address in (parcel.sender, *parcel.recipients)):
        if "smtputf8" not in extensions:
            raise ServerError(
                f"{place} takes no addresses beyond ASCII (it does not offer SMTPUTF8).",
                remedy="Nothing was sent. Use an address in ASCII, if the recipient has one.",
            )
        options.append(b"SMTPUTF8")
    return options


def _check_size(size: int, offered: str, place: str) -> None:
    # RFC 1870 section 4: no number, or zero, is no limit that is known.
    limit = int(offered) if offered.isascii() and offered.isdigit() else 0
    if not 0 < limit < size:
        return
    raise ConfigError(
        f"The message is too large: it has {_megabytes(size)}, and {place} takes "
        f"{_megabytes(limit)} at most. Nothing was sent.",
        remedy="Send less at a time, or a link to the file; an attachment takes a third more "
        "than the file itself.",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB ({size:,} bytes)"


def _path(address: str) -> bytes:
    if _CONTROL.search(address) or _BREAKS_OUT.search(_QUOTED.sub("", address, count=1)):
        raise ConfigError(f"{address!r} is no e-mail address. Nothing was sent.")
    try:
        return b"<" + address.encode() + b">"
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{address!r} is no e-mail address. Nothing was sent.") from exc
