"""What servers say when they refuse: the rows for IMAP, and those that catch the rest.

The first row that matches wins, so what is special comes before what is general.
Each row has a sample, and the tests hold every row to it; where the source says
"reports", the words are known at second hand only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailoauth.diagnosis import Category, Fixer, Protocol


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of the table; ``pattern`` is a regular expression, matched without case."""

    protocol: Protocol
    category: Category
    fixer: Fixer
    subject: str
    pattern: str
    sample: str
    meaning: str
    steps: tuple[str, ...]
    source: str


REFRESH = (
    "mailoauth gets a new token and tries once more by itself.",
    (
        "If a fresh token is refused too, compare who signs in ({user}) with the mailbox ({mailbox}),"
        " and the app's scopes with those of the provider."
    ),
)
SIGN_IN_AGAIN = ("Sign in again: mailoauth login {user}",)
RECONNECT = ("mailoauth connects again by itself.", "If it goes on, try again later.")
WAIT = ("Wait, then try again; mailoauth's --retry-for 10m does so by itself.",)
FEWER_CONNECTIONS = (
    "Close other programs that use {mailbox}, or open fewer connections at once.",
    "Try again in a minute.",
)
OUR_MISTAKE = ("Report it to the makers of the program that sent the command, with this text.",)
MAILBOX_RIGHTS = (
    "Check that {mailbox} exists and has a licence.",
    "Outlook.com: Settings > Mail > Forwarding and IMAP > let devices and apps use IMAP.",
    "Work account: an administrator runs Set-CASMailbox {mailbox} -ImapEnabled $true.",
    (
        "Shared mailbox: an administrator runs Add-MailboxPermission {mailbox} -User {user}"
        " -AccessRights FullAccess. An app's own sign-in needs the same for its service principal."
    ),
    "Changes take up to an hour.",
)

_AUTHDOC = (
    "Microsoft, How to authenticate an IMAP, POP or SMTP application by using OAuth"
    " (office-developer-exchange-docs)"
)

