"""Folders: what LIST, LSUB and STATUS say of them, and which is for what; pure.

Servers' lines are read leniently: Outlook sends names with a TAB in them unquoted, others
leave out quotes, backslashes and whole encodings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mailoauth.checks import did_you_mean
from mailoauth.errors import ConfigError
from mailoauth.mail.folder_names import decode_name, rank_of_name, use_by_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What a folder can be for (RFC 6154, RFC 8457), "inbox" aside.
USES: Final = ("sent", "trash", "drafts", "junk", "archive", "all", "flagged")

#: The attributes of LIST, Gmail's older ones (XLIST) among them.
_USE_OF_FLAG: Final = {f"\\{use}": use for use in USES} | {
    "\\spam": "junk",
    "\\allmail": "all",
    "\\starred": "flagged",
}
_UNSELECTABLE: Final = {"\\noselect", "\\nonexistent"}
#: Below these a folder is as good as at the top: some servers put all of them there.
_TOPS: Final = {"INBOX", "[Gmail]", "[Google Mail]"}

_LISTED: Final = re.compile(
    rb'\* (?:X?LIST|LSUB) \((?P<flags>[^()]*)\) +(?:NIL|"(?P<delimiter>\\.|[^"]?)") ?(?P<rest>.*)',
    re.IGNORECASE | re.DOTALL,
)
_STATUS: Final = re.compile(
    rb"\* STATUS (?P<rest>.*?) *\((?P<items>[^()]*)\) *\r\n", re.IGNORECASE | re.DOTALL
)
_STATUS_OF_LITERAL: Final = re.compile(rb" *\((?P<items>[^()]*)\) *\r\n")
_LITERAL: Final = re.compile(rb"\{[0-9]+\+?\}\r\n\Z")
_QUOTED: Final = re.compile(rb'"(?P<inner>(?:[^"\\]|\\.)*)"(?: |\Z)', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb'\\(["\\])')
#: What LIST-EXTENDED may say behind a name (RFC 5258 section 4).
_MORE: Final = re.compile(rb' \((?:"?[A-Z-]+"? \((?:[^()]*)\) ?)+\)\Z', re.IGNORECASE)
_COUNT: Final = re.compile(rb"([A-Za-z]+) +([0-9]+)")


@dataclass(frozen=True, slots=True)
class Folder:
    r"""One folder of a mailbox.

    ``special_use`` is what it is for: ``inbox sent trash drafts junk archive all flagged``,
    or "". ``flags`` are the server's attributes, as in ``\HasChildren``. ``messages`` and
    ``unseen`` are None where they were not asked for or the server did not say,
    ``subscribed`` likewise. One that is not ``selectable`` only holds others.
    """

    name: str
    special_use: str = ""
    delimiter: str = ""
    flags: tuple[str, ...] = ()
    messages: int | None = None
    unseen: int | None = None
    selectable: bool = True
    subscribed: bool | None = None


def parse_list(pieces: Sequence[bytes]) -> Folder | None:
    """Return the folder that an untagged LIST or LSUB names; None for any other response.

    ``pieces`` are a line, and for each literal in it the literal and the rest of the line.
    """
    found = _LISTED.match(pieces[0])
    if found is None or (name := _name(found["rest"], pieces[1:])) is None:
        return None
    flags = tuple(found["flags"].decode("ascii", "replace").split())
    lowered = {flag.lower() for flag in flags}
    uses = [_USE_OF_FLAG[flag] for flag in map(str.lower, flags) if flag in _USE_OF_FLAG]
    return Folder(
        name=name,
        special_use="inbox" if name == "INBOX" else uses[0] if uses else "",
        delimiter=(found["delimiter"] or b"")[-1:].decode("ascii", "replace"),
        flags=flags,
        selectable=not lowered & _UNSELECTABLE,
    )


def parse_status(pieces: Sequence[bytes]) -> tuple[str, dict[str, int]] | None:
    """Return the folder and the numbers, by their names in upper case, of an untagged STATUS."""
    found = _STATUS.fullmatch(pieces[0])
    if found is not None:
        name = _name(found["rest"] + b"\r\n", ())
    elif pieces[0][:9].upper() == b"* STATUS " and pieces[1:]:
        name = _name(pieces[0][9:], pieces[1:])
        found = _STATUS_OF_LITERAL.fullmatch(pieces[-1])
    if found is None or name is None:
        return None
    counts = {
        word.decode("ascii").upper(): int(count) for word, count in _COUNT.findall(found["items"])
    }
    return name, counts


def _name(line: bytes, more: Sequence[bytes]) -> str | None:
    """Read a folder's name: a literal, a quoted string, or all of the line."""
    if _LITERAL.match(line) and more:
        raw = more[0]
    else:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if quoted := _QUOTED.match(line):
            raw = _QUOTED_PAIR.sub(rb"\1", quoted["inner"])
        else:
            raw = _MORE.sub(b"", line)
            if raw.startswith(b'"'):  # with a quote inside that nobody escaped
                raw = raw[1:].removesuffix(b'"')
    if not raw:
        return None
    return "INBOX" if raw.upper() == b"INBOX" else decode_name(raw)


def merged(listed: Iterable[Folder]) -> list[Folder]:
    """Return each folder once, in the server's order, and with its use by name where flags lack it."""
    folders: dict[str, Folder] = {}
    for folder in listed:
        before = folders.get(folder.name)
        folders[folder.name] = folder if before is None else _both(before, folder)
    for use in USES:
        chosen = _by_name(folders.values(), use)
        if chosen is not None:
            folders[chosen.name] = replace(chosen, special_use=use)
    return list(folders.values())


def _both(one: Folder, other: Folder) -> Folder:
    return replace(
        one,
        special_use=one.special_use or other.special_use,
        flags=tuple(dict.fromkeys(one.flags + other.flags)),
        selectable=one.selectable and other.selectable,
    )


def _by_name(folders: Iterable[Folder], use: str) -> Folder | None:
    """Return the folder that is for the use by its name, unless a flag says which is."""
    candidates: list[tuple[bool, int, Folder]] = []
    for folder in folders:
        if folder.special_use == use and folder.selectable:
            return None
        above, _, last = folder.name.rpartition(folder.delimiter or "\0")
        free = folder.selectable and not folder.special_use and _is_top(above)
        if free and use_by_name(last) == use:
            candidates.append((bool(above), rank_of_name(last), folder))
    return min(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def _is_top(above: str) -> bool:
    return not above or above in _TOPS or above.upper() == "INBOX"


def special(folders: Iterable[Folder], use: str) -> Folder | None:
    """Return the folder for a use: of several the one nearest to the top, the first listed."""
    found = [folder for folder in folders if folder.special_use == use and folder.selectable]
    return min(found, key=_depth) if found else None


def _depth(folder: Folder) -> int:
    return folder.name.count(folder.delimiter) if folder.delimiter else 0


def check_use(use: str) -> str:
    """Return one of the uses in lower case, or ``ConfigError``."""
    lowered = use.lower().removeprefix("\\") if isinstance(use, str) else ""
    if lowered not in {"inbox", *USES}:
        raise ConfigError(f"use is {use!r}.", remedy=did_you_mean(lowered, ("inbox", *USES)))
    return lowered
