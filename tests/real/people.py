"""Who has a mailbox, under which names, and what Dovecot and Postfix are told about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailoauth.emulator.identity import IdentityService

#: Nobody has to be added at this domain: it takes mail for every address.
OPEN_DOMAIN = "example.org"


class People:
    """The users by address and by sign-in name; their tokens are the identity service's."""

    def __init__(self, identity: IdentityService) -> None:
        self._identity = identity
        self._mailboxes: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, address: str, upn: str | None) -> tuple[str, str]:
        """Make somebody known, and return mailbox and sign-in name in lower case."""
        self._identity.add_user(address, upn)
        mailbox, name = address.lower(), (upn or address).lower()
        self._names[mailbox] = name
        self._mailboxes[mailbox] = self._mailboxes[name] = mailbox
        return mailbox, name

    def mailbox(self, address: str) -> str:
        """Return the mailbox that mail to this address, or to this sign-in name, ends in."""
        return self._mailboxes.get(address.lower(), address.lower())

    def name(self, mailbox: str) -> str:
        """Return the sign-in name of the mailbox's owner."""
        return self._names[mailbox]

    # Dovecot compares one name with the user that the client claims to be. Either
    # name is right, so there are two judges, and one of them has to agree.

    def judge_by_name(self, token: str) -> dict[str, Any] | None:
        """Tell Dovecot whose token this is, by sign-in name."""
        return _active(self._identity.holder(token))

    def judge_by_address(self, token: str) -> dict[str, Any] | None:
        """Tell Dovecot whose token this is, by address."""
        holder = self._identity.holder(token)
        return _active(holder and self._identity.address_of(holder))

    def look_up(self, table: str, key: str) -> str | None:
        """Answer Postfix: who has a mailbox, where a sign-in name's mail goes, who may send."""
        mailbox = self._mailboxes.get(key.lower())
        if table == "owner":
            return mailbox and f"{mailbox}, {self._names[mailbox]}"
        if table == "alias":
            return None if mailbox == key.lower() else mailbox
        if mailbox is None and key.lower().endswith(f"@{OPEN_DOMAIN}") and key[0] != "@":
            return key.lower()
        return mailbox


def _active(user: str | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {"active": True, "username": user.lower(), "scope": "mail"}
