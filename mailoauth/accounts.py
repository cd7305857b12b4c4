"""Accounts: found in the accounts file or the environment, and kept in the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mailoauth import accounts_file, accounts_writing, paths
from mailoauth.account import Account
from mailoauth.checks import did_you_mean, expand_path, is_word
from mailoauth.errors import ConfigError
from mailoauth.presets import Endpoint, Provider, Tls, guess_provider, preset, presets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "Account",
    "Endpoint",
    "Provider",
    "Tls",
    "forget_account",
    "guess_provider",
    "key_file",
    "list_accounts",
    "load_account",
    "preset",
    "save_account",
]


def load_account(address: str) -> Account:
    """Return the account of that name, else user, else mailbox; else the environment's.

    Raises ``ConfigError`` if there is none, or more than one.
    """
    from_environment = _variable("ADDRESS").casefold() == address.casefold() != ""
    try:
        file = _read()
    except ConfigError:
        # A container may have no home folder at all, and needs none for this.
        if from_environment and not _has_file():
            return _environment_account({})
        raise
    accounts = _accounts(file)
    for key in ("name", "user", "mailbox"):
        found = [account for account in accounts if _is_same(getattr(account, key), address)]
        # An exact name wins over one that differs in case.
        found = [account for account in found if account.name == address] or found
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(account.name for account in found)
            raise ConfigError(
                f"{address} is the {key} of more than one account: {names}.",
                remedy="Name one of them.",
            )
    if from_environment:
        return _environment_account(file.providers)
    raise ConfigError(
        f"There is no account {address!r} in {file.path}.", remedy=_how_to_find(address, accounts)
    )


def list_accounts() -> list[Account]:
    """Return the accounts of the file in its order, then the environment's if it is another."""
    file = _read()
    accounts = _accounts(file)
    address = _variable("ADDRESS")
    if address and not any(_is_same(account.name, address) for account in accounts):
        accounts.append(_environment_account(file.providers))
    return accounts


def save_account(account: Account) -> None:
    """Write the account into the accounts file, comments and order kept; blocks on a lock.

    A provider that is not a preset is written too. Raises ``ConfigError``.
    """
    row = {key: getattr(account, key) for key in accounts_file.ACCOUNT_KEYS}
    row["provider"] = account.provider.name
    # What a reader of the file supplies by itself is not written.
    usual = {"tenant": "common", "sign_in": "user", "scopes": (), "user": account.name}
    row = {key: value for key, value in row.items() if value not in (None, usual.get(key))}
    accounts_writing.write_account(paths.accounts_file(), account.name, row, account.provider)


def forget_account(name: str) -> bool:
    """Take the account out of the accounts file; False if it is not there."""
    return accounts_writing.remove_account(paths.accounts_file(), name)


def key_file() -> Path | None:
    """Return the file of the key that seals the records, if one is named.

    By MAILOAUTH_KEY_FILE, else by key_file in the accounts file.
    """
    if named := _variable("KEY_FILE"):
        return expand_path("MAILOAUTH_KEY_FILE", named).absolute()
    return _read().key_file


def _how_to_find(address: str, accounts: list[Account]) -> str:
    # What is shown is typed again: nothing that a terminal or a shell would obey.
    command = f"mailoauth login {address if is_word(address) else 'ADDRESS'}"
    names = ", ".join(account.name for account in accounts[:10])
    if not names or "@" in address[1:-1]:
        return f"Sign it in: {command}"
    return f"Name one of these: {names}. Or sign in another: {command}"


def _read() -> accounts_file.AccountsFile:
    return accounts_file.read(paths.accounts_file())


def _has_file() -> bool:
    try:
        paths.accounts_file()
    except ConfigError:
        return False
    return True


def _accounts(file: accounts_file.AccountsFile) -> list[Account]:
    accounts = []
    for name, row in file.accounts.items():
        try:
            accounts.append(Account(name=name, **row))
        except ConfigError as exc:
            raise file.mistake("accounts", name, exc) from exc
    return accounts


def _is_same(value: str | None, address: str) -> bool:
    if value is None or "@" not in value:
        return value == address
    return value.casefold() == address.casefold()


def _environment_account(providers: Mapping[str, Provider]) -> Account:
    address = _variable("ADDRESS")
    named = _variable("PROVIDER")
    known = {**presets(), **providers}
    if named and named not in known:
        raise ConfigError(
            f"MAILOAUTH_PROVIDER is {named!r}, which is not known.",
            remedy=did_you_mean(named, tuple(known)),
        )
    provider = known[named] if named else guess_provider(address)
    if provider is None:
        raise ConfigError(
            f"MAILOAUTH_ADDRESS is {address}, and nothing says who serves it.",
            remedy="Set MAILOAUTH_PROVIDER, for work accounts at Microsoft 365 to outlook.",
        )
    sign_in = _variable("SIGN_IN") or "user"
    row: dict[str, Any] = {
        "user": _variable("USER") or (None if sign_in == "app" else address),
        "sign_in": sign_in,
        "tenant": _variable("TENANT") or "common",
    }
    for key in ("client_id", "mailbox", "client_secret_file", "certificate_file"):
        row[key] = _variable(key.upper()) or None
    try:
        return Account(name=address, provider=provider, **row)
    except ConfigError as exc:
        raise ConfigError(
            f"The account of MAILOAUTH_ADDRESS: {exc.message}", remedy=exc.remedy, account=address
        ) from exc


def _variable(name: str) -> str:
    return os.environ.get(f"MAILOAUTH_{name}", "").strip()
