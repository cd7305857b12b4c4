"""The accounts file: read with every mistake located; written with people's comments kept.

The front door is ``mailoauth.accounts``; ``mailoauth.accounts_writing`` changes the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailoauth.checks import did_you_mean, expand_path, unreadable
from mailoauth.errors import ConfigError
from mailoauth.presets import Endpoint, Provider, guess_provider, presets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What is expected of each kind of value, and how TOML's types look in Python.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text in quotes"),
    "path": ((str,), "a path in quotes"),
    "texts": ((list,), 'a list of texts, as in ["one", "two"]'),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "endpoint": ((dict,), '{ host = "...", port = 993, tls = "implicit" }'),
}
ACCOUNT_KEYS = {
    "provider": "text",
    "client_id": "text",
    "tenant": "text",
    "sign_in": "text",
    "user": "text",
    "mailbox": "text",
    "client_secret_file": "path",
    "client_secret_env": "text",
    "certificate_file": "path",
    "scopes": "texts",
}
PROVIDER_KEYS = {
    "oauth": "text",
    "authority": "text",
    "issuer": "text",
    "token_endpoint": "text",
    "authorization_endpoint": "text",
    "device_authorization_endpoint": "text",
    "scopes": "texts",
    "app_scopes": "texts",
    "imap": "endpoint",
    "smtp": "endpoint",
    "consumer_smtp": "endpoint",
    "sasl": "text",
    "ca_file": "path",
    "saves_sent": "boolean",
    "max_connections": "integer",
    "messages_per_minute": "integer",
    "recipients_per_day": "integer",
    "idle_renewal": "number",
    "proxy": "text",
    "client_id": "text",
    "consumer_domains": "texts",
}
_ENDPOINT_KEYS = {"host": "text", "port": "integer", "tls": "text"}
_TABLES = ("accounts", "store", "providers", "defaults")

_SECRET_NAMES = {"secret", "password", "passwd", "passphrase", "token", "private_key", "api_key"}
_SECRET_ENDINGS = ("_secret", "_password", "_token", "_passphrase", "_private_key")
_WHERE_SECRETS_GO = (
    "The accounts file holds no secrets. Put a client secret into a file of its own, which only this"
    " user may read, and name it with client_secret_file; or let mailoauth keep it sealed: mailoauth"
    " login ADDRESS --client-secret-stdin. Tokens come by mailoauth login or mailoauth import."
)


@dataclass(frozen=True, slots=True)
class AccountsFile:
    """What the file says; ``accounts`` has the keywords of each ``Account``."""

    path: Path
    accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    client_ids: Mapping[str, str] = field(default_factory=dict)
    key_file: Path | None = None

    def mistake(self, table: str, name: str, exc: ConfigError) -> ConfigError:
        """Return the error with the place in the file where it comes from."""
        return _Table(self.path, _header(table, name)).located(exc)


@dataclass(frozen=True, slots=True)
class _Table:
    """Where in the file something is: for messages, and for relative paths."""

    path: Path
    header: str

    def wrong(self, key: str, found: object, expected: str) -> ConfigError:
        return ConfigError(
            f"{self.path}: {self.header}: {key} is {_shown(found)}.",
            remedy=f"Expected {expected}.",
        )

    def located(self, exc: ConfigError) -> ConfigError:
        return ConfigError(f"{self.path}: {self.header}: {exc.message}", remedy=exc.remedy)

    def missing(self, key: str, expected: str) -> ConfigError:
        return ConfigError(
            f"{self.path}: {self.header}: {key} is missing.", remedy=f"Expected {expected}."
        )

    def unknown(self, key: str, known: tuple[str, ...]) -> ConfigError:
        # The value is not shown: it may be a secret under a misspelt name.
        lower = key.lower().replace("-", "_")
        if lower in _SECRET_NAMES or lower.endswith(_SECRET_ENDINGS):
            return ConfigError(
                f"{self.path}: {self.header}: {key} does not belong here.",
                remedy=_WHERE_SECRETS_GO,
            )
        return ConfigError(
            f"{self.path}: {self.header}: there is no key {key!r}.",
            remedy=did_you_mean(lower, known),
        )


def read(path: Path) -> AccountsFile:
    """Read the file; one that does not exist is empty. Raises ``ConfigError``."""
    document = parse(path, read_text(path))
    top = _Table(path, "top level")
    for key in document:
        if key not in _TABLES:
            raise top.unknown(key, _TABLES)
    providers = {
        name: _provider(_Table(path, _header("providers", name)), name, table)
        for name, table in _subtables(top, document, "providers").items()
    }
    accounts = {
        name: _account(_Table(path, _header("accounts", name)), name, table, providers)
        for name, table in _subtables(top, document, "accounts").items()
    }
    defaults = _subtables(top, document, "defaults")
    for name in defaults:
        if name != "outlook":
            raise _Table(path, "[defaults]").unknown(name, ("outlook",))
    values = {
        name: _values(_Table(path, _header("defaults", name)), table, {"client_id": "text"})
        for name, table in defaults.items()
    }
    store = _values(_Table(path, "[store]"), document.get("store", {}), {"key_file": "path"})
    return AccountsFile(
        path=path,
        accounts=accounts,
        providers=providers,
        client_ids={name: row["client_id"] for name, row in values.items() if "client_id" in row},
        key_file=store.get("key_file"),
    )


def read_text(path: Path) -> str:
    """Return the file's text, "" if there is none. Raises ``ConfigError``."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise unreadable("accounts file", path, exc) from exc
    try:
        # Some Windows editors begin UTF-8 files with a byte order mark; it does no harm.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        encoding = "UTF-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "another encoding"
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(
            f"The accounts file {path} is not UTF-8 but {encoding} (line {line}).",
            remedy="Save it as UTF-8.",
        ) from exc