# A table: rows are easier to compare as they are.
# fmt: off
IMAP: tuple[Refusal, ...] = (
    Refusal("imap", "configuration", "administrator", "mailbox",
        r"User is authenticated but not connected",
        "A02 BAD User is authenticated but not connected.",
        "The token is good, but this mailbox cannot be opened with it: IMAP is off for it, it has"
        " no licence, or the account has no right to it.", MAILBOX_RIGHTS,
        "MailKit #1494, #1496; email-oauth2-proxy #74, #275"),
    Refusal("imap", "configuration", "administrator", "mailbox",
        r"Connection closed\. 14\b", "* BYE Connection closed. 14",
        "The server ended a session whose mailbox could not be opened.", MAILBOX_RIGHTS,
        "MailKit #1496"),
    Refusal("imap", "stale_token", "mailoauth", "session",
        r"AccessTokenExpired", "* BYE Session invalidated - AccessTokenExpired",
        "The access token of this session has expired; Outlook ends the session then.",
        ("mailoauth gets a new token and connects again by itself.",),
        "aioimaplib #83; imap-backup #198; imapsync #250"),
    Refusal("imap", "stale_token", "mailoauth", "session",
        r"Session expired, please login again", "* BYE Session expired, please login again.",
        "The session has reached the end of its token; Gmail ends it then.",
        ("mailoauth gets a new token and connects again by itself.",),
        "Google, IMAP, POP, and SMTP (developers.google.com/gmail/imap)"),
    Refusal("imap", "throttled", "wait", "session",
        r"Request is throttled|Suggested Backoff Time",
        "A03 NO Request is throttled. Suggested Backoff Time: 92415 milliseconds",
        "The server asks this mailbox's clients to slow down.", WAIT,
        "imapflow; email-oauth2-proxy README"),
    Refusal("imap", "throttled", "wait", "session",
        r"Too many simultaneous connections",
        "A01 NO [ALERT] Too many simultaneous connections. (Failure)",
        "More connections to the mailbox are open than the provider allows (Gmail: 15).",
        FEWER_CONNECTIONS, "Google, IMAP, POP, and SMTP (developers.google.com/gmail/imap)"),
    Refusal("imap", "throttled", "wait", "session",
        r"exceeded command or bandwidth limits",
        "* BYE Account exceeded command or bandwidth limits.",
        "The mailbox has used up the provider's limit of commands or of data.",
        ("Wait, up to a day, and read less at a time.",), "reports of Gmail users"),
    Refusal("imap", "throttled", "wait", "session",
        r"^[^\n\[]{0,40}\[LIMIT\]", "A01 NO [LIMIT] Rate limit hit.",
        "The server's limit for this account is reached.", WAIT,
        "RFC 5530 section 3; reports of Yahoo users"),
    Refusal("imap", "configuration", "administrator", "authentication",
        r"(?<!unsuccessful, )Basic authentication is disabled|\bLOGIN failed", "A01 NO LOGIN failed.",
        "A password was used; the server takes OAuth only.",
        ("Let the program sign in with XOAUTH2, as mailoauth does.",),
        "Microsoft, POP, IMAP, and SMTP settings for Outlook.com"),
    Refusal("imap", "stale_token", "mailoauth", "authentication",
        r"AUTHENTICATE Invalid credentials",
        "A01 NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials",
        "Yahoo does not accept the token: it is expired or revoked, or belongs to somebody else.",
        (*REFRESH, *SIGN_IN_AGAIN), "reports of Yahoo users"),
    Refusal("imap", "stale_token", "mailoauth", "authentication",
        r"Invalid credentials \(Failure\)",
        "A01 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
        "Gmail does not accept the token: it is expired or revoked, or belongs to somebody else.",
        (*REFRESH, *SIGN_IN_AGAIN), "Google, OAuth 2.0 Mechanism (xoauth2-protocol)"),
    Refusal("imap", "stale_token", "mailoauth", "authentication",
        r"\[AUTHENTICATIONFAILED\]", "A01 NO [AUTHENTICATIONFAILED] Authentication failed.",
        "The server does not accept the token: it is expired or revoked, or belongs to somebody"
        " else.", (*REFRESH, *SIGN_IN_AGAIN), "RFC 5530 section 3; Dovecot 2.3.19"),
    Refusal("imap", "stale_token", "mailoauth", "authentication",
        r"\bAUTHENTICATE failed", "A01 NO AUTHENTICATE failed.",
        "Outlook does not accept the token: it is expired, meant for another service (Graph?) or"
        " another mailbox; or IMAP is off, or the app is not registered for the mailbox.",
        (*REFRESH,
         ("A token for Outlook has the scope https://outlook.office.com/IMAP.AccessAsUser.All,"
          " written out."),
         ("An app's own sign-in: New-ServicePrincipal with the Enterprise application's object id"
          " (not the App registration's), then Add-MailboxPermission for {mailbox}.")),
        f"{_AUTHDOC}; email-oauth2-proxy #255; node-imap #865"),
    Refusal("imap", "stale_token", "mailoauth", "authentication",
        r"\"status\" ?: ?\"(?:40[01]|invalid_token|invalid_request)\"|\beyJzdGF0dXMiOi",
        '+ {"status":"401","schemes":"bearer","scope":"mail"}',
        "The server does not accept the token; this is the detail that it sends before its"
        " refusal.", (*REFRESH, *SIGN_IN_AGAIN),
        "Google, OAuth 2.0 Mechanism (xoauth2-protocol); RFC 7628 section 3.2.2"),
    Refusal("imap", "configuration", "mailoauth", "session",
        r"Command received in Invalid state", "A02 BAD Command received in Invalid state.",
        "A command was sent that is not allowed here, most often after a sign-in that had failed.",
        OUR_MISTAKE, "imapsync #250"),
    Refusal("imap", "passing", "wait", "session",
        r"Connection is closed\. 1[0-9]\b", "* BYE Connection is closed. 13",
        "The server closed the connection, as it does with idle ones; the token is fine.",
        RECONNECT, "node-imap #561"),
    Refusal("imap", "passing", "wait", "session",
        r"Server Unavailable\. ?\d{1,3}", "A02 NO Server Unavailable. 15",
        "The server behind the mailbox is down for the moment.", WAIT, "imapflow; FairEmail"),
    Refusal("imap", "configuration", "mailoauth", "search",
        r"\[BADCHARSET", "A05 NO [BADCHARSET (US-ASCII)] The specified charset is not supported.",
        "The server searches for ASCII text only.",
        ("Search for ASCII words, or fetch more and choose yourself.",),
        "RFC 3501 section 6.4.4; client logs"),
    Refusal("imap", "configuration", "mailoauth", "session",
        r"Command (?:Argument )?Error\. 1[0-9]\b", "A07 BAD Command Argument Error. 12",
        "The server does not understand the command, or the line is too long for it.", OUR_MISTAKE,
        "MailKit issues"),
    Refusal("imap", "configuration", "you", "folder",
        r"\[(?:NONEXISTENT|TRYCREATE)\]", "A04 NO [NONEXISTENT] Unknown Mailbox: Archiv",
        "There is no such folder.", ("See which there are: mailoauth folders {user}",),
        "RFC 5530 section 3"),
    Refusal("imap", "configuration", "administrator", "mailbox",
        r"\[(?:NOPERM|AUTHORIZATIONFAILED|CONTACTADMIN)\]", "A04 NO [NOPERM] Permission denied",
        "The account is signed in, but has no right to this mailbox or folder.",
        ("Ask the owner or an administrator for the right.",), "RFC 5530 section 3"),
    Refusal("imap", "configuration", "you", "mailbox",
        r"\[OVERQUOTA\]", "A09 NO [OVERQUOTA] Quota exceeded", "The mailbox is full.",
        ("Delete mail from {mailbox}.",), "RFC 5530 section 3"),
    Refusal("imap", "passing", "wait", "mailbox",
        r"\[(?:UNAVAILABLE|INUSE|SERVERBUG)\]", "A02 NO [UNAVAILABLE] Internal error occurred.",
        "The server cannot do it at the moment.", WAIT, "RFC 5530 section 3"),
)

