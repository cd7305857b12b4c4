"""The options of `mailoauth fetch`, and what they mean to a search."""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from mailoauth.checks import expand_path
from mailoauth.cli.commands import add_mailbox, add_retry
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from mailoauth.cli.uids import UidSet

FILE_FORMATS: Final = ("eml", "mbox", "maildir")
_CRITERIA: Final = ("since", "before", "on", "sender", "to", "subject", "text")
#: Outlook and Dovecot both take lines of this length.
_LONGEST_SEQUENCE: Final = 4000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_mailbox(parser)
    parser.add_argument("--folder", default="INBOX", help="which folder (INBOX unless given)")
    _add_selection(parser.add_argument_group("which messages"))
    parser.add_argument("--newest-first", action="store_true", help="the last one first")
    parser.add_argument(
        "--mark-seen",
        action="store_true",
        help="mark each as seen once it is printed, or on the disk",
    )
    _add_output(parser.add_argument_group("what becomes of them"))
    parser.add_argument(
        "--single",
        action="store_true",
        help="end with exit code 7 while another run of the same command is on",
    )
    add_retry(parser)


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--all", action="store_true", help="those already seen as well")
    group.add_argument("--flagged", action="store_true", help="only those with a star or flag")
    for name, help_text in (
        ("since", "received on this day or later: 2026-01-31"),
        ("before", "received before this day"),
        ("on", "received on this day"),
    ):
        group.add_argument(f"--{name}", type=_day, metavar="DAY", help=help_text)
    group.add_argument("--sender", metavar="TEXT", help="whose From holds this")
    group.add_argument("--to", metavar="TEXT", help="whose To holds this")
    group.add_argument("--subject", metavar="TEXT", help="whose subject holds this")
    group.add_argument("--text", help="that hold this anywhere")
    group.add_argument("--limit", type=_count, metavar="N", help="at most so many of those found")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        choices=("table", "json", *FILE_FORMATS),
        default="table",
        help="table (the default) and json are printed; the others are files, to which another "
        "run adds only what is new",
    )
    group.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="the same as --format json: one object a line",
    )
    group.add_argument(
        "--output", metavar="PATH", help="the folder for eml and maildir, the file for mbox"
    )
    group.add_argument(
        "--headers-only", action="store_true", help="print without fetching texts and files"
    )
    group.add_argument("--attachments", metavar="DIR", help="save the attachments in this folder")
    group.add_argument(
        "--name",
        action="append",
        metavar="PATTERN",
        help="only attachments with such a name: '*.pdf'; again for more",
    )


def check(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for options that do not go together; make paths of the paths."""
    _check_output(options)
    files = options.format in FILE_FORMATS
    if options.headers_only and (files or options.attachments is not None):
        raise ConfigError(
            "--headers-only leaves out what files and attachments are made of.",
            remedy="Use it with --format table or json, and without --attachments.",
        )
    if options.name and options.attachments is None:
        raise ConfigError(
            "--name chooses among attachments, and none are saved.",
            remedy="Add --attachments DIR.",
        )
    for key in ("output", "attachments"):
        if getattr(options, key) is not None:
            path = expand_path(f"--{key}", getattr(options, key))
            setattr(options, key, path.absolute())


def _check_output(options: argparse.Namespace) -> None:
    files = options.format in FILE_FORMATS
    if files and options.output is None:
        kind = "file" if options.format == "mbox" else "folder"
        raise ConfigError(
            f"--format {options.format} needs a {kind} to write to.",
            remedy=f"Name it with --output {kind.upper()}.",
        )
    if not files and options.output is not None:
        raise ConfigError(
            f"--output does not go with --format {options.format}, which is printed.",
            remedy="Redirect it (mailoauth fetch ... > FILE), or choose --format eml, mbox or "
            "maildir.",
        )
    if options.output == "-":
        raise ConfigError(
            f"--format {options.format} cannot be printed.",
            remedy="Name a place with --output; to print messages there is --json.",
        )


def job_of(options: argparse.Namespace) -> list[str]:
    """Return what makes another run the same: all that is asked for, however long it may wait."""
    unimportant = {"address", "mailbox", "run", "verbose", "no_input", "retry_for", "single"}
    return [
        f"{name}={value}"
        for name, value in sorted(vars(options).items())
        if name not in unimportant
    ]


def is_narrowed(options: argparse.Namespace) -> bool:
    """Say whether more is asked for than all messages, or all unseen ones."""
    return options.flagged or any(getattr(options, name) is not None for name in _CRITERIA)


def search_of(options: argparse.Namespace, there: UidSet) -> dict[str, Any]:
    """Return the keywords of the search; those that are ``there`` need not be found again."""
    search: dict[str, Any] = {
        "folder": options.folder,
        # Files are marked by hand, in groups that the disk has.
        "mark_seen": options.mark_seen and options.output is None,
        "limit": options.limit,
        "newest_first": options.newest_first,
    }
    if options.headers_only:
        search["headers_only"] = True
    search |= {name: getattr(options, name) for name in _CRITERIA}
    search["flagged"] = options.flagged or None
    search["unseen"] = None if options.all else True
    # With a limit all must be found, and for attachments all must be read.
    known = "" if options.limit or options.attachments else there.sequence(_LONGEST_SEQUENCE)
    if known and options.mark_seen:
        # One that was kept by a run that was killed before it could mark it.
        search["any_of"] = [{"not_": {"uid": known}}, {"unseen": True}] if options.all else None
    elif known:
        search["not_"] = {"uid": known}
    return {name: value for name, value in search.items() if value is not None}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-01-31") from exc


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
