"""`mailoauth fetch`: reads a mailbox."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import exits, fetch_options, screen
from mailoauth.cli.patience import patiently

#: Of how many messages the numbers are told.
_MOST_NAMED: Final = 20

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from mailoauth.accounts import Account
    from mailoauth.cli.attachments import AttachmentFolder
    from mailoauth.cli.commands import Commands
    from mailoauth.cli.fetching import Fetching, Output


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "fetch",
        fetch,
        "read messages, the unseen ones by default",
        address=True,
        more="Reading does not mark them, unless --mark-seen is given.",
    )
    fetch_options.add_options(parser)


def fetch(options: argparse.Namespace) -> int:
    """Print or keep the messages as they come."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs
    from mailoauth.cli.fetch_checks import check  # noqa: PLC0415 - as above
    from mailoauth.cli.fetching import Fetching  # noqa: PLC0415 - as above

    check(options)
    account = load_account(options.address)
    mailbox = options.mailbox or account.address
    attachments = _attachments(options)
    fetching = Fetching(options, account.name, _output(options, mailbox), attachments)

    def once() -> None:
        with _alone(options, account, mailbox), _progress(options) as advance:
            fetching.once(advance)

    patiently(once, options.retry_for)
    _report(options, fetching, attachments)
    if fetching.failed:
        _report_failures(fetching)
        return exits.PARTLY if fetching.count else exits.REFUSED
    return exits.DONE


def _attachments(options: argparse.Namespace) -> AttachmentFolder | None:
    if options.attachments is None:
        return None
    from mailoauth.cli.attachments import AttachmentFolder  # noqa: PLC0415 - only what is used

    def announce(path: Path) -> None:
        if options.format == fetch_options.PATHS:
            screen.put(str(path))
        else:
            screen.talk(f"saved {path}")

    return AttachmentFolder(options.attachments, options.name or (), announce)


def _output(options: argparse.Namespace, mailbox: str) -> Output:
    if options.format not in fetch_options.FILE_FORMATS:
        from mailoauth.cli.printing import Printed, Unprinted  # noqa: PLC0415 - only what is used

        if options.format == fetch_options.PATHS:
            return Unprinted()
        return Printed(as_json=options.format == "json", whole=not options.headers_only)
    from mailoauth.cli.eml import EmlFolder  # noqa: PLC0415 - only when files are written
    from mailoauth.cli.files import Source  # noqa: PLC0415 - as above
    from mailoauth.cli.maildir import Maildir  # noqa: PLC0415 - as above
    from mailoauth.cli.mbox import Mbox  # noqa: PLC0415 - as above

    source = Source(mailbox, options.folder)
    if options.format == "mbox":
        return Mbox(options.output, source)
    if options.format == "maildir":
        return Maildir(options.output, source)
    return EmlFolder(options.output, source)


@contextlib.contextmanager
def _alone(options: argparse.Namespace, account: Account, mailbox: str) -> Iterator[None]:
    """Keep other runs of the same command away, and those that write the same files."""
    from mailoauth.cli import single  # noqa: PLC0415 - it loads what only locks need
    from mailoauth.cli.files import Source  # noqa: PLC0415 - as above

    with contextlib.ExitStack() as held:
        if options.single:
            job = single.key_of(
                "job", account.name, mailbox.casefold(), *fetch_options.job_of(options)
            )
            held.enter_context(single.alone(job))
        if options.output is not None:
            place = single.key_of_path(options.output)
            writer = single.key_of("output", place, Source(mailbox, options.folder).tag)
            held.enter_context(single.in_turn(writer, options.output, wait=not options.single))
        yield


def _progress(options: argparse.Namespace) -> contextlib.AbstractContextManager[screen.Advance]:
    """Show how far it is, unless the terminal fills with the messages anyway."""
    if options.output is None and screen.is_terminal(sys.stdout):
        return contextlib.nullcontext(lambda _total: None)
    return screen.progress(f"Reading {options.folder}")


def _report(
    options: argparse.Namespace, fetching: Fetching, attachments: AttachmentFolder | None
) -> None:
    """Say on a terminal what became of it."""
    if options.output is not None and (fetching.count or fetching.there):
        screen.talk(f"Added {_counted(fetching.count)} to {options.output}{_also(fetching.there)}.")
    elif not fetching.count and not fetching.failed:
        what = "messages" if options.all else "unseen messages"
        which = " that fit" if fetch_options.is_narrowed(options) else ""
        screen.talk(f"No {what}{which} in {options.folder}.")
    if attachments is None or not fetching.count:
        return
    if not attachments.saved and not attachments.there:
        screen.talk("No attachment matches." if options.name else "No message has attachments.")
    else:
        files = _counted(attachments.saved, "file")
        screen.talk(f"Saved {files} in {options.attachments}{_also(attachments.there)}.")


def _report_failures(fetching: Fetching) -> None:
    uids = [str(uid) for uid in fetching.failed[:_MOST_NAMED]]
    if more := len(fetching.failed) - len(uids):
        uids.append(f"{more} more")
    others = "; the others were" if fetching.count else ""
    screen.warn(
        f"mailoauth: {_counted(len(fetching.failed))} could not be read (UID {', '.join(uids)})"
        f"{others}. Run it again to try once more."
    )


def _also(there: int) -> str:
    return f"; {there} {'was' if there == 1 else 'were'} there already" if there else ""


def _counted(count: int, what: str = "message") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
