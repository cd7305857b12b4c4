"""How Outlook and Gmail look on the wire, as far as clients can tell them apart."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal

PersonalityName = Literal["outlook", "gmail"]

#: The name by which the servers call themselves.
HOST = "EMULATOR.outlook.example"

_OUTLOOK_EXTENSIONS = "CHILDREN IDLE NAMESPACE LITERAL+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """The texts, mechanisms and folders of one provider.

    ``folders`` maps a name to its special use (an attribute of LIST, RFC 6154), or
    to an empty string. ``challenge`` is what a refused sign-in is told before the
    refusal, by mechanism; Outlook sends none. IMAP texts lack the tag.
    ``smtp_extensions`` are parted by slashes; "{security}" is STARTTLS before TLS
    and AUTH within.
    """

    name: PersonalityName
    mechanisms: tuple[str, ...]
    folders: dict[str, str]
    sent_folder: str
    keywords: tuple[str, ...]
    charsets: tuple[str, ...]
    challenge: dict[str, bytes]
    imap_greeting: str
    imap_capability: str
    imap_capability_signed_in: str
    imap_signed_in: str
    imap_unasked_capability: bool
    imap_refusal: str
    imap_session_ended: str
    imap_farewell: str
    imap_idling: str
    imap_identity: dict[bytes, bytes]
    smtp_host: str
    smtp_greeting: str
    smtp_size: int
    smtp_extensions: str
    smtp_authentication: str
    smtp_signed_in: str
    smtp_refusal: str
    smtp_accepted: str


OUTLOOK = Personality(
    name="outlook",
    mechanisms=("XOAUTH2",),
    folders={
        "INBOX": "",
        "Archive": "",
        "Deleted Items": "Trash",
        "Drafts": "Drafts",
        "Junk Email": "Junk",
        "Outbox": "",
        "Sent Items": "Sent",
    },
    sent_folder="Sent Items",
    keywords=("$MDNSent",),
    charsets=("US-ASCII",),
    challenge={},
    imap_greeting="The Microsoft Exchange IMAP4 service is ready. "
    f"[{base64.b64encode(HOST.encode('utf-16-le')).decode()}]",
    imap_capability="IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS MOVE ID UNSELECT "
    + _OUTLOOK_EXTENSIONS,
    imap_capability_signed_in="IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT "
    "CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE " + _OUTLOOK_EXTENSIONS,
    imap_signed_in="OK AUTHENTICATE completed.",
    imap_unasked_capability=False,
    imap_refusal="NO AUTHENTICATE failed.",
    imap_session_ended="Session invalidated - AccessTokenExpired",
    imap_farewell="Microsoft Exchange Server IMAP4 server signing off.",
    imap_idling="IDLE accepted, awaiting DONE command.",
    imap_identity={b"name": b"Microsoft.Exchange.Imap4.Imap4Server", b"version": b"15.20"},
    smtp_host=HOST,
    smtp_greeting="Microsoft ESMTP MAIL Service ready at",
    smtp_size=157286400,
    smtp_extensions="PIPELINING/DSN/ENHANCEDSTATUSCODES/{security}/8BITMIME/BINARYMIME/CHUNKING/"
    "SMTPUTF8",
    smtp_authentication="AUTH LOGIN XOAUTH2",
    smtp_signed_in="235 2.7.0 Authentication successful",
    smtp_refusal=f"535 5.7.3 Authentication unsuccessful [{HOST}]",
    smtp_accepted=f"250 2.0.0 OK <{{id}}@outlook.example> [Hostname={HOST}]",
)

_GMAIL_REFUSAL = b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
_GMAIL_CAPABILITY = "IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN UIDPLUS MOVE SASL-IR LITERAL+ "

GMAIL = Personality(
    name="gmail",
    mechanisms=("XOAUTH2", "OAUTHBEARER"),
    folders={
        "INBOX": "",
        "[Gmail]/All Mail": "All",
        "[Gmail]/Drafts": "Drafts",
        "[Gmail]/Sent Mail": "Sent",
        "[Gmail]/Spam": "Junk",
        "[Gmail]/Starred": "Flagged",
        "[Gmail]/Trash": "Trash",
    },
    sent_folder="[Gmail]/Sent Mail",
    keywords=("$MDNSent", "$Forwarded", "$Junk", "$NotJunk"),
    charsets=("US-ASCII", "UTF-8"),
    challenge={
        "XOAUTH2": _GMAIL_REFUSAL,
        "OAUTHBEARER": b'{"status":"invalid_request","scope":"https://mail.google.com/"}',
    },
    imap_greeting="Gimap ready for requests from 127.0.0.1 emulator",
    imap_capability=_GMAIL_CAPABILITY + "AUTH=XOAUTH2 AUTH=OAUTHBEARER",
    imap_capability_signed_in=_GMAIL_CAPABILITY + "SPECIAL-USE APPENDLIMIT=35651584",
    imap_signed_in="OK {user} authenticated (Success)",
    imap_unasked_capability=True,
    imap_refusal="NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    imap_session_ended="Session expired, please login again.",
    imap_farewell="LOGOUT Requested",
    imap_idling="idling",
    imap_identity={b"name": b"GImap", b"vendor": b"Google, Inc."},
    smtp_host="smtp.gmail.example",
    smtp_greeting="ESMTP emulator - gsmtp",
    smtp_size=35882577,
    smtp_extensions="8BITMIME/{security}/ENHANCEDSTATUSCODES/PIPELINING/CHUNKING/SMTPUTF8",
    smtp_authentication="AUTH XOAUTH2 OAUTHBEARER",
    smtp_signed_in="235 2.7.0 Accepted",
    smtp_refusal="535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
    "535 5.7.8  https://support.google.com/mail/?p=BadCredentials emulator - gsmtp",
    smtp_accepted="250 2.0.0 OK {id} - gsmtp",
)

PERSONALITIES: dict[PersonalityName, Personality] = {"outlook": OUTLOOK, "gmail": GMAIL}
