"""What `mailoauth demo` tells, step by step, and only what really happened.

Every number is measured or counted on the server's side.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from mailoauth import paths
from mailoauth.cli import screen

if TYPE_CHECKING:
    from mailoauth.accounts import Account
    from mailoauth.emulator import OutlookEmulator
    from mailoauth.mail.message import Message
    from mailoauth.tokens.cache import TokenCache

ADA: Final = "ada@example.com"

_SUBJECT: Final = "Quarterly report"
_FILE_NAME: Final = "report.csv"
_FILE: Final = b"quarter,orders\n" + b"".join(b"Q%d,%d\n" % (n, 40 + 7 * n) for n in range(1, 5))


class WentOtherwise(Exception):
    """Something did not happen that the story tells."""


def tell(emulator: OutlookEmulator) -> None:
    """Tell the whole story; raises :class:`WentOtherwise`."""
    started = time.monotonic()
    from mailoauth.tokens.source import token_source  # noqa: PLC0415 - only when it runs

    account = emulator.account(ADA)
    screen.put(
        "An Outlook of its own runs on this computer for a moment: an identity service at "
        f"{emulator.authority}, IMAP on port {emulator.imap.port}, SMTP on port {emulator.smtp.port}."
    )
    source = token_source(account)
    _sign_in(emulator, account)
    _look_at_record(source)
    _send(emulator, account)
    _read(emulator, account)
    _expire_and_read(emulator, account, source)
    screen.put(
        f"\nDone in {time.monotonic() - started:.1f} s. In all: {len(emulator.token_requests)} token "
        f"requests, {len(emulator.connections)} connections. Your own turn: mailoauth login ADDRESS"
    )


def _sign_in(emulator: OutlookEmulator, account: Account) -> None:
    from mailoauth.tokens.signin import sign_in  # noqa: PLC0415 - only when it runs

    _headline("Sign in", f"{ADA} signs in; a scripted browser plays the person")
    started = time.monotonic()
    sign_in(account, open_url=emulator.browser)
    _expect(_grants(emulator) == ["authorization_code"], "one sign-in makes one token request")
    _tell(
        "Authorization code with PKCE and state, redirected to this computer: 1 token request, "
        f"{time.monotonic() - started:.2f} s."
    )


def _look_at_record(source: TokenCache) -> None:
    _headline("Store", "the token is kept encrypted")
    records = list(paths.records_folder().iterdir())
    _expect(len(records) == 1, "one sign-in makes one record")
    kept = source.record()
    _expect(kept is not None and kept.refresh_token is not None, "the record can be opened")
    sealed = records[0].read_bytes()
    secrets = () if kept is None else (kept.access_token, kept.refresh_token or "")
    _expect(
        not any(secret.encode() in sealed for secret in secrets),
        "the record does not contain the tokens in clear",
    )
    _tell(f"{records[0]} ({len(sealed)} bytes)")
    _tell("Looked for both tokens in that file: neither is in it as it is.")


def _send(emulator: OutlookEmulator, account: Account) -> None:
    from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

    _headline("Send", f"a mail with an attachment goes from {ADA} to herself")
    started = time.monotonic()
    with MailSession(account) as mail:
        receipt = mail.send(
            to=ADA,
            subject=_SUBJECT,
            text="Dear Ada, the numbers are attached.",
            attachments=[(_FILE_NAME, _FILE)],
        )
    _expect(receipt.accepted == (ADA,), "the server accepts the recipient")
    _expect(len(emulator.sent) == 1, "the server took one message")
    _tell(f'The server took it in {time.monotonic() - started:.2f} s and said "{receipt.reply}".')


def _read(emulator: OutlookEmulator, account: Account) -> None:
    _headline("Read", "what is unseen in her INBOX")
    started = time.monotonic()
    _show(_unseen(account))
    _expect(len(_grants(emulator)) == 1, "the same token sends and reads")
    _tell(
        f"Read in {time.monotonic() - started:.2f} s and left unseen; the same token, no new request."
    )


def _expire_and_read(emulator: OutlookEmulator, account: Account, source: TokenCache) -> None:
    _headline("Expire", "the server ends the token; mailoauth still believes in it")
    old = source.get()
    left = (old.expires_at or 0.0) - time.time()
    emulator.expire_tokens()
    _tell(f"By its own clock the token would be good for another {left / 60:.0f} minutes.")

    _headline("Refresh and retry", "read once more")
    connections, requests = len(emulator.connections), len(emulator.token_requests)
    started = time.monotonic()
    messages = _unseen(account)
    took = time.monotonic() - started
    tried = emulator.connections[connections:]
    signed_in = [connection.signed_in_as for connection in tried]
    _expect(signed_in == [None, ADA], "one connection is refused and the next one signed in")
    _expect(_grants(emulator)[requests:] == ["refresh_token"], "there is one refresh")
    _expect(source.get().generation == old.generation + 1, "the store has the next token")
    _tell("Connection 1: the server refused the token.")
    _tell("The identity service was asked once, for a fresh token: 1 refresh.")
    _tell(f"Connection 2: signed in. Retried exactly once, {took:.2f} s in all.")
    _show(messages)


def _unseen(account: Account) -> list[Message]:
    from mailoauth.session import MailSession  # noqa: PLC0415 - only when it runs

    with MailSession(account) as mail:
        return list(mail.unseen())


def _show(messages: list[Message]) -> None:
    _expect(len(messages) == 1, "there is one unseen message")
    message = messages[0]
    (file,) = message.attachments or (None,)
    _expect(message.subject == _SUBJECT, "the subject is the one that was sent")
    _expect(file is not None and file.content == _FILE, "the attachment is the one that was sent")
    sender = message.sender.address if message.sender else ""
    _tell(f'"{message.subject}" from {sender}, with {_FILE_NAME}: all {len(_FILE)} bytes as sent.')


def _grants(emulator: OutlookEmulator) -> list[str]:
    return [request.grant_type for request in emulator.token_requests]


def _expect(happened: bool, what: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not happened:
        raise WentOtherwise(f"{what}: that did not happen.")


def _headline(step: str, text: str) -> None:
    screen.put(f"\n{step}: {text}")


def _tell(text: str) -> None:
    screen.put(f"  {text}")
