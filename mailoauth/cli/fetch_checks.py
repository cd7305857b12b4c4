"""Options of `mailoauth fetch` that do not go together, and places that cannot be meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailoauth.checks import expand_path
from mailoauth.cli.commands import check_texts
from mailoauth.cli.fetch_options import FILE_FORMATS, PATHS
from mailoauth.cli.files import canonical, explained
from mailoauth.cli.single import key_of_path
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    import argparse

_TEXTS: Final = ("address", "folder", "mailbox", "sender", "to", "subject", "text", "name")


def check(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for what cannot be meant; fill in the format, make paths of the paths."""
    check_texts(options, *_TEXTS)
    options.folder = canonical(options.folder)
    if options.format is None:
        options.format = "table" if options.attachments is None else PATHS
    _check_output(options)
    _check_together(options)
    for key in ("output", "attachments"):
        if getattr(options, key) is not None:
            setattr(options, key, _place(f"--{key}", getattr(options, key)))
    _check_apart(options)


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
            "--output is for messages in files, and --format says that they are printed."
            if options.format != PATHS
            else "--output is for messages in files, and there is no --format for them.",
            remedy="Choose --format eml, mbox or maildir; what is printed can be redirected "
            "(mailoauth fetch ... > FILE).",
        )
    if options.output == "-":
        raise ConfigError(
            f"--format {options.format} cannot be printed.",
            remedy="Name a place with --output; to print messages there is --json.",
        )
    if options.format == "mbox" and options.output.endswith((os.sep, "/")):
        raise ConfigError(
            f"--output {options.output} is a folder, and an mbox is a file.",
            remedy=f"Name a file in it: --output {options.output}mail.mbox",
        )


def _check_together(options: argparse.Namespace) -> None:
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
    since, before = options.since, options.before
    if since is not None and before is not None and since > before:
        raise ConfigError(
            f"No message is from {since} or later and from before {before}.",
            remedy="Exchange --since and --before.",
        )


def _place(option: str, text: str) -> Path:
    path = expand_path(option, text).absolute()
    with explained(path, option):
        leads_nowhere = path.is_symlink() and not path.exists()
    if leads_nowhere:
        raise ConfigError(
            f"{option} {path} is a link that leads nowhere.",
            remedy="Make what it should lead to, remove the link, or name another place.",
        )
    return path


def _check_apart(options: argparse.Namespace) -> None:
    """Refuse a place where a correspondent could name a file as if it were a message."""
    if options.output is None or options.attachments is None:
        return
    output, files = key_of_path(options.output), key_of_path(options.attachments)
    inside = options.format == "maildir" and Path(output) in Path(files).parents
    if output == files or inside:
        raise ConfigError(
            "--attachments and --output are the same place, where names would meet.",
            remedy="Give the attachments a folder of their own.",
        )
