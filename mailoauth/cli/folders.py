"""`mailoauth folders`: the folders of a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.commands import add_json, add_mailbox, add_retry, check_texts
from mailoauth.cli.patience import patiently

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from mailoauth.cli.commands import Commands
    from mailoauth.mail.folders import Folder

_HEADINGS: Final = ("FOLDER", "UNSEEN", "MESSAGES", "USE")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "folders",
        folders,
        "list the folders of a mailbox, with counts and special use",
        address=True,
    )
    add_mailbox(parser)
    add_json(parser)
    add_retry(parser)


def folders(options: argparse.Namespace) -> int:
    """List the folders as the server names them."""
    from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

    screen.check_stdout()
    check_texts(options, "address", "mailbox")

    def ask() -> list[Folder]:
        with MailSession(options.address, mailbox=options.mailbox) as mail:
            return mail.folders()

    found = patiently(ask, options.retry_for)
    if options.json:
        for folder in found:
            screen.put_json(shapes.of_folder(folder))
    else:
        screen.show_table(_HEADINGS, rows(found))
    return 0


def rows(found: Iterable[Folder]) -> list[tuple[str, ...]]:
    """Return the cells of each folder; "-" where the server does not count, or it has no use."""
    return [
        (folder.name, _number(folder.unseen), _number(folder.messages), folder.special_use or "-")
        for folder in found
    ]


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)
