"""`mailoauth keys`: where the key is that seals the tokens, and how it gets elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailoauth.cli import screen
from mailoauth.cli.commands import add_json
from mailoauth.errors import StoreError

if TYPE_CHECKING:
    import argparse

    from mailoauth.cli.commands import Commands
    from mailoauth.tokens.keyplace import KeyPlace


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("keys", keys, "show where the key lies that encrypts the tokens")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--create",
        type=Path,
        metavar="FILE",
        help="write a new key to a file that is not there yet",
    )
    actions.add_argument(
        "--move-to", metavar="FILE|keyring", help="move the key to a file or to the keyring"
    )
    add_json(parser)


def keys(options: argparse.Namespace) -> int:
    """Show, create or move the key; never prints it."""
    if options.create is not None:
        _create(options.create)
    elif options.move_to is not None:
        _move(options.move_to)
    else:
        _show(as_json=options.json)
    return 0


def in_words(place: KeyPlace) -> str:
    """Say where the key is, as part of a sentence."""
    match place.source:
        case "environment":
            return f"the key is in the environment variable {place.detail}"
        case "key file":
            return f"the key is in the file {place.detail}"
        case "keyring":
            return f"the key is in the keyring ({place.detail})"


def _show(*, as_json: bool) -> None:
    from mailoauth import paths  # noqa: PLC0415 - only when it runs
    from mailoauth.tokens.files import FileStore  # noqa: PLC0415 - as above
    from mailoauth.tokens.keyplace import where  # noqa: PLC0415 - as above

    place = where()
    records = len(FileStore().list())
    if as_json:
        screen.put_json(
            {
                "source": place.source,
                "detail": place.detail,
                "fingerprint": place.fingerprint,
                "usable": place.usable,
                "records": records,
            }
        )
    if not place.usable:
        raise StoreError(place.problem or f"It is not usable: {in_words(place)}.")
    if as_json:
        return
    if place.fingerprint is None:
        screen.put(
            f"There is no key yet: the first sign-in makes one in the {place.detail} keyring."
        )
    else:
        words = in_words(place)
        screen.put(f"{words[0].upper()}{words[1:]}, fingerprint {place.fingerprint}.")
    screen.put(f"It encrypts {records} token record(s) in {paths.records_folder()}.")


def _create(path: Path) -> None:
    from mailoauth.tokens.keys import KEY_FILE_VARIABLE, create_key_file  # noqa: PLC0415 - as above

    path = path.expanduser().absolute()
    create_key_file(path)
    screen.put(f"A new key is in {path}, readable for this user only.")
    screen.put(
        f"To use it set {KEY_FILE_VARIABLE}={path} for every process that uses mailoauth, or write "
        f"key_file = {str(path)!r} under [store] in the accounts file."
    )


def _move(to: str) -> None:
    from mailoauth.tokens.files import FileStore  # noqa: PLC0415 - as above
    from mailoauth.tokens.keyplace import move_key  # noqa: PLC0415 - as above

    target: Path | Literal["keyring"] = "keyring" if to == "keyring" else Path(to)
    move = move_key(target, FileStore())
    screen.put(f"Moved: {in_words(move.new)}.")
    if move.opened or move.unopened:
        also = f"; {move.unopened} need another key" if move.unopened else ""
        screen.put(f"It opens {move.opened} token record(s){also}.")
    for step in move.next_steps:
        screen.put(step)
