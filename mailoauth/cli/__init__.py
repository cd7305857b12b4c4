"""The command line, one file a command group; the only place that prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mailoauth` with these arguments (the process's own by default); return the exit code."""
    try:
        from mailoauth.cli.running import run  # noqa: PLC0415 - argparse, only if something is run

        return run(argv)
    except KeyboardInterrupt:  # once more, while the first one was being dealt with
        return 130