#: Tried when no row of any protocol fits, by the shape of the reply alone.
LAST_RESORTS: tuple[Refusal, ...] = (
    Refusal("identity", "throttled", "wait", "",
        r"\bHTTP\S{0,4}(?: Error:?)? ?429\b|Too Many Requests", "HTTP 429",
        "The identity service gets too many requests.", WAIT, "RFC 6585 section 4"),
    Refusal("identity", "passing", "wait", "",
        r"\bHTTP\S{0,4}(?: Error:?)? ?5\d\d\b", "HTTP 503",
        "The identity service has a fault at the moment.", WAIT, "RFC 9110 section 15.6"),
    Refusal("imap", "passing", "wait", "session",
        r"^\s{0,9}(?:\* )?(?-i:BYE)\b", "* BYE Server shutting down.", "The server ended the session.",
        RECONNECT, "RFC 3501 section 7.1.5"),
    Refusal("smtp", "stale_token", "mailoauth", "authentication",
        r"^535\b", "535 Authentication credentials invalid",
        "The server does not accept the token.", (*REFRESH, *SIGN_IN_AGAIN), "RFC 4954 section 6"),
    Refusal("smtp", "passing", "wait", "",
        r"^4\d\d[ -]4\.\d|^4(?:21|[3457]\d)\b", "450 4.1.8 Try again", "The server cannot do it at the moment.", WAIT,
        "RFC 5321 section 4.2.1"),
)

UNKNOWN = Refusal("imap", "unknown", "nobody", "",
    "", "", "This reply is not known to mailoauth.",
    ("The same with --verbose shows what the server says before and after.",
     ("Search for the exact text of the reply, or report it, with the provider's name, so that it"
      " becomes known.")), "")
# fmt: on
