"""`mailoauth send`: sends one message."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mailoauth.cli import exits, screen, send_options, shapes
from mailoauth.cli.patience import patiently
from mailoauth.errors import ConfigError, DeliveryUnknown

if TYPE_CHECKING:
    import argparse
    from email.message import EmailMessage

    from mailoauth.accounts import Account
    from mailoauth.cli.commands import Commands
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.receipt import SendReceipt


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add(
        "send",
        send,
        "send a message",
        address=True,
        more="Without any part of a message it reads a whole one from stdin.",
    )
    send_options.add_options(parser)


def send(options: argparse.Namespace) -> int:
    """Send it and say what became of each recipient."""
    from mailoauth.accounts import load_account  # noqa: PLC0415 - only when it runs
    from mailoauth.cli import outgoing  # noqa: PLC0415 - as above

    account = load_account(options.address)
    mailbox = options.mailbox or account.address
    _check_settle(options, account)
    composed = send_options.has_parts(options)
    message = _composed(options, mailbox) if composed else _from_stdin()
    parcel = outgoing.made_ready(message, mailbox, rewrite_from=options.rewrite_from)
    if composed:
        send_options.check_content(options)
    if options.dry_run:
        outgoing.show(parcel)
        return exits.DONE
    receipt = _sent(options, account, parcel)
    return _report(receipt, as_json=options.json)


def _check_settle(options: argparse.Namespace, account: Account) -> None:
    if options.settle is None:
        return
    if not account.provider.saves_sent:
        raise ConfigError(
            f"--settle looks in the Sent folder, and {account.provider.name} puts no copy there.",
            remedy="Leave it out. Nothing was sent.",
            account=account.name,
        )
    if options.settle < send_options.SHORTEST_SETTLE:
        raise ConfigError(
            f"--settle is {options.settle:g} seconds, and copies come later than that: a message "
            "that was sent would be taken for lost.",
            remedy=f"Give {send_options.SHORTEST_SETTLE:g}s or more. Nothing was sent.",
            account=account.name,
        )


def _sent(options: argparse.Namespace, account: Account, parcel: Parcel) -> SendReceipt:
    from mailoauth.cli import outgoing  # noqa: PLC0415 - only when it runs
    from mailoauth.mailer import Mailer  # noqa: PLC0415 - as above

    keep_copy, settle = options.save_sent, options.settle
    with Mailer(account, mailbox=options.mailbox or account.address) as mailer:
        try:
            return patiently(
                lambda: outgoing.hand_over(mailer, parcel, save_sent=keep_copy, settle=settle),
                options.retry_for,
            )
        except DeliveryUnknown as unknown:
            if account.provider.saves_sent:
                unknown.remedy += " With --settle 30s that is done by itself."
            raise


def _composed(options: argparse.Namespace, mailbox: str) -> EmailMessage:
    from mailoauth.mail.compose import compose  # noqa: PLC0415 - only when it runs

    send_options.check_addresses(options)
    text = options.text
    if text == "-":
        text = _text_of_stdin()
    with send_options.in_words_of_options():
        return compose(
            sender=options.sender or mailbox,
            to=options.to or (),
            cc=options.cc or (),
            bcc=options.bcc or (),
            reply_to=options.reply_to or (),
            subject=options.subject or "",
            text=text,
            html=send_options.html_of(options),
            attachments=options.attach or (),
            inline=send_options.inline_of(options),
            headers=send_options.headers_of(options),
            in_reply_to=options.in_reply_to,
        )


def _text_of_stdin() -> str:
    if screen.is_terminal(sys.stdin):
        screen.talk("Type the text, then press Ctrl-D.")
    # A report with one odd octet in it is worth more than none.
    return _stdin().decode("utf-8-sig", "replace")


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
    try:
        if as_json:
            screen.put_json(shapes.of_receipt(receipt))
        else:
            screen.put(f"Sent to {', '.join(receipt.accepted)}: {receipt.reply}")
    except screen.Unwritable as error:  # no failure: what was asked for is done
        screen.warn(
            f"mailoauth: sent to {', '.join(receipt.accepted)}, but that could not be written to "
            f"stdout ({error.reason}). Do not send it again."
        )
    for address, reply in receipt.refused.items():
        screen.warn(f"mailoauth: {address} was refused: {reply}")
    return exits.PARTLY if receipt.refused else exits.DONE
