"""The options of `mailoauth send`, and what they say in the words of `compose()`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailoauth.cli.commands import add_json, add_mailbox, add_retry, duration
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

#: What makes up a message; with none of them a whole one comes from stdin.
_PARTS: Final = [
    "to",
    "cc",
    "bcc",
    "sender",
    "reply_to",
    "subject",
    "text",
    "html",
    "html_file",
    "attach",
    "inline",
    "header",
    "in_reply_to",
]


#: Seconds; a provider's copy of a sent message comes that late.
SHORTEST_SETTLE = 10.0

#: What `compose()` says, and what it is called here.
_WORDS: Final = {
    "is not given in headers": "is not given with --header",
    "Leave it out of headers": "Leave out that --header",
    "Use sender=": "Use --from",
    "Use to=": "Use --to",
    "Use cc=": "Use --cc",
    "Use bcc=": "Use --bcc",
    "Use reply_to=": "Use --reply-to",
    "Use subject=": "Use --subject",
    "Use in_reply_to=": "Use --in-reply-to",
    "in_reply_to is": "--in-reply-to is",
    ", or give the message that is answered": "",
    "Give html=, or put them into attachments": "Give --html or --html-file, or use --attach",
    ', for example with " ".join(value.split())': "",
    "Give it a to, cc or bcc": "Give --to, --cc or --bcc",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    message = parser.add_argument_group("the message")
    for name, help_text in (
        ("to", "a recipient; again for more"),
        ("cc", "one who gets a copy"),
        ("bcc", "one who gets a copy that nobody sees"),
        ("reply-to", "who gets the answers"),
    ):
        message.add_argument(f"--{name}", action="append", metavar="ADDRESS", help=help_text)
    message.add_argument(
        "--from", dest="sender", metavar="ADDRESS", help="the mailbox unless given"
    )
    message.add_argument("--subject")
    message.add_argument("--text", help="the text; - takes it from stdin")
    html = message.add_mutually_exclusive_group()
    html.add_argument("--html", help="the text as HTML; without --text the text is made from it")
    html.add_argument("--html-file", type=Path, metavar="FILE", help="the same, from a file")
    message.add_argument("--attach", action="append", metavar="FILE", help="again for more")
    message.add_argument(
        "--inline",
        action="append",
        metavar="NAME=FILE",
        help='a picture that the HTML shows as "cid:NAME"; again for more',
    )
    message.add_argument(
        "--header", action="append", metavar='"NAME: VALUE"', help="another header; again for more"
    )
    message.add_argument(
        "--in-reply-to", metavar="MESSAGE-ID", help="the message that this one answers"
    )
    _add_ways(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    add_mailbox(parser)
    parser.add_argument(
        "--rewrite-from",
        action="store_true",
        help="put the mailbox into From and what was there into Reply-To: Outlook refuses others",
    )
    parser.add_argument(
        "--save-sent",
        action="store_true",
        help="keep a copy in the Sent folder where the provider keeps none by itself",
    )
    parser.add_argument(
        "--settle",
        type=duration,
        metavar="DURATION",
        help="if the line is lost at the end, look in the Sent folder for so long (30s) whether it "
        "was sent: then exit code 0, else 7, and it may be sent again",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the message as it would be sent, and connect to nothing",
    )
    add_json(parser)
    add_retry(parser)


def has_parts(options: argparse.Namespace) -> bool:
    """Say whether any part of a message is given."""
    return any(getattr(options, name) is not None for name in _PARTS)


def check_content(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for a message in which there is nothing: its text is on stdin."""
    if options.text is None and options.html is None and options.html_file is None:
        if options.attach or options.inline:
            return
        raise ConfigError(
            "There is no text, so nothing was sent.",
            remedy="--text - takes it from stdin; --text '' sends none.",
        )


def check_addresses(options: argparse.Namespace) -> None:
    """Raise ``ConfigError``, which names the option, for what is no address."""
    from mailoauth.mail.addresses import parse_addresses  # noqa: PLC0415 - only when it runs
    from mailoauth.mail.writing.serial import checked_address  # noqa: PLC0415 - as above

    for name in ("to", "cc", "bcc", "reply_to", "sender"):
        given = getattr(options, name) or ()
        option = "--from" if name == "sender" else f"--{name.replace('_', '-')}"
        for text in [given] if isinstance(given, str) else given:
            if not text.isprintable():
                continue  # compose() says what is wrong with it
            for each in parse_addresses(text):
                try:
                    checked_address(each.address or each.name)
                except ConfigError as exc:
                    raise ConfigError(
                        f"{option}: {exc.message}", remedy=f"{exc.remedy} Nothing was sent."
                    ) from exc


@contextlib.contextmanager
def in_words_of_options() -> Iterator[None]:
    """Let errors of ``compose()`` name the options in place of its keywords."""
    try:
        yield
    except ConfigError as error:
        for said, option in _WORDS.items():
            error.message = error.message.replace(said, option)
            error.remedy = error.remedy.replace(said, option)
        raise


def html_of(options: argparse.Namespace) -> str | None:
    """Return the HTML, from its file if one is named."""
    if options.html_file is None:
        html: str | None = options.html
        return html
    return text_of(options.html_file, "--html-file")


def text_of(path: Path, called: str) -> str:
    """Return the text of a file in UTF-8. Raises ``ConfigError``, nothing was sent."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(
            f"{called} {path} is not UTF-8, so nothing was sent.",
            remedy="Save it as UTF-8.",
        ) from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(
            f"{called} {str(path)!r} cannot be read: {reason}.", remedy="Nothing was sent."
        ) from exc


def inline_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the pictures by the names that the HTML has for them."""
    pictures: dict[str, str] = {}
    for each in options.inline or ():
        name, equals, path = each.partition("=")
        if not equals or not name or not path:
            raise ConfigError(
                f"--inline {each!r} is not NAME=FILE.",
                remedy='Write it like --inline logo=logo.png, with <img src="cid:logo"> in the HTML.',
            )
        if name in pictures:
            raise ConfigError(f"--inline has {name!r} twice.", remedy="Give each its own name.")
        pictures[name] = path
    return pictures


def headers_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the further headers by their names."""
    headers: dict[str, str] = {}
    for each in options.header or ():
        name, colon, value = each.partition(":")
        name = name.strip()
        if not colon or not name:
            raise ConfigError(
                f"--header {each!r} is not NAME: VALUE.",
                remedy='Write it like --header "Auto-Submitted: auto-generated".',
            )
        if name.lower() in {known.lower() for known in headers}:
            raise ConfigError(f"--header has {name} twice.", remedy="Give each name once.")
        headers[name] = value.strip()
    return headers
