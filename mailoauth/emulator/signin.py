"""Who may open which mailbox with which token, and what a client says to ask for it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Protocol

#: ``holder()`` of an app's own token begins with this; an app is nobody's mailbox.
APP = "app:"

# XOAUTH2: developers.google.com/workspace/gmail/imap/xoauth2-protocol.
_XOAUTH2 = re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]+)\x01\x01", re.IGNORECASE)
# OAUTHBEARER: RFC 7628 section 3.1; other key-value pairs may stand around auth.
_OAUTHBEARER = re.compile(
    rb"n,a=([^,\x01]*),\x01(?:[a-z]+=[^\x01]*\x01)*?auth=Bearer ([^\x01]+)\x01"
    rb"(?:[a-z]+=[^\x01]*\x01)*\x01",
    re.IGNORECASE,
)


class TokenJudge(Protocol):
    """Says whose live access token this is: the identity service."""

    def holder(
        self, token: str, audience: str = "outlook", *, scope: str | None = None
    ) -> str | None:
        """Return the user's address or "app:" and the client id; None if it is not valid."""
        ...


@dataclass(frozen=True, slots=True)
class BearerClaim:
    """What a client said: open this mailbox, here is a token."""

    user: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A claim that was believed: ``holder`` is the mailbox of the token's user, or "app:..."."""

    mailbox: str
    holder: str
    token: str = field(repr=False)


def parse_claim(mechanism: str, encoded: bytes) -> BearerClaim | None:
    """Return what the base64 text of a SASL response says, None if it is malformed."""
    try:
        payload = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    pattern = _XOAUTH2 if mechanism == "XOAUTH2" else _OAUTHBEARER
    match = pattern.fullmatch(payload)
    if match is None:
        return None
    user, token = (group.decode("utf-8", "replace") for group in match.groups())
    if mechanism == "OAUTHBEARER":
        # RFC 5801 section 4: a saslname writes "," as "=2C" and "=" as "=3D".
        user = user.replace("=2C", ",").replace("=3D", "=")
    return BearerClaim(user, token)


class Directory:
    """The mailboxes, their names, and who may use them besides their owner."""

    def __init__(self, judge: TokenJudge) -> None:
        self._judge = judge
        self._mailboxes: dict[str, str] = {}
        self._shared: dict[str, set[str]] = {}
        self._closed_to_apps: set[str] = set()

    def add(self, address: str, upn: str | None = None) -> None:
        """Make a mailbox known, by its address and its user principal name."""
        for name in (address, upn or address):
            self._mailboxes[name.casefold()] = address

    def mailbox(self, name: str) -> str | None:
        """Return the address of the mailbox with that address or user principal name."""
        return self._mailboxes.get(name.casefold())

    def share(self, mailbox: str, with_user: str) -> None:
        """Let another user open the mailbox and send as it."""
        self._shared.setdefault(self.known(mailbox), set()).add(self.known(with_user))

    def deny_app(self, mailbox: str) -> None:
        """Close the mailbox to apps' own tokens."""
        self._closed_to_apps.add(self.known(mailbox))

    def admit(self, claim: BearerClaim | None, scope: str) -> SignedIn | None:
        """Return the sign-in if the token has the scope and opens the mailbox."""
        if claim is None:
            return None
        mailbox = self.mailbox(claim.user)
        holder = self._judge.holder(claim.token, scope=scope)
        if mailbox is None or holder is None:
            return None
        if holder.startswith(APP):
            allowed = mailbox not in self._closed_to_apps
        else:
            holder = self.mailbox(holder) or holder
            allowed = holder == mailbox or holder in self._shared.get(mailbox, ())
        return SignedIn(mailbox, holder, claim.token) if allowed else None

    def still_admitted(self, signed_in: SignedIn) -> bool:
        """Return whether the token of a live session is valid."""
        return self._judge.holder(signed_in.token) is not None

    def may_send_as(self, signed_in: SignedIn, sender: str) -> bool:
        """Return whether the sender's mailbox is the client's own or shared with it."""
        mailbox = self.mailbox(sender)
        own = {signed_in.mailbox, signed_in.holder}
        return mailbox is not None and (
            mailbox in own or not own.isdisjoint(self._shared.get(mailbox, ()))
        )

    def known(self, name: str) -> str:
        """Return the address of the mailbox; LookupError where there is none."""
        mailbox = self.mailbox(name)
        if mailbox is None:
            message = f"The emulator has no user {name}: call add_user({name!r}) first."
            raise LookupError(message)
        return mailbox
