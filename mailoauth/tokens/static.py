"""A token that was had elsewhere."""

from __future__ import annotations

from mailoauth.tokens.token import AccessToken


class StaticToken:
    """A source that has one token and cannot get another: ``StaticToken("...")``."""

    def __init__(self, value: str) -> None:
        self._token = AccessToken(value)

    def __repr__(self) -> str:
        return "StaticToken()"

    def get(self, rejected: AccessToken | None = None) -> AccessToken:  # noqa: ARG002 - the protocol's
        """Return the token; a refusal of it is final."""
        return self._token
