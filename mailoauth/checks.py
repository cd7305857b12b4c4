"""Whether a text can be what it is given as: an address, a word, a scope, a URL.

Control characters in any of them could end a line of a protocol and begin another.
"""

from __future__ import annotations

import re
from pathlib import Path

from mailoauth.errors import ConfigError

# Control characters, and halves of characters, which cannot be encoded.
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def expand_path(key: str, value: str | Path) -> Path:
    """Return the path with "~" filled in, else raise ``ConfigError``."""
    text = str(value)
    if not text or "\0" in text:
        raise ConfigError(f"{key} is {text!r}, which is not a path.")
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        raise ConfigError(
            f"{key} is {text!r}, and there is no such home folder.", remedy="Write the whole path."
        ) from exc


def unreadable(what: str, path: Path, exc: OSError) -> ConfigError:
    """Return the error for a file that cannot be read."""
    if path.is_dir():
        return ConfigError(
            f"The {what} {path} cannot be read: it is a folder.",
            remedy="Move the folder away, or name another place with MAILOAUTH_HOME.",
        )
    return ConfigError(
        f"The {what} {path} cannot be read: {exc.strerror or exc}.",
        remedy="Give this user the right to read it, or name another place with MAILOAUTH_HOME.",
    )


def check_line(key: str, value: str) -> None:
    """Raise ``ConfigError`` unless the text is one line without control characters."""
    if not value or not value.isprintable() or value != value.strip():
        raise ConfigError(f"{key} is {value!r}.", remedy="It must be a text on one line.")


def check_folder(folder: str) -> None:
    """Raise ``ConfigError`` unless it can be the name of a folder."""
    if not isinstance(folder, str) or not folder:
        raise ConfigError(f"folder is {folder!r}.", remedy='It is the name of one, as in "INBOX".')
    if _NOT_IN_A_NAME.search(folder):
        raise ConfigError(
            f"folder is {folder!r}, with a control character in it.",
            remedy="Look for a line break at its end, or a damaged copy.",
        )


def check_seconds(**seconds: float | None) -> None:
    """Raise ``ConfigError`` unless each is a positive number of seconds, or None."""
    for key, value in seconds.items():
        if value is not None and not value > 0:
            raise ConfigError(
                f"{key} is {value!r}.", remedy="It is a number of seconds greater than 0."
            )


def is_word(text: str) -> bool:
    """Say whether the text is one word, without control characters."""
    return bool(text) and text.isprintable() and " " not in text


def check_word(key: str, value: str | None) -> None:
    """Raise ``ConfigError`` unless the text is one word, or None."""
    if value is not None and not is_word(value):
        raise ConfigError(f"{key} is {value!r}.", remedy="It must be a word without spaces.")


def check_address(key: str, address: str | None) -> None:
    """Raise ``ConfigError`` unless it is a plain e-mail address, or None."""
    if address is None:
        return
    local, separator, domain = address.rpartition("@")
    if not address.isprintable() or any(character in address for character in ' <>,;"'):
        raise ConfigError(
            f"{key} {address!r} is not a plain e-mail address.",
            remedy="Write the address alone, without a name, brackets, quotes or spaces.",
        )
    if not separator or not local or not domain or "@" in local:
        raise ConfigError(
            f"{key} {address!r} is not an e-mail address.",
            remedy="Write it as in ada@example.com.",
        )
    if not domain.isascii():
        raise ConfigError(
            f"{key} {address!r} has a domain in letters that are not ASCII.",
            remedy=f"Write {_ascii_domain(domain)} for the domain.",
        )


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return "its ASCII form (xn--...)"


def check_scopes(key: str, scopes: tuple[str, ...]) -> None:
    """Raise ``ConfigError`` unless each is one scope (RFC 6749 section 3.3)."""
    if isinstance(scopes, str):
        raise ConfigError(f"{key} is one text.", remedy='It is a list: ("a", "b").')
    for scope in scopes:
        if not scope or not scope.isascii() or not scope.isprintable() or " " in scope:
            raise ConfigError(
                f"{scope!r} in {key} is not a scope.", remedy="Write each scope by itself."
            )


def check_https(key: str, url: str) -> None:
    """Raise ``ConfigError`` unless the URL is empty or https: secrets are sent to it."""
    if not url:
        return
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0]
    if not url.isprintable() or " " in url or not separator or not host or "@" in host:
        raise ConfigError(
            f"{key} is {url!r}, which is not a URL.",
            remedy="Write it as in https://login.example.com/oauth2.",
        )
    if scheme.lower() != "https":
        raise ConfigError(
            f"{key} is {url!r}, which is not https.",
            remedy="Secrets are sent to this address, so it must begin with https://."
            " A certificate of your own can be named with ca_file.",
        )


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    """Return a sentence with the nearest known word, or with all of them."""
    import difflib  # noqa: PLC0415 - only for a message

    near = difflib.get_close_matches(word, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"Known are: {', '.join(known)}."
