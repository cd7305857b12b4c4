"""The options of `mailoauth fetch`, and what they mean to a search."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from mailoauth.cli.commands import add_mailbox, add_retry

if TYPE_CHECKING:
    from mailoauth.cli.uids import UidSet

FILE_FORMATS: Final = ("eml", "mbox", "maildir")
#: What is printed where only `--attachments` is given: the places of the files.
PATHS: Final = "paths"
_CRITERIA: Final = ("since", "before", "on", "sender", "to", "subject", "text")
#: Outlook and Dovecot both take lines of this length.
_LONGEST_SEQUENCE: Final = 4000
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
    group.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help="at most so many of those found; with --output, of those that are not there yet. What "
        "is printed, or --attachments alone, goes on behind them only with --mark-seen (not --all)",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        choices=("table", "json", *FILE_FORMATS),
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
    group.add_argument(
        "--attachments",
        metavar="DIR",
        help="save the attachments in this folder, each content once, and print where, unless a "
        "--format is given; without --mark-seen another run saves a file again that was moved away",
    )
    group.add_argument(
        "--name",
        action="append",
        metavar="PATTERN",
        help="only attachments with this name, or such a one: '*.pdf'; again for more",
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
        "newest_first": options.newest_first,
    }
    if options.headers_only:
        search["headers_only"] = True
    search |= {name: getattr(options, name) for name in _CRITERIA}
    search["flagged"] = options.flagged or None
    search["unseen"] = None if options.all else True
    # For attachments all must be read.
    known = "" if options.attachments else there.sequence(_LONGEST_SEQUENCE)
    if known and options.mark_seen:
        # One that was kept by a run that was killed before it could mark it.
        search["any_of"] = [{"not_": {"uid": known}}, {"unseen": True}] if options.all else None
    elif known:
        search["not_"] = {"uid": known}
    if not len(there) or (known and not options.mark_seen and _is_all(known, there)):
        # Only then are all that are found new, and it is new ones that the limit counts.
        search["limit"] = options.limit
    return {name: value for name, value in search.items() if value is not None}


def _is_all(sequence: str, there: UidSet) -> bool:
    return sequence == there.sequence(sys.maxsize)


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-01-31")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
