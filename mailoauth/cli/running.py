"""From the arguments to the exit code: logging, and the one place that prints errors."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING

from mailoauth.cli import exits, screen
from mailoauth.cli.arguments import build_parser
from mailoauth.cli.stopping import Terminated, termination_raised
from mailoauth.errors import MailOAuthError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


def run(argv: Sequence[str] | None) -> int:
    """Run the command line and return its exit code; prints whatever went wrong."""
    screen.prepare()
    verbose = 0
    try:
        with termination_raised():
            options = _options(argv)
            if isinstance(options, int):
                return options
            verbose = options.verbose
            with logging_shown(verbose):
                code: int = options.run(options)
            return code
    except (KeyboardInterrupt, Terminated, screen.ReaderGone) as stop:
        return stopped(stop)
    except MailOAuthError as error:
        screen.show_error(error)
        return exits.code_of(error)
    except Exception as bug:  # noqa: BLE001 - the last place that can say anything
        show_bug(bug, verbose)
        return exits.BUG


def _options(argv: Sequence[str] | None) -> argparse.Namespace | int:
    """Return the options, or the exit code where argparse has said all there is to say."""
    try:
        return build_parser().parse_args(argv)
    except SystemExit as ended:
        screen.flush()
        return ended.code if isinstance(ended.code, int) else exits.WRONG_USE


def stopped(stop: BaseException) -> int:
    """Return the code for an end that came from outside."""
    if isinstance(stop, screen.ReaderGone):
        _forget_stdout()
        return exits.READER_GONE
    if isinstance(stop, Terminated):
        return exits.SIGNALLED + stop.number
    # A terminal has shown ^C, perhaps behind a question.
    screen.talk("")
    screen.warn("mailoauth: interrupted.")
    return exits.INTERRUPTED


def show_bug(bug: Exception, verbose: int) -> None:
    """Say that something went wrong that nobody thought of."""
    if verbose:
        trace = "".join(traceback.format_exception(bug)).rstrip()
        screen.say(f"{screen.harmless(trace)}\n")
    # Not the exception's own text: it may quote what must not be shown.
    reason = f" ({bug.strerror})" if isinstance(bug, OSError) and bug.strerror else ""
    more = "" if verbose else " Run it again with -v to see where, and please report that."
    screen.warn(f"mailoauth: this is a bug of mailoauth: {type(bug).__name__}{reason}.{more}")


def _forget_stdout() -> None:
    # The interpreter flushes stdout once more at its end and would complain there.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _HarmlessFormatter(logging.Formatter):
    """Writes control characters of what servers said out."""

    def format(self, record: logging.LogRecord) -> str:
        return screen.harmless(super().format(record))


@contextlib.contextmanager
def logging_shown(verbose: int) -> Iterator[None]:
    """Show warnings on stderr, and more of the log the higher ``verbose`` is."""
    logger = logging.getLogger("mailoauth")
    handler = logging.StreamHandler(sys.stderr)
    timed = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(_HarmlessFormatter(timed if verbose else "mailoauth: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
