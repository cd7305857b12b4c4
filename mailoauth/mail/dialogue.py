"""What is said in a submission: the envelope, the replies, and what MAIL asks for; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailoauth.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Reply(NamedTuple):
    """A server's reply: the code and the text, lines joined by a newline."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Envelope(NamedTuple):
    """Who a message is from and for, as SMTP is told."""

    sender: str
    recipients: Sequence[str]


def mail_options(
    envelope: Envelope, data: bytes, offered: Callable[[str], bool], place: str
) -> list[str]:
    """Return the parameters of MAIL for a message, of those that the server offers.

    SIZE (RFC 1870), BODY=8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531), the last only
    where an address needs it: then a server without it is a ``ServerError``.
    """
    options = []
    if offered("size"):
        options.append(f"SIZE={len(data)}")
    if not data.isascii() and offered("8bitmime"):
        options.append("BODY=8BITMIME")
    if not all(address.isascii() for address in (envelope.sender, *envelope.recipients)):
        if not offered("smtputf8"):
            raise ServerError(
                f"{place} takes no addresses beyond ASCII (it does not offer SMTPUTF8).",
                remedy="Nothing was sent. Use an address in ASCII, if the recipient has one.",
            )
        options.append("SMTPUTF8")
    return options
