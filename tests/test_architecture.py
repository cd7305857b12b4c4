"""The house of the design: arrows point down, one importer a library, a cheap front door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mailoauth
from mailoauth import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(mailoauth.__file__).parent

#: The rooms from the ground up; a module may import from its own room and from those before it.
ROOMS = [
    {"refusals", "refusals_smtp", "refusals_identity"},
    {"diagnosis"},
    {"errors"},
    {"paths", "checks", "later"},
    {"network"},
    {"presets", "account", "accounts", "accounts_file", "accounts_writing"},
    {"aio"},
    {"tokens"},
    {"mail"},
    {"lending"},
    {"mailer"},
    {"session", "async_session"},
    {"__init__"},
    {"django"},
    {"emulator"},
    {"cli", "__main__"},
]

#: Every third-party library, and who may import it.
IMPORTERS = {
    "aiosmtpd": {"emulator/smtp.py"},
    "aiosmtplib": {"mail/smtp.py"},
    "cryptography": {"tokens/store.py", "emulator/identity_clients.py"},
    "django": {"django.py"},
    "filelock": {"tokens/locks.py", "tokens/durable.py", "accounts_writing.py"},
    "imapclient": {"mail/imap.py"},
    "jinja2": {"cli/merging.py"},
    "keyring": {"tokens/store.py"},
    "msal": {"tokens/microsoft.py"},
    "platformdirs": {"paths.py"},
    "proxyprotocol": {"emulator/imap.py", "emulator/imap_session.py"},
    "pymap": {
        "emulator/imap.py",
        "emulator/imap_session.py",
        "emulator/imap_state.py",
        "emulator/mailstore.py",
    },
    "pysasl": {"emulator/imap.py", "emulator/imap_session.py", "emulator/imap_state.py"},
    "pytest": {"emulator/plugin.py"},
    "requests": {"tokens/microsoft_http.py", "emulator/identity_person.py"},
    "rich": {"cli/screen.py"},
    "starlette": {"emulator/identity_app.py", "emulator/identity_faults.py"},
    "tomlkit": {"accounts_writing.py"},
    "trustme": {"emulator/certificates.py"},
    "urllib3": {"tokens/microsoft_http.py"},
    "uvicorn": {"emulator/identity_faults.py", "emulator/identity_server.py"},
}

#: Names of the standard library that would make `import mailoauth` slow, and our heavy ones.
NOT_AT_THE_DOOR = [
    "msal",
    "requests",
    "keyring",
    "imapclient",
    "aiosmtplib",
    "cryptography",
    "asyncio",
    "ssl",
    "email",
    "tomlkit",
    "rich",
]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported at run time, at the top or inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            if not ast.unparse(node.test).startswith("not "):
                node = ast.Module(body=node.orelse, type_ignores=[])  # noqa: PLW2901
            yield from imports(node)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def room(name: str) -> int:
    first = name.split("/", maxsplit=1)[0].removesuffix(".py")
    return next(floor for floor, names in enumerate(ROOMS) if first in names)


def test_every_module_has_a_room() -> None:
    for name, _ in modules():
        room(name)


def test_arrows_point_down() -> None:
    upward = [
        f"{name} imports {imported}"
        for name, tree in modules()
        for imported in imports(tree)
        if imported.startswith("mailoauth.") and _floor_of(imported) > room(name)
    ]
    assert upward == []


def _floor_of(imported: str) -> int:
    name = imported.split(".")[1]
    known = any(name in names for names in ROOMS)
    return room(name) if known else -1  # a name of the front door, or of this room


def test_the_emulator_shares_no_code_with_what_it_tests() -> None:
    """A bug that both sides share would hide; its pytest plugin alone uses the public names."""
    shared = [
        f"{name} imports {imported}"
        for name, tree in modules()
        if name.startswith("emulator/") and name != "emulator/plugin.py"
        for imported in imports(tree)
        if imported == "mailoauth" or imported.startswith(("mailoauth.mail", "mailoauth.tokens"))
    ]
    assert shared == []


def test_each_library_has_its_importers() -> None:
    standard = sys.stdlib_module_names
    found: dict[str, set[str]] = {}
    for name, tree in modules():
        for imported in imports(tree):
            library = imported.split(".")[0]
            if library not in standard and library not in {"mailoauth", ""}:
                found.setdefault(library, set()).add(name)
    assert {library: names - IMPORTERS.get(library, set()) for library, names in found.items()} == {
        library: set() for library in found
    }
    assert set(IMPORTERS) == set(found), "a row whose library nobody imports any more"


def test_what_the_door_names_is_there() -> None:
    for name in mailoauth.__all__:
        assert getattr(mailoauth, name) is not None
    assert mailoauth.__all__ == sorted(mailoauth.__all__)
    assert callable(mailoauth.compose), "not the module of the same name"
    homes = {name for names in mailoauth._HOMES.values() for name in names.split()}
    assert homes == set(mailoauth.__all__)
    with pytest.raises(AttributeError, match="MailSesion"):
        mailoauth.MailSesion  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == errors.__name__
    }
    assert classes <= set(mailoauth.__all__)
    assert all(name in (errors.__doc__ or "") for name in classes)


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_mailoauth_loads_nothing_heavy() -> None:
    assert loaded_by("import mailoauth").isdisjoint(NOT_AT_THE_DOOR)


def test_naming_an_account_loads_nothing_heavy() -> None:
    code = "import mailoauth; mailoauth.Account.outlook('ada@example.com', client_id='x')"
    assert loaded_by(code).isdisjoint(NOT_AT_THE_DOOR)


def test_help_on_the_command_line_loads_nothing_heavy() -> None:
    code = "import mailoauth.cli\ntry: mailoauth.cli.main(['--help'])\nexcept SystemExit: pass"
    heavy = {"msal", "requests", "keyring", "imapclient", "aiosmtplib", "cryptography"}
    assert loaded_by(code).isdisjoint(heavy)
