"""Who takes part, and in which module."""

from __future__ import annotations

from tests.benchmarks.common.contender import Contender

_HERE = "tests.benchmarks.reading.contenders"

FLOOR = "raw_socket"
OURS = "mailoauth"
BULK = "imap_tools_bulk"

CONTENDERS = {
    FLOOR: Contender("raw socket, bytes counted", f"{_HERE}.raw_socket"),
    OURS: Contender("mailoauth", f"{_HERE}.mailoauth_session"),
    "imap_tools": Contender("imap_tools", f"{_HERE}.imap_tools_mailbox", "imap_tools"),
    BULK: Contender("imap_tools bulk", f"{_HERE}.imap_tools_mailbox", "imap_tools", {"bulk": True}),
    "imapclient": Contender("imapclient + email", f"{_HERE}.imapclient_email"),
    "imapclient_modern": Contender(
        "imapclient + policy.default", f"{_HERE}.imapclient_email", options={"modern": True}
    ),
    "imapclient_alone": Contender("imapclient", f"{_HERE}.imapclient_email"),
    "imapclient_no_delay": Contender(
        "imapclient, TCP_NODELAY", f"{_HERE}.imapclient_email", options={"no_delay": True}
    ),
    "imaplib": Contender("imaplib + email", f"{_HERE}.imaplib_email"),
    "imaplib_alone": Contender("imaplib", f"{_HERE}.imaplib_email"),
    "aioimaplib": Contender("aioimaplib + email", f"{_HERE}.aioimaplib_email", "aioimaplib"),
}
