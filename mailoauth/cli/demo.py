"""`mailoauth demo`: the whole story on an embedded Outlook, in a home of its own."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mailoauth.cli import exits, screen
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mailoauth.cli.commands import Commands
    from mailoauth.emulator import OutlookEmulator


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "demo",
        demo,
        "show all of it on an embedded Outlook: sign in, send, read, refresh a token",
        more="It uses nothing of yours, and leaves nothing behind.",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="keep the embedded Outlook up until Ctrl-C and print how clients reach it",
    )


def demo(options: argparse.Namespace) -> int:
    """Tell the story; the exit code is 1 if it did not happen as it is told."""
    from mailoauth.cli import story  # noqa: PLC0415 - only when it runs

    emulator_class = _emulator()
    with _own_home() as home, emulator_class() as emulator:
        emulator.add_user(story.ADA)
        try:
            story.tell(emulator)
        except story.WentOtherwise as reason:
            screen.warn(f"mailoauth: the demo went otherwise than it should: {reason}")
            return exits.BUG
        if options.serve:
            _serve(emulator, home)
    return exits.DONE


def _emulator() -> type[OutlookEmulator]:
    try:
        from mailoauth.emulator import OutlookEmulator  # noqa: PLC0415 - needs the extra
    except ImportError as exc:
        raise ConfigError(
            f"The demo runs on the embedded Outlook, which is not installed ({exc.name} is missing).",
            remedy='Install it: pip install "mailoauth[emulator]"',
        ) from exc
    return OutlookEmulator


@contextlib.contextmanager
def _own_home() -> Iterator[Path]:
    """Give the run a home and a key of its own, and take both away afterwards."""
    with tempfile.TemporaryDirectory(prefix="mailoauth-demo-") as folder:
        settings = {
            "MAILOAUTH_HOME": folder,
            "MAILOAUTH_KEY": base64.b64encode(os.urandom(32)).decode(),
        }
        # A proxy cannot reach this computer's own ports.
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1")
        with _environment({**settings, **direct}):
            yield Path(folder)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Replace all settings of mailoauth in the environment, and restore them afterwards."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("MAILOAUTH_"):
            del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _serve(emulator: OutlookEmulator, home: Path) -> None:
    from mailoauth.cli import story  # noqa: PLC0415 - only when it runs

    _write_settings(emulator, home)
    account = emulator.account(story.ADA)
    settings = {
        "IMAP": f"localhost, port {emulator.imap.port}, TLS from the start",
        "SMTP": f"localhost, port {emulator.smtp.port}, STARTTLS",
        "user": story.ADA,
        "sign-in": "XOAUTH2",
        "authority": emulator.authority,
        "client id": account.resolved_client_id(),
        "scopes": " ".join(account.effective_scopes),
        "CA file": str(emulator.ca_file),
        "accounts file": str(home / "accounts.toml"),
    }
    screen.put("\nThe embedded Outlook stays up. Settings for any client:")
    for name, value in settings.items():
        screen.put(f"  {name:<14} {value}")
    screen.put("\nFor mailoauth, in another terminal:")
    screen.put(f"  export MAILOAUTH_HOME={home}")
    screen.put(f"  mailoauth fetch {story.ADA} --all")
    screen.put(f"  mailoauth token {story.ADA}        # for other clients")
    screen.put("\nCtrl-C ends it and removes everything.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _write_settings(emulator: OutlookEmulator, home: Path) -> None:
    """Make the home usable for other processes, which do not have this one's key."""
    from mailoauth.accounts import save_account  # noqa: PLC0415 - only when it runs
    from mailoauth.cli import story  # noqa: PLC0415 - as above
    from mailoauth.tokens.keys import create_key_file  # noqa: PLC0415 - as above

    create_key_file(home / "key", base64.b64decode(os.environ["MAILOAUTH_KEY"]))
    (home / "accounts.toml").write_text(f"[store]\nkey_file = '{home / 'key'}'\n", encoding="utf-8")
    save_account(emulator.account(story.ADA))
