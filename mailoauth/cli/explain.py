"""`mailoauth explain`: what a server's refusal means and what to do about it, offline."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from mailoauth.cli import screen, shapes
from mailoauth.cli.commands import add_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from mailoauth.cli.commands import Commands
    from mailoauth.diagnosis import Diagnosis

#: What nobody can fill in here: whose mailbox it is, and so on.
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_WHO: Final = {
    "mailoauth": "mailoauth, by itself",
    "you": "you",
    "administrator": "an administrator",
    "provider": "the provider",
    "wait": "nobody: it passes",
    "nobody": "nobody",
}


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "explain",
        explain,
        "say what an error message of a mail server or of Microsoft's sign-in means",
        more="Without TEXT it reads a log or a reply from stdin.",
    )
    parser.add_argument("text", metavar="TEXT", nargs="*", help="the message as it was seen")
    add_json(parser)


def explain(options: argparse.Namespace) -> int:
    """Print one finding for each message, in the order of the paste."""
    text = " ".join(options.text) if options.text else _pasted()
    for finding in findings(text):
        if options.json:
            screen.put_json(shapes.of_diagnosis(finding))
        else:
            _show(finding)
    return 0


def findings(text: str) -> list[Diagnosis]:
    """Return what is known about each line; if nothing is, that of the whole text alone."""
    from mailoauth.diagnosis import diagnose  # noqa: PLC0415 - only when it runs

    lines = [line for line in text.splitlines() if line.strip()]
    known = [found for found in map(diagnose, lines) if found.category != "unknown"]
    return list(_without_repeats(known)) or [diagnose(text)]


def _without_repeats(found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    # A reply of several lines says the same on each (RFC 5321 section 4.2.1).
    before: Diagnosis | None = None
    for finding in found:
        same = before is not None and (before.code, before.meaning) == (
            finding.code,
            finding.meaning,
        )
        if not same:
            yield finding
        before = finding


def _pasted() -> str:
    if screen.is_terminal(sys.stdin):
        screen.talk("Paste the message, then press Ctrl-D on a line of its own.")
    if sys.stdin is None:
        return ""
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if buffer is None else buffer.read().decode("utf-8", "replace")


def _in_capitals(placeholder: re.Match[str]) -> str:
    return placeholder[1].upper()


def _show(finding: Diagnosis) -> None:
    columns = screen.width(sys.stdout)
    screen.put(screen.wrapped(screen.one_line(finding.text), columns))
    screen.put(screen.wrapped(f"  means: {finding.meaning}", columns))
    screen.put(f"  who can fix it: {_WHO[finding.fixer]}")
    for step in finding.steps:
        screen.put(screen.wrapped(f"  - {_PLACEHOLDER.sub(_in_capitals, step)}", columns))
    if finding.source:
        screen.put(f"  source: {finding.source}")
