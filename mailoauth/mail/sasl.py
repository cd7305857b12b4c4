"""The SASL mechanisms that carry a bearer token: bytes in, bytes out.

XOAUTH2 is Google's and Microsoft's; OAUTHBEARER is RFC 7628. Neither does any I/O
or base64: that is the business of whoever speaks IMAP or SMTP.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from mailoauth.accounts import Endpoint

MechanismName = Literal["xoauth2", "oauthbearer"]

#: RFC 5321 section 4.5.3.1.4: octets of a command line, CRLF included.
COMMAND_LENGTH = 512

_CHALLENGE_LENGTH = 16_384  # RFC 4954 allows 12,288 octets of base64; more is not a refusal
_TEXT_LENGTH = 1000
# What may be a piece of a token or of its base64; no word of a server's own is that long.
_LONG_WORD = re.compile(r"[^\s\"'<>()\[\]{},;]{16,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Mechanism(ABC):
    """One sign-in with one token; a second sign-in needs a new object.

    The token is given out once, by :meth:`initial_response` or by the first
    :meth:`answer`: a server that asks again gets the end of the exchange instead.
    """

    name: ClassVar[str]
    _farewell: ClassVar[bytes]

    def __init__(self, user: str, token: str) -> None:
        if not user:
            raise ConfigError("There is no user to sign in as.", remedy="Name the mailbox address.")
        if _CONTROL.search(user) or not _encodable(user):
            raise ConfigError(f"The user {user!r} contains a control character.")
        if not token:
            raise ConfigError("The access token is empty.")
        if _CONTROL.search(token) or not token.isascii():
            # A line break would let whoever supplied the token add commands of their own.
            raise ConfigError(
                "The access token contains a control or non-ASCII character.",
                remedy="Tokens are plain text on one line: look for a line break or a damaged copy.",
            )
        self.user = user
        self.refusal: dict[str, str] = {}
        self._token = token
        self._given = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} user={self.user!r}>"

    @abstractmethod
    def _payload(self) -> bytes: ...

    def initial_response(self) -> bytes:
        """Give out the token; raises ``RuntimeError`` when that was done before."""
        if self._given:
            raise RuntimeError(f"{self.name}: the token was given out already.")
        self._given = True
        return self._payload()

    def answer(self, challenge: bytes) -> bytes:
        """Answer a decoded challenge: with the token once, then with the end of the exchange.

        A challenge that comes after the token is the server's refusal, kept in
        :attr:`refusal`. So is a JSON object that comes before it.
        """
        if not self._given and not challenge.lstrip().startswith(b"{"):
            return self.initial_response()
        self._given = True
        self.refusal = self._decode_refusal(challenge)
        return self._farewell

    def needs_two_steps(self, command_length: int = COMMAND_LENGTH) -> bool:
        """Say whether ``AUTH <name> <base64>`` and CRLF exceed ``command_length`` octets.

        If so, the response must wait for the server's 334 (RFC 4954 section 4).
        """
        encoded = (len(self._payload()) + 2) // 3 * 4
        return len(f"AUTH {self.name} \r\n") + encoded > command_length

    def redact(self, text: str) -> str:
        """Return a server's words without the token, in case they repeat it, whole or cut off.

        Servers have no reason to, but what they say is logged and shown.
        """
        secrets = (self._token, base64.b64encode(self._payload()).decode())

        def hide(word: re.Match[str]) -> str:
            core = word[0].rstrip("=")
            tells = any(core in secret or secret in core for secret in secrets)
            return "***" if tells else word[0]

        for secret in secrets:
            text = text.replace(secret, "***")
        return _LONG_WORD.sub(hide, text)

    def redact_error(self, error: BaseException) -> None:
        """Take the token out of an exception and of all that stand behind it."""
        behind: BaseException | None = error
        while behind is not None:
            behind.args = tuple(
                self.redact(word) if isinstance(word, str) else word for word in behind.args
            )
            for name, value in list(vars(behind).items()):
                if isinstance(value, str):
                    setattr(behind, name, self.redact(value))
                elif name == "diagnosis" and value is not None:
                    setattr(behind, name, replace(value, text=self.redact(value.text)))
            behind = behind.__cause__ or behind.__context__

    def _decode_refusal(self, challenge: bytes) -> dict[str, str]:
        import json  # noqa: PLC0415 - needed when refused only

        if len(challenge) <= _CHALLENGE_LENGTH:
            try:
                decoded = json.loads(challenge)
                if isinstance(decoded, dict):
                    return {self._clean(key): self._clean(value) for key, value in decoded.items()}
            except (ValueError, RecursionError):
                pass  # not JSON, or nested to do harm: kept as text
        text = self._clean(challenge[:_CHALLENGE_LENGTH].decode("utf-8", "replace"))
        return {"text": text} if text else {}

    def _clean(self, value: Any) -> str:
        import json  # noqa: PLC0415 - see above

        text = value if isinstance(value, str) else json.dumps(value)
        text = self.redact(text)
        text = _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()
        return text.strip()[:_TEXT_LENGTH]


class XOAuth2(Mechanism):
    """Google's and Microsoft's mechanism; it ends a refused exchange with an empty line."""

    name = "XOAUTH2"
    _farewell = b""

    def _payload(self) -> bytes:
        return f"user={self.user}\x01auth=Bearer {self._token}\x01\x01".encode()


class OAuthBearer(Mechanism):
    """RFC 7628; it ends a refused exchange with one %x01 (section 3.2.3)."""

    name = "OAUTHBEARER"
    _farewell = b"\x01"

    def __init__(self, user: str, token: str, host: str, port: int) -> None:
        super().__init__(user, token)
        if not host or _CONTROL.search(host) or not _encodable(host):
            raise ConfigError(f"The host name {host!r} is empty or has a control character.")
        self.host = host
        self.port = port

    def _payload(self) -> bytes:
        # A saslname writes "=" and "," as =3D and =2C (RFC 5801 section 4).
        name = self.user.replace("=", "=3D").replace(",", "=2C")
        where = f"host={self.host}\x01port={self.port}"
        return f"n,a={name},\x01{where}\x01auth=Bearer {self._token}\x01\x01".encode()


def mechanism(name: MechanismName, user: str, token: str, endpoint: Endpoint) -> Mechanism:
    """Make the mechanism that the provider wants, for one sign-in at the endpoint."""
    match name.lower():
        case "xoauth2":
            return XOAuth2(user, token)
        case "oauthbearer":
            return OAuthBearer(user, token, endpoint.host, endpoint.port)
    raise ConfigError(
        f'There is no SASL mechanism "{name}".',
        remedy='Set sasl to "xoauth2" or "oauthbearer".',
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