def parse(path: Path, text: str) -> dict[str, Any]:
    """Return the tables of a TOML text. Raises ``ConfigError``."""
    import tomllib  # noqa: PLC0415 - an account made in code needs no file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        unquoted = any(
            line.lstrip().startswith("[") and "@" in line and '"' not in line and "'" not in line
            for line in text.splitlines()
        )
        raise ConfigError(
            f"{path} is not a TOML file: {exc}.",
            remedy='An address stands in quotes: [accounts."ada@example.com"].' if unquoted else "",
        ) from exc


def _header(table: str, name: str) -> str:
    name = name if name.isprintable() else repr(name)[1:-1]
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return f"[{table}.{name}]" if bare else f'[{table}."{name}"]'


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else repr(value)[:60]


def _subtables(top: _Table, document: Mapping[str, Any], key: str) -> dict[str, Any]:
    tables = document.get(key, {})
    if not isinstance(tables, dict):
        raise top.wrong(key, tables, f"tables named [{key}.NAME]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            place = _Table(top.path, f"[{key}]")
            raise place.wrong(name, table, f"a table: [{key}.NAME] with its keys below")
    return tables


def _values(table: _Table, found: object, keys: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise table.wrong("it", found, "a table")
    for key in found:
        if key not in keys:
            raise table.unknown(key, tuple(keys))
    return {key: _value(table, key, value, keys[key]) for key, value in found.items()}


def _value(table: _Table, key: str, value: Any, kind: str) -> Any:
    types, expected = _KINDS[kind]
    # Not isinstance: a bool is an int to it.
    if type(value) not in types:
        raise table.wrong(key, value, expected)
    if kind == "path":
        return _path(table, key, value)
    if kind == "texts":
        if not all(isinstance(item, str) for item in value):
            raise table.wrong(key, value, expected)
        return tuple(value)
    if kind == "endpoint":
        return _endpoint(_Table(table.path, f"{table.header} {key}"), value)
    return value


def _path(table: _Table, key: str, value: str) -> Path:
    try:
        return table.path.parent / expand_path(key, value)
    except ConfigError as exc:
        raise table.located(exc) from exc


def _endpoint(table: _Table, found: Mapping[str, Any]) -> Endpoint:
    values = _values(table, found, _ENDPOINT_KEYS)
    for key in _ENDPOINT_KEYS:
        if key not in values:
            raise table.missing(key, _KINDS["endpoint"][1])
    try:
        return Endpoint(**values)
    except ConfigError as exc:
        raise table.located(exc) from exc


def _provider(table: _Table, name: str, found: Mapping[str, Any]) -> Provider:
    if name in presets():
        raise ConfigError(
            f"{table.path}: {table.header}: {name} is a provider that mailoauth brings along.",
            remedy="Give the table another name, and name that one in the accounts.",
        )
    values = _values(table, found, PROVIDER_KEYS)
    for key, expected in (("oauth", '"microsoft" or "oauth2"'), ("scopes", _KINDS["texts"][1])):
        if key not in values:
            raise table.missing(key, expected)
    if ":" in values.get("proxy", "").partition("://")[2].rpartition("@")[0]:
        raise ConfigError(
            f"{table.path}: {table.header}: proxy holds a password.", remedy=_WHERE_SECRETS_GO
        )
    try:
        return Provider(name=name, **values)
    except ConfigError as exc:
        raise table.located(exc) from exc


def _account(
    table: _Table, name: str, found: Mapping[str, Any], providers: Mapping[str, Provider]
) -> dict[str, Any]:
    values = _values(table, found, ACCOUNT_KEYS)
    if "@" in name and values.get("sign_in") != "app":
        values.setdefault("user", name)
    known = {**presets(), **providers}
    if "provider" in values:
        if values["provider"] not in known:
            near = did_you_mean(values["provider"], tuple(known)).rstrip(".")
            raise table.wrong("provider", values["provider"], f"a provider that is known ({near})")
        values["provider"] = known[values["provider"]]
    else:
        guess = guess_provider(values.get("user") or values.get("mailbox") or name)
        if guess is None:
            raise table.missing("provider", f"one of: {', '.join(known)}")
        values["provider"] = guess
    return values
