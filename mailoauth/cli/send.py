"""`mailoauth send`: sends one message."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mailoauth.cli import exits, screen, shapes
from mailoauth.cli.commands import add_json, add_mailbox, add_retry
from mailoauth.cli.patience import patiently
from mailoauth.cli.stopping import Terminated
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from email.message import EmailMessage

    from mailoauth.cli.commands import Commands
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.mailer import Mailer

_PARTS = ("to", "cc", "bcc", "sender", "subject", "text", "html", "attach")


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "send",
        send,
        "send a message",
        address=True,
        more="Without any part of a message it reads a whole one from stdin.",
    )
    add_mailbox(parser)
    for name, help_text in (
        ("to", "a recipient; again for more"),
        ("cc", "one who gets a copy"),
        ("bcc", "one who gets a copy that nobody sees"),
    ):
        parser.add_argument(f"--{name}", action="append", metavar="ADDRESS", help=help_text)
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="the mailbox unless given")
    parser.add_argument("--subject")
    parser.add_argument("--text", help="the text; - takes it from stdin")
    parser.add_argument("--html", help="the text as HTML")
    parser.add_argument("--attach", action="append", metavar="FILE", help="again for more")
    add_json(parser)
    add_retry(parser)


def send(options: argparse.Namespace) -> int:
    """Send it and say what became of each recipient."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs
    from mailoauth.mailer import Mailer  # noqa: PLC0415 - as above

    account = load_account(options.address)
    mailbox = options.mailbox or account.address
    parts = [name for name in _PARTS if getattr(options, name) is not None]
    message = _composed(options, mailbox) if parts else _from_stdin()
    with Mailer(account, mailbox=mailbox) as mailer:
        receipt = patiently(lambda: _send(mailer, message), options.retry_for)
    return _report(receipt, as_json=options.json)


def _send(mailer: Mailer, message: EmailMessage | bytes) -> SendReceipt:
    try:
        return mailer.send(message)
    except (KeyboardInterrupt, Terminated):
        screen.warn(
            "mailoauth: interrupted while the message was being sent. It may have gone out: look "
            "in the Sent folder before you send it again."
        )
        raise


def _composed(options: argparse.Namespace, mailbox: str) -> EmailMessage:
    from mailoauth.mail.compose import compose  # noqa: PLC0415 - only when it runs

    text = options.text
    if text == "-":
        text = _stdin().decode("utf-8", "replace")
    return compose(
        sender=options.sender or mailbox,
        to=options.to or (),
        cc=options.cc or (),
        bcc=options.bcc or (),
        subject=options.subject or "",
        text=text,
        html=options.html,
        attachments=options.attach or (),
    )


def _from_stdin() -> bytes:
    if screen.is_terminal(sys.stdin):
        screen.talk("Type a whole message (headers, an empty line, the text), then press Ctrl-D.")
    message = _stdin()
    if not message.strip():
        raise ConfigError(
            "There is nothing to send: no part of a message was given, and stdin is empty.",
            remedy="Give --to, --subject and --text, or a whole message on stdin.",
        )
    return message


def _stdin() -> bytes:
    if sys.stdin is None:
        return b""
    buffer = getattr(sys.stdin, "buffer", None)
    content: bytes = sys.stdin.read().encode() if buffer is None else buffer.read()
    return content


def _report(receipt: SendReceipt, *, as_json: bool) -> int:
    if as_json:
        screen.put_json(shapes.of_receipt(receipt))
    else:
        screen.put(f"Sent to {', '.join(receipt.accepted)}: {receipt.reply}")
    for address, reply in receipt.refused.items():
        screen.warn(f"mailoauth: {address} was refused: {reply}")
    return exits.PARTLY if receipt.refused else exits.DONE
