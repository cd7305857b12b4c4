"""Who signs in, where and with which app.

The front door is ``mailoauth.accounts``. Nothing here asks the network or holds a secret.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from mailoauth.checks import check_address, check_line, check_scopes, check_word, expand_path
from mailoauth.errors import ConfigError
from mailoauth.presets import Endpoint, Provider, domain_of, preset

if TYPE_CHECKING:
    from pathlib import Path

_PATH_FIELDS = ("client_secret_file", "certificate_file")
# Microsoft's names for "whichever tenant the person belongs to"; an app belongs to none of them.
_EVERY_TENANT = {"common", "organizations", "consumers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who signs in, and with which app; holds no secret and does no I/O.

    ``user`` is the address or user principal name that signs in; an app's own
    sign-in (``sign_in="app"``) has none. ``mailbox`` is the mailbox to open unless
    another is named, the user's own by default. ``scopes`` narrows what is asked
    for. Raises ``ConfigError`` for what cannot be an account.
    """

    name: str = ""
    user: str | None = None
    provider: Provider
    client_id: str | None = None
    tenant: str = "common"
    sign_in: Literal["user", "app"] = "user"
    client_secret_file: Path | None = None
    client_secret_env: str | None = None
    certificate_file: Path | None = None
    scopes: tuple[str, ...] = ()
    mailbox: str | None = None

    def __post_init__(self) -> None:
        name = self.name or self.user or self.mailbox or self.client_id
        if not name:
            raise ConfigError("An account needs a user, or a mailbox for an app's own sign-in.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "scopes", tuple(self.scopes))
        for key in _PATH_FIELDS:
            value = getattr(self, key)
            if value is not None:
                object.__setattr__(self, key, expand_path(key, value))
        for key in ("user", "mailbox"):
            check_address(key, getattr(self, key))
        for key in ("client_id", "tenant", "client_secret_env"):
            check_word(key, getattr(self, key))
        check_line("name", name)
        check_scopes("scopes", self.scopes)
        self._check_sign_in()

    def _check_sign_in(self) -> None:
        if self.sign_in not in {"user", "app"}:
            raise self._mistake(f"sign_in is {self.sign_in!r}.", 'It is "user" or "app".')
        proofs = (*_PATH_FIELDS, "client_secret_env")
        named = [key for key in proofs if getattr(self, key) is not None]
        if len(named) > 1:
            raise self._mistake(
                f"The account {self.name} names {' and '.join(named)}.", "Name one of them."
            )
        if self.sign_in == "user" and self.user is None:
            raise self._mistake(
                f"The account {self.name} names no user.",
                'Name who signs in with user, or let the app do it with sign_in = "app".',
            )
        if self.sign_in == "app" and self.user is not None:
            raise self._mistake(
                f"The account {self.name} signs in as an app and names the user {self.user}.",
                "An app has no user: name the mailbox to open with mailbox.",
            )
        any_tenant = self.tenant in _EVERY_TENANT and "{tenant}" in self.provider.authority
        if self.sign_in == "app" and any_tenant:
            raise self._mistake(
                f"The account {self.name} signs in as an app at the tenant {self.tenant!r}.",
                "An app's own sign-in needs its tenant: the directory (tenant) id of the"
                " registration, or a domain such as contoso.onmicrosoft.com.",
            )

    def _mistake(self, message: str, remedy: str = "") -> ConfigError:
        return ConfigError(message, remedy=remedy, account=self.name)

    @classmethod
    def outlook(
        cls, address: str, *, client_id: str | None = None, tenant: str = "common", **more: Any
    ) -> Self:
        """Return an account at Outlook.com or Microsoft 365."""
        return cls._at("outlook", address, client_id=client_id, tenant=tenant, **more)

    @classmethod
    def gmail(cls, address: str, *, client_id: str | None = None, **more: Any) -> Self:
        """Return an account at Gmail; Google wants a client secret as well."""
        return cls._at("gmail", address, client_id=client_id, **more)

    @classmethod
    def yahoo(cls, address: str, *, client_id: str | None = None, **more: Any) -> Self:
        """Return an account at Yahoo."""
        return cls._at("yahoo", address, client_id=client_id, **more)

    @classmethod
    def _at(cls, provider: str, address: str, **more: Any) -> Self:
        who = "mailbox" if more.get("sign_in") == "app" else "user"
        return cls(**{who: address, **more}, provider=preset(provider))

    @property
    def address(self) -> str:
        """The mailbox to open unless another is named."""
        address = self.mailbox or self.user or (self.name if "@" in self.name else None)
        if address is None:
            raise self._mistake(
                f"The account {self.name} signs in as an app and names no mailbox.",
                "Say which one with mailbox=... (--mailbox).",
            )
        return address

    @property
    def imap(self) -> Endpoint:
        """Where the provider's mail is read."""
        return self._endpoint("imap", self.provider.imap)

    @property
    def smtp(self) -> Endpoint:
        """Where the provider takes mail to send."""
        consumer = self.user is not None and domain_of(self.user) in self.provider.consumer_domains
        return self._endpoint(
            "smtp", (self.provider.consumer_smtp if consumer else None) or self.provider.smtp
        )

    def _endpoint(self, key: str, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None:
            raise self._mistake(
                f"The provider {self.provider.name} has no {key} server.",
                f"Name it in the provider: {key} = {{ host, port, tls }}.",
            )
        return endpoint

    @property
    def authority(self) -> str:
        """The identity service with the account's tenant filled in; "" where there is none."""
        return self.provider.authority.replace("{tenant}", self.tenant)

    @property
    def effective_scopes(self) -> tuple[str, ...]:
        """What is asked for: the account's own scopes, else the provider's for this sign-in."""
        app = self.provider.app_scopes if self.sign_in == "app" else ()
        return self.scopes or app or self.provider.scopes

    def resolved_client_id(self) -> str:
        """Return the app's id: the account's own, else (Outlook) the environment's or the file's.

        Reads the accounts file; raises ``ConfigError`` where there is none to be had.
        """
        if self.client_id:
            return self.client_id
        found = ""
        if self.provider.name == "outlook":
            found = os.environ.get("MAILOAUTH_CLIENT_ID", "").strip()
            from mailoauth import accounts_file, paths  # noqa: PLC0415 - only for who asks it

            found = found or accounts_file.read(paths.accounts_file()).client_ids.get("outlook", "")
        if not (found := found or self.provider.client_id):
            raise self._mistake(
                f"The account {self.name} has no client id: the number under which an app is"
                f" registered at {self.provider.name}, and with which it may ask people to sign in.",
                "Register an app once (samples/README.md says how; for a personal Outlook account"
                " that takes an Entra directory of your own) or ask your administrator for the id of"
                " one, and give it as client_id, --client-id or MAILOAUTH_CLIENT_ID.",
            )
        return found
