"""How a command declares itself, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_UNDECODABLE: Final = re.compile("[\ud800-\udfff]")
_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Commands:
    """Where the command files declare their commands."""

    def __init__(
        self,
        actions: argparse._SubParsersAction[argparse.ArgumentParser],
        shared: argparse.ArgumentParser,
    ) -> None:
        self._actions = actions
        self._shared = shared

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        summary: str,
        *,
        address: bool = False,
        more: str = "",
    ) -> argparse.ArgumentParser:
        """Declare a command, which takes an ADDRESS if ``address``; ``run`` returns the exit code."""
        parser = self._actions.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {more}".rstrip(),
            parents=[self._shared],
            allow_abbrev=False,
        )
        parser.set_defaults(run=run)
        if address:
            parser.add_argument(
                "address", metavar="ADDRESS", help="the account, by its name, user or mailbox"
            )
        return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def add_mailbox(parser: argparse.ArgumentParser) -> None:
    """Add ``--mailbox``."""
    parser.add_argument(
        "--mailbox", metavar="ADDRESS", help="another mailbox than the account's own"
    )


def add_retry(parser: argparse.ArgumentParser) -> None:
    """Add ``--retry-for``."""
    parser.add_argument(
        "--retry-for",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="wait out what passes by itself (exit codes 4 and 7) for so long: 30s, 10m, 2h",
    )


def check_texts(options: argparse.Namespace, *names: str) -> None:
    """Raise ``ConfigError`` for an option that is given, but empty or no text."""
    for name in names:
        value = getattr(options, name)
        for text in value if isinstance(value, list) else [value]:
            called = "ADDRESS" if name == "address" else f"--{name}"
            if text is not None and not text.strip():
                raise ConfigError(
                    f"{called} is empty.",
                    remedy="Look for a variable that is not set, or leave the option out.",
                )
            # Bytes that are not in the encoding of the locale come as halves of characters.
            if text is not None and _UNDECODABLE.search(text):
                raise ConfigError(
                    f"{called} holds bytes that are no text in this encoding.",
                    remedy="Write it in UTF-8; a locale such as C.UTF-8 must be set (LC_ALL).",
                )


def duration(text: str) -> float:
    """Read "30s", "10m", "2h", "1d" or a number of seconds; return seconds."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s, 10m or 2h")
    return float(found[1]) * _SECONDS[found[2]]
