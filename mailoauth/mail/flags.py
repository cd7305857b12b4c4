"""Flags and keywords of messages (RFC 9051 section 2.3.2): pure checks."""

from __future__ import annotations

import re
from typing import Final

from mailoauth.errors import ConfigError

#: An atom (RFC 9051 section 9), with the backslash of a system flag in front or not.
_FLAG: Final = re.compile(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+")
_LONGEST: Final = 200
#: Set by the server alone.
_RECENT: Final = "\\recent"


def check_flag(flag: str) -> str:
    r"""Return a flag such as ``\Answered`` or a keyword such as ``$Forwarded``, or ``ConfigError``."""
    if not isinstance(flag, str) or not _FLAG.fullmatch(flag) or len(flag) > _LONGEST:
        raise ConfigError(
            f"flag is {flag!r}.",
            remedy="A flag is one word of plain letters, as in \\Flagged or $Forwarded.",
        )
    if flag.lower() == _RECENT:
        raise ConfigError("The flag \\Recent is the server's own: nobody else can set it.")
    return flag


def is_kept(flag: str, permanent: tuple[str, ...] | None) -> bool:
    r"""Say whether a server keeps a flag, by its PERMANENTFLAGS; all of them if it names none.

    RFC 9051 section 7.1: ``\*`` in them means that it keeps any keyword.
    """
    if permanent is None or flag.lower() in {each.lower() for each in permanent}:
        return True
    return "\\*" in permanent and not flag.startswith("\\")
