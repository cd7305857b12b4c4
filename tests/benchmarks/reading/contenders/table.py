"""Who takes part, and in which module."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = "tests.benchmarks.reading.contenders"


@dataclass(frozen=True, slots=True)
class Contender:
    """A module with a function for every work, and the package that it needs."""

    title: str
    module: str
    package: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The module's name for an import."""
        return f"{_HERE}.{self.module}"

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return not self.package or find_spec(self.package) is not None


FLOOR = "raw_socket"
OURS = "mailoauth"
BULK = "imap_tools_bulk"

CONTENDERS = {
    FLOOR: Contender("raw socket, bytes counted", "raw_socket"),
    OURS: Contender("mailoauth", "mailoauth_session"),
    "imap_tools": Contender("imap_tools", "imap_tools_mailbox", "imap_tools"),
    BULK: Contender("imap_tools bulk", "imap_tools_mailbox", "imap_tools", {"bulk": True}),
    "imapclient": Contender("imapclient + email", "imapclient_email"),
    "imapclient_modern": Contender(
        "imapclient + policy.default", "imapclient_email", options={"modern": True}
    ),
    "imapclient_alone": Contender("imapclient", "imapclient_email"),
    "imapclient_no_delay": Contender(
        "imapclient, TCP_NODELAY", "imapclient_email", options={"no_delay": True}
    ),
    "imaplib": Contender("imaplib + email", "imaplib_email"),
    "imaplib_alone": Contender("imaplib", "imaplib_email"),
    "aioimaplib": Contender("aioimaplib + email", "aioimaplib_email", "aioimaplib"),
}
