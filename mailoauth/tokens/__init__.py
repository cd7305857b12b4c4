"""How a valid access token is had: the front door of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailoauth.tokens.cache import TokenCache
    from mailoauth.tokens.files import FileStore, MemoryStore
    from mailoauth.tokens.signin import sign_in, sign_in_device_code, sign_in_pasted
    from mailoauth.tokens.source import identity_of, token_source
    from mailoauth.tokens.static import StaticToken
    from mailoauth.tokens.token import AccessToken, Refresher, TokenSource, TokenStore

_HOMES = {
    "AccessToken": "token",
    "FileStore": "files",
    "MemoryStore": "files",
    "Refresher": "token",
    "StaticToken": "static",
    "TokenCache": "cache",
    "TokenSource": "token",
    "TokenStore": "token",
    "identity_of": "source",
    "sign_in": "signin",
    "sign_in_device_code": "signin",
    "sign_in_pasted": "signin",
    "token_source": "source",
}

__all__ = [
    "AccessToken",
    "FileStore",
    "MemoryStore",
    "Refresher",
    "StaticToken",
    "TokenCache",
    "TokenSource",
    "TokenStore",
    "identity_of",
    "sign_in",
    "sign_in_device_code",
    "sign_in_pasted",
    "token_source",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only once something is asked for

        return getattr(importlib.import_module(f"{__name__}.{home}"), name)

    def __dir__() -> list[str]:
        return __all__
