"""What is printed, and where: data on stdout, talk on stderr; the only importer of rich.

What servers and correspondents wrote cannot steer the terminal: see :func:`harmless`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from mailoauth.errors import ConfigError, MailOAuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    #: Say that one more is done; the argument is how many there are in all, if that is known.
    Advance = Callable[[int | None], None]

# Control characters but tab and line feed, and what turns the direction of writing.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SMALLEST_WIDTH = 40


class ReaderGone(Exception):
    """Whoever read stdout has gone: `mailoauth fetch ... | head`."""


class Unwritable(ConfigError):
    """stdout takes no more: a full disk, as a rule. ``reason`` is the system's."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The output cannot be written: {reason}.",
            remedy="Send it where there is room, and run the command again.",
        )
        self.reason = reason


def prepare() -> None:
    """Let no character that the terminal's encoding lacks end the program (LANG=C)."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def harmless(text: str) -> str:
    r"""Return the text with what could steer a terminal written out, as in ``\x1b``."""
    return _STEERING.sub(_written_out, text)


def one_line(text: str) -> str:
    """Return the text harmless and on one line, for a cell of a table."""
    return harmless(" ".join(text.split()))


def exact(text: str) -> str:
    """Return the text harmless with all its blanks, for a name that is to be used again."""
    return harmless(text).replace("\t", "\\x09").replace("\n", "\\x0a")


def _written_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 - one byte


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether a person looks at (or types into) the stream."""
    return stream is not None and stream.isatty()


def width(stream: TextIO | None) -> int | None:
    """Return the columns of the terminal, None where there is none: lines are not broken there."""
    if not is_terminal(stream):
        return None
    return max(_SMALLEST_WIDTH, shutil.get_terminal_size().columns)


def check_stdout() -> None:
    """Raise ``ConfigError`` where stdout is closed: for commands that do nothing but print.

    The others go on in silence, for what they did is done.
    """
    if sys.stdout is None:
        raise ConfigError(
            "stdout is closed, so nothing can be printed.",
            remedy="Leave it open, or send it to a file with > FILE.",
        )


def put(text: str) -> None:
    """Print a line of data; it is out when this returns.

    Raises :class:`ReaderGone` and :class:`Unwritable`.
    """
    _write(f"{harmless(text)}\n")


def put_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on one line; it is out when this returns. Raises as :func:`put`."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    line = json.dumps(record, ensure_ascii=encoding != "utf8")
    # JSON leaves these as they are, and a terminal would obey some of them.
    _write(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")


def flush() -> None:
    """Get out what is still held back: argparse's help. Raises as :func:`put`."""
    _write("")


def _write(text: str) -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as exc:
        raise ReaderGone from exc
    except OSError as exc:
        raise Unwritable(exc.strerror or str(exc)) from exc


def talk(text: str) -> None:
    """Print what only a person at a terminal wants to know."""
    if is_terminal(sys.stderr):
        warn(text)


def warn(text: str) -> None:
    """Print on stderr, terminal or not, broken at the terminal's width."""
    say(wrapped(harmless(text), width(sys.stderr)) + "\n")


def say(text: str) -> None:
    """Write to stderr as it is; where that is closed there is nobody to tell."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def wrapped(text: str, columns: int | None) -> str:
    """Break lines between words, indented as they begin; addresses stay whole."""
    if columns is None:
        return text
    return "\n".join(_wrapped_line(line, columns) for line in text.split("\n"))


def _wrapped_line(line: str, columns: int) -> str:
    indent = line[: len(line) - len(line.lstrip(" -"))]
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def show_error(error: MailOAuthError) -> None:
    """Print what happened, then what to do about it."""
    warn(f"mailoauth: {' '.join(error.message.split())}")
    if error.remedy:
        warn(" ".join(error.remedy.split()))


def show_code(code: str, address: str, notes: Sequence[str]) -> None:
    """Show the code of a sign-in and where to enter it: large on a terminal, plain lines else."""
    code, address = one_line(code), one_line(address)
    if not is_terminal(sys.stderr):
        for line in (f"Open this address: {address}", f"Enter this code: {code}", *notes):
            warn(line)
        return
    from rich.console import Console, Group  # noqa: PLC0415 - only where a terminal is drawn on
    from rich.panel import Panel  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    # Not spread out: it is copied from here as often as it is typed.
    large = Text(code, style="bold reverse", justify="center")
    lines = ("Open this address in any browser:", Text(address, style="bold"), "")
    said = (Text(note) for note in notes)
    body = Group(*lines, "and enter this code:", "", large, "", *said)
    Console(stderr=True).print(Panel(body, padding=(1, 2)))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show on stderr how far something is, how fast and how long still; nothing if no terminal."""
    if not is_terminal(sys.stderr):
        yield lambda _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where a terminal is drawn on
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # data must not come out on stderr
    )
    with bar:
        task = bar.add_task(one_line(what), total=None, rate="")

        def advance(total: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, tabs between the cells else."""
    clean = [[exact(cell) for cell in row] for row in rows]
    if not is_terminal(sys.stdout):
        for row in clean:
            put("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - only where a terminal is drawn on
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in clean:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def fitted(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return the cells side by side, each cropped or filled to its columns."""
    from rich.cells import set_cell_size  # noqa: PLC0415 - only where a terminal is drawn on

    sized = (set_cell_size(cell, size) for cell, size in zip(cells, widths, strict=True))
    return "  ".join(sized).rstrip()
