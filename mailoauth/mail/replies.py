"""The server's own words, out of what imaplib and imapclient make of them; pure."""

from __future__ import annotations

import ast
import re
from typing import Final

from mailoauth.mail.commands import Refused

# How imaplib and our wire begin when they end a connection because of what came on it.
_NOT_IMAP: Final = re.compile(
    r"(command: \w+ => )?(unexpected (tagged )?response: |a line without an end|a literal of )"
)
#: imaplib's "SELECT command error: BAD [b'...']", and the greeting that it quotes as it came.
_BAD: Final = re.compile(r"command error: (BAD|NO) (\[.*\])\Z", re.DOTALL)
_BYTES: Final = re.compile(r"b(['\"]).*\1\Z", re.DOTALL)


def is_not_imap(text: str) -> bool:
    """Say whether a connection ended because what came on it was not IMAP."""
    return _NOT_IMAP.match(text) is not None


def forget_data(error: BaseException) -> None:
    """Take what the server sent out of an exception and of those behind it.

    imaplib and imapclient quote the line that they stumbled over, and on a line that is
    out of step that is somebody's mail.
    """
    behind: BaseException | None = error
    while behind is not None:
        opening, _, quoted = str(behind).partition(": b")
        harmless = isinstance(behind, OSError) or type(behind).__module__ == "imaplib"
        if quoted or not harmless:
            behind.args = (opening if quoted else type(behind).__name__,)
        behind = behind.__cause__ or behind.__context__


def reply_text(exc: BaseException, command: str) -> str:
    """Return the tagged reply of a refusal, with NO or BAD in front where that is known."""
    if isinstance(exc, Refused):
        return exc.reply
    text = str(exc)
    if (found := _BAD.search(text)) is not None:
        return f"{found[1]} {_plain(found[2])}"
    if _BYTES.match(text):  # the greeting
        return _plain(text).removeprefix("* ")
    for opening in (f"{command} failed: ", f"{command.lower()} failed: "):
        text = text.removeprefix(opening)
    return f"NO {text}" if command == "AUTHENTICATE" else text


def bye_text(lines: object) -> str:
    """Return what came with BYE, from imaplib's untagged responses."""
    if not isinstance(lines, list):
        return ""
    words = b" ".join(line for line in lines if isinstance(line, bytes))
    return words.decode("ascii", "replace")


def _plain(shown: str) -> str:
    """Undo the repr of bytes, or of a list of them."""
    try:
        value = ast.literal_eval(shown)
    except (ValueError, SyntaxError):
        return shown
    parts = value if isinstance(value, list) else [value]
    return b" ".join(part for part in parts if isinstance(part, bytes)).decode("ascii", "replace")
