"""Addresses in a merged header: what came from a value cannot become another recipient.

A name such as "Lee, Ann" or "eve@example.org, Ann" in front of <...> stays one name.
"""

from __future__ import annotations

import re
from typing import Final

from mailoauth.mail.addresses import Address, parse_addresses

# Private characters: what stands between them came from a value.
_BEGIN: Final = "\ue000"
_END: Final = "\ue001"
_MARKS: Final = re.compile(f"[{_BEGIN}{_END}]")
_SEPARATED: Final = re.compile(f"(?:{_BEGIN}[^{_END}]*{_END}|[^,;{_BEGIN}])+")
_NAMED: Final = re.compile(
    f"((?:{_BEGIN}[^{_END}]*{_END}|[^<{_BEGIN}])*)<((?:{_BEGIN}[^{_END}]*{_END}|[^>{_BEGIN}])*)>\\s*"
)


def marked(value: object) -> str:
    """Return a value as it is put into the header."""
    return f"{_BEGIN}{unmarked(str(value))}{_END}"


def unmarked(text: str) -> str:
    """Return the text as it reads."""
    return _MARKS.sub("", text)


def addresses(text: str) -> list[Address]:
    """Read a header with marked values; a value that stands alone may be a list itself."""
    found: list[Address] = []
    for piece in _SEPARATED.findall(text):
        named = _NAMED.fullmatch(piece.strip())
        if named is None:
            found += parse_addresses(unmarked(piece))
        elif address := unmarked(named[2]).strip():
            found.append(Address(_name(named[1]), address))
    return found


def _name(text: str) -> str:
    text = text.strip()
    # Quotes of the template's own; those of a value stand between marks.
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return " ".join(unmarked(text[1:-1] if quoted else text).split())
