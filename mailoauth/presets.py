"""Providers: what is known about a mail service, and the services that are known.

The front door is ``mailoauth.accounts``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from mailoauth.checks import check_https, check_scopes
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Tls = Literal["implicit", "starttls"]

# Without these there is no telling a host name from a URL, an address or a typing mistake.
_NOT_IN_HOSTS = set(" \t\r\n/@<>[]\"'\\,;?#%")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's port and how TLS begins there; TLS is never optional."""

    host: str
    port: int
    tls: Tls

    def __post_init__(self) -> None:
        if not self.host or not self.host.isascii() or not _NOT_IN_HOSTS.isdisjoint(self.host):
            raise ConfigError(
                f"{self.host!r} is not a host name.",
                remedy="Write it as in imap.example.com, without a scheme, a port or a path.",
            )
        if type(self.port) is not int or not 0 < self.port < 65536:  # noqa: PLR2004 - 16 bits
            raise ConfigError(f"{self.port!r} is not a port.", remedy="Ports are 1 to 65535.")
        if self.tls not in {"implicit", "starttls"}:
            raise ConfigError(
                f"{self.tls!r} is not a way to begin TLS.",
                remedy='It is "implicit" (usually 993 and 465) or "starttls" (143 and 587).',
            )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A mail service: its identity service, its servers and its limits.

    ``oauth`` is "microsoft" (MSAL at ``authority``, in which "{tenant}" stands for
    the account's tenant) or "oauth2" (``issuer`` for discovery, else the endpoints).
    ``app_scopes`` are for an app's own sign-in; ``consumer_smtp`` serves the
    addresses in ``consumer_domains``. ``idle_renewal`` is in seconds.
    """

    name: str
    oauth: Literal["microsoft", "oauth2"]
    authority: str = ""
    issuer: str = ""
    token_endpoint: str = ""
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    scopes: tuple[str, ...]
    app_scopes: tuple[str, ...] = ()
    imap: Endpoint | None = None
    smtp: Endpoint | None = None
    consumer_smtp: Endpoint | None = None
    sasl: Literal["xoauth2", "oauthbearer"] = "xoauth2"
    ca_file: Path | None = None
    saves_sent: bool = False
    max_connections: int = 3
    messages_per_minute: int | None = None
    recipients_per_day: int | None = None
    idle_renewal: float = 1500.0
    # A proxy's URL may hold a password.
    proxy: str | None = field(default=None, repr=False)
    client_id: str = ""
    consumer_domains: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable():
            raise ConfigError(f"{self.name!r} is not a name for a provider.")
        if not self.scopes:
            raise ConfigError(f"The provider {self.name} has no scopes.")
        for key in ("scopes", "app_scopes"):
            check_scopes(key, getattr(self, key))
        for key, words in (
            ("oauth", ("microsoft", "oauth2")),
            ("sasl", ("xoauth2", "oauthbearer")),
        ):
            if getattr(self, key) not in words:
                raise ConfigError(
                    f"{key} of the provider {self.name} is {getattr(self, key)!r}.",
                    remedy=f"It is one of: {', '.join(words)}.",
                )
        for key in ("max_connections", "messages_per_minute", "recipients_per_day", "idle_renewal"):
            number = getattr(self, key)
            if number is not None and not number > 0:
                raise ConfigError(
                    f"{key} of the provider {self.name} is {number!r}.", remedy="It is 1 or more."
                )
        self._check_addresses()

    def _check_addresses(self) -> None:
        endpoints = ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint")
        for key in ("authority", "issuer", *endpoints):
            check_https(key, getattr(self, key))
        used = {key for key in ("authority", "issuer", *endpoints) if getattr(self, key)}
        if self.oauth == "microsoft":
            wrong, needed = used - {"authority"}, "authority"
        else:
            wrong, needed = used & {"authority"}, "issuer, or token_endpoint"
            if "issuer" in used:
                wrong |= used & set(endpoints)
        if wrong:
            raise ConfigError(
                f'The provider {self.name} (oauth = "{self.oauth}") also has'
                f" {', '.join(sorted(wrong))}.",
                remedy=f"It is found by {needed} alone; take the rest out."
                if "issuer" in used or self.oauth == "microsoft"
                else f"It needs {needed}.",
            )
        if not used & {"authority", "issuer", "token_endpoint"}:
            raise ConfigError(
                f"The provider {self.name} has no address to get tokens from.",
                remedy=f'With oauth = "{self.oauth}" it needs {needed}.',
            )


def _families(name: str, endings: str) -> tuple[str, ...]:
    return tuple(f"{name}.{ending}" for ending in endings.split())


# Only domains where every address belongs to the consumer service. Not by wildcard:
# yahoo.co.jp, for one, is another company's.
_OUTLOOK_DOMAINS = (
    *_families(
        "outlook",
        "com com.ar com.au com.br com.gr com.tr com.vn co.id co.il co.th"
        " at be cl cz de dk es fr hu ie in it jp kr lv my ph pt sa sg sk",
    ),
    *_families(
        "hotmail",
        "com com.ar com.au com.br com.hk com.tr com.tw com.vn co.id co.il co.in co.jp co.kr co.nz"
        " co.th co.uk co.za be ca ch cl cz de dk es fi fr gr hu it lt lv my nl no ph rs se sg sk",
    ),
    *_families(
        "live",
        "com com.ar com.au com.mx com.my com.ph com.pt com.sg co.in co.kr co.uk co.za"
        " at be ca cl cn de dk fi fr hk ie in it jp nl no ru se",
    ),
    "msn.com",
    "passport.com",
    "windowslive.com",
)
_YAHOO_DOMAINS = (
    *_families(
        "yahoo",
        "com com.ar com.au com.br com.co com.hk com.mx com.my com.pe com.ph com.sg com.tr com.tw"
        " com.ve com.vn co.id co.il co.in co.kr co.nz co.th co.uk co.za"
        " ca de dk es fi fr gr hu ie in it nl no pl pt ro se",
    ),
    "myyahoo.com",
    "rocketmail.com",
    "ymail.com",
)


def _microsoft(
    name: str, *, login: str, imap: str, smtp: str, resource: str, **more: Any
) -> Provider:
    return Provider(
        name=name,
        oauth="microsoft",
        authority=f"https://{login}/{{tenant}}",
        # The resource must be written out: bare names mean Graph, whose tokens
        # Outlook's IMAP refuses (office-developer-exchange-docs #87).
        scopes=(
            f"https://{resource}/IMAP.AccessAsUser.All",
            f"https://{resource}/SMTP.Send",
        ),
        imap=Endpoint(imap, 993, "implicit"),
        smtp=Endpoint(smtp, 587, "starttls"),
        # The limits and the Sent copy: learn.microsoft.com "Improvements in SMTP client submission".
        saves_sent=True,
        max_connections=3,
        messages_per_minute=30,
        recipients_per_day=10_000,
        # Outlook stops telling of new mail before the 29 minutes of RFC 2177;
        # clients that IDLE anew every 10 minutes see it (angus-mail #176).
        idle_renewal=540.0,
        **{"app_scopes": (f"https://{resource}/.default",), **more},
    )


@cache
def presets() -> dict[str, Provider]:
    """Return the providers that are known by name."""
    microsoft = (
        _microsoft(
            "outlook",
            login="login.microsoftonline.com",
            imap="outlook.office365.com",
            smtp="smtp.office365.com",
            resource="outlook.office.com",
            # Conflict: Microsoft's IMAP page has this one, MailKit's ExchangeOAuth2.md
            # ps.outlook.com, which MailKit #1811 reports as failing.
            app_scopes=("https://outlook.office365.com/.default",),
            # Outlook.com's own settings page names this host for personal accounts.
            consumer_smtp=Endpoint("smtp-mail.outlook.com", 587, "starttls"),
            consumer_domains=_OUTLOOK_DOMAINS,
        ),
        _microsoft(
            "outlook-us-gov",
            login="login.microsoftonline.us",
            imap="outlook.office365.us",
            smtp="smtp.office365.us",
            resource="outlook.office365.us",
        ),
        # Conflict: EmailEngine's documentation asks for scopes at outlook.office365.us
        # here too, others (davmail #341) at the DoD's own host. Where this one is
        # refused with AADSTS500011, name the other in the account's scopes.
        _microsoft(
            "outlook-us-dod",
            login="login.microsoftonline.us",
            imap="outlook-dod.office365.us",
            smtp="outlook-dod.office365.us",
            resource="outlook-dod.office365.us",
        ),
        # login.chinacloudapi.cn is the old name of this authority (email-oauth2-proxy #255).
        _microsoft(
            "outlook-china",
            login="login.partner.microsoftonline.cn",
            imap="partner.outlook.cn",
            smtp="smtp.partner.outlook.cn",
            resource="partner.outlook.cn",
        ),
    )
    return {provider.name: provider for provider in (*microsoft, _gmail(), _yahoo())}


def _gmail() -> Provider:
    # No device_authorization_endpoint: Google's allows no mail scope.
    return Provider(
        name="gmail",
        oauth="oauth2",
        authorization_endpoint="https://accounts.google.com/o/oauth2/v2/auth",
        token_endpoint="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
        scopes=("https://mail.google.com/",),
        imap=Endpoint("imap.gmail.com", 993, "implicit"),
        smtp=Endpoint("smtp.gmail.com", 465, "implicit"),
        saves_sent=True,
        consumer_domains=("gmail.com", "googlemail.com"),
    )


def _yahoo() -> Provider:
    # Yahoo registers no new mail clients: the client id of an older app is needed.
    return Provider(
        name="yahoo",
        oauth="oauth2",
        authorization_endpoint="https://api.login.yahoo.com/oauth2/request_auth",
        token_endpoint="https://api.login.yahoo.com/oauth2/get_token",  # noqa: S106 - an address
        scopes=("mail-w",),
        imap=Endpoint("imap.mail.yahoo.com", 993, "implicit"),
        smtp=Endpoint("smtp.mail.yahoo.com", 465, "implicit"),
        consumer_domains=_YAHOO_DOMAINS,
    )


def preset(name: str) -> Provider:
    """Return a provider that is known by name: "outlook", "gmail", "yahoo", ..."""
    known = presets()
    if name not in known:
        raise ConfigError(
            f"There is no provider named {name!r}.",
            remedy=f"Known are: {', '.join(sorted(known))}.",
        )
    return known[name]


def guess_provider(address: str) -> Provider | None:
    """Return the provider that surely serves the address, None where only its owner can say.

    A work address tells nothing: its domain may be served by anybody.
    """
    domain = domain_of(address)
    served = (provider for provider in presets().values() if domain in provider.consumer_domains)
    return next(served, None)


def domain_of(address: str) -> str:
    """Return what follows the "@", in small letters."""
    return address.rpartition("@")[2].strip().rstrip(".").lower()
