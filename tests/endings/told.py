"""The main story, with everything logged, reported and kept: ``told.py FOLDER ASK_FD``.

``test_markers.py`` looks through what comes of it. What the servers are to do next is
asked of the test through the pipe ``ASK_FD``; the mail's own words are in the environment,
so that no traceback shows them by showing this file.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

FOLDER, ASK = Path(sys.argv[1]), int(sys.argv[2])
LEAKING = os.environ.get("TOLD_LEAKING")
WORDS = json.loads(os.environ.pop("TOLD_WORDS"))

logging.basicConfig(filename=FOLDER / "all.log", level=logging.DEBUG)
for _name in (
    *("asyncio", "urllib3", "urllib3.connectionpool", "requests", "msal", "msal.token_cache"),
    *("imapclient", "aiosmtplib", "keyring", "filelock", "mailoauth", "http", "http.server"),
):
    logging.getLogger(_name).setLevel(logging.DEBUG)

from mailoauth import (  # noqa: E402 - the loggers are set as an application does, before
    AsyncMailSession,
    FileStore,
    MailSession,
    paths,
    sign_in,
    sign_in_device_code,
    token_source,
)
from mailoauth.errors import MailOAuthError  # noqa: E402 - see above
from tests.endings.world import account, chain  # noqa: E402 - see above

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.tokens.microsoft_flows import DeviceCode

ADA = "ada@example.com"


def ask(step: str, *words: object) -> str:
    """Let the test do something to the servers."""
    os.write(ASK, json.dumps([step, *words]).encode() + b"\n")
    return sys.stdin.readline().rstrip("\n")


def keep(name: str, text: str) -> None:
    with (FOLDER / name).open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def attempt(name: str, deed: Callable[[], object], expected: str = "") -> None:
    """Do it, and keep every way in which what it raises could be shown."""
    try:
        deed()
    except BaseException as error:
        lines = traceback.format_exception(error)
        for one in chain(error):
            keep("errors.txt", f"{type(one).__name__} {one} {one!r} {one.args!r}")
            if isinstance(one, MailOAuthError):
                keep("errors.txt", repr(vars(one)))
                (FOLDER / f"{name}-{id(one)}.pickle").write_bytes(pickle.dumps(one))
        keep("errors.txt", "".join(lines))
        outcome = type(error).__name__
        logging.getLogger("application").exception("%s failed", name)
    else:
        outcome = ""
    keep("outcomes.txt", f"{name}: {outcome}")
    assert outcome == expected, f"{name}: {outcome} instead of {expected}"


def show(*things: object) -> None:
    for thing in things:
        keep("reprs.txt", f"{thing!r}")


def signing_in() -> None:
    ada = account()
    attempt("browser", lambda: sign_in(ada, open_url=lambda url: ask("browser", url)))
    attempt(
        "denied",
        lambda: sign_in(ada, open_url=lambda url: ask("deny", url)),
        expected="SignInFailed",
    )
    attempt(
        "wrong state",
        lambda: sign_in(ada, open_url=lambda url: ask("forge", url), timeout=2.0),
        expected=ask("forged outcome"),
    )
    ask("identity echo", "code")
    attempt(
        "code refused",
        lambda: sign_in(ada, open_url=lambda url: ask("browser", url)),
        expected="SignInFailed",
    )

    def approve(code: DeviceCode) -> None:
        show(code)
        ask("approve", code.user_code)

    attempt("device code", lambda: sign_in_device_code(ada, show=approve))


def use(mail: MailSession) -> None:
    attachment = FOLDER / WORDS["attachment"]
    attachment.write_text(WORDS["body"])
    receipt = mail.send(
        to=[ADA, WORDS["correspondent"]],
        subject=WORDS["subject"],
        text=WORDS["body"],
        html=f"<p>{WORDS['body']}</p>",
        attachments=[attachment],
    )
    assert len(receipt.accepted) == 2
    attachment.unlink()
    messages = mail.unseen(mark_seen=True)
    for message in messages:
        assert message.subject is not None
        show(message, list(message.attachments), message.sender is None, messages)
    show(mail, mail.mailbox, mail.mailer, mail.account, receipt.reply)


def reading_and_sending() -> None:
    source = token_source(account())
    with MailSession(account(), timeout=3.0) as mail:
        attempt("use", lambda: use(mail))
        ask("expire")
        attempt("refresh", lambda: list(mail.unseen()))
        ask("deliver many")
        ask("bye")
        attempt("bye", lambda: list(mail.unseen()))
        ask("cut", "imap", "FETCH")
        ask("cut", "imap", "FETCH")
        attempt("cut", lambda: list(mail.unseen()), expected="ConnectionFailed")
        ask("reply", "imap", "SEARCH", "BAD Could not parse command")
        wanted = {"subject": WORDS["subject"], "sender": WORDS["correspondent"]}
        attempt("search", lambda: list(mail.search(**wanted)), expected="ServerError")
        ask("reply", "imap", "FETCH", f'OK (* 1 FETCH (UID "{WORDS["subject"]}" (((BODY[')
        attempt("strange tag", lambda: list(mail.search()))
        ask("reply", "imap", "FETCH", f'* 1 FETCH (UID 1 BODY[] "{WORDS["subject"]}" (((')
        attempt("strange", lambda: list(mail.search()), expected="ConnectionFailed")
        ask("reply", "imap", "FETCH", f"{WORDS['subject']}\r\n{WORDS['body']}")
        attempt("desynchronised", lambda: list(mail.search()), expected="ConnectionFailed")
        attempt("no folder", lambda: list(mail.unseen(folder="none")), expected="FolderNotFound")
    show(source, source.get(), source.identity)
    write = {"subject": WORDS["subject"], "text": WORDS["body"]}
    for name, reply, expected in (
        ("MAIL", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", ""),
        ("RCPT", "550 5.1.1 no such mailbox", "RecipientsRefused"),
        ("DATA", "554 5.2.0 not this one", "ServerError"),
        (".", "552 5.3.4 Message too big", "ServerError"),
        ("cut .", "", "DeliveryUnknown"),
    ):
        ask("smtp", name, reply)
        with MailSession(account(), timeout=3.0) as mail:
            attempt(name, lambda: mail.send(to=ADA, **write), expected or "SendingDisabled")
    with MailSession(account(), timeout=3.0) as mail:
        attempt(
            "injection",
            lambda: mail.send(to=ADA, subject=f"{WORDS['subject']}\r\nBcc: eve@example.org"),
            expected="ConfigError",
        )
        attempt("nobody", lambda: mail.send(**write), expected="ConfigError")


def refused() -> None:
    for protocol in ("imap", "smtp"):
        ask("echo", protocol)
        with MailSession(account(), timeout=3.0) as mail:
            attempt(
                f"refused twice {protocol}",
                lambda: list(mail.unseen()) if protocol == "imap" else mail.send(to=ADA, text="x"),  # noqa: B023 - used at once
                expected="TokenRefused",
            )


async def in_the_other_colour() -> None:
    async with AsyncMailSession(account(), timeout=3.0) as mail:
        await mail.send(
            to=[ADA, WORDS["correspondent"]], subject=WORDS["subject"], text=WORDS["body"]
        )
        async for message in mail.unseen(mark_seen=True):
            show(message, mail, mail.mailbox, mail.mailer)
        ask("smtp", "cut .", "")
        try:
            await mail.send(to=ADA, subject=WORDS["subject"], text=WORDS["body"])
        except MailOAuthError as error:
            failure = error
    attempt("async", lambda: _raise(failure), expected="DeliveryUnknown")


def _raise(error: BaseException) -> None:
    raise error


def identity_troubles() -> None:
    source = token_source(account())
    for kind, expected in (
        ("grant", "SignInRequired"),
        ("client", "ConfigError"),
        ("body", "ConnectionFailed"),
        ("json", "ConnectionFailed"),
        ("status", "ConnectionFailed"),
        ("throttled", "Throttled"),
    ):
        ask("identity echo", kind)
        attempt(f"identity {kind}", lambda: source.get(source.get()), expected=expected)
        if kind == "grant":
            # The record says so now: a person signs in again.
            attempt("again", lambda: sign_in(account(), open_url=lambda url: ask("browser", url)))


def the_app() -> None:
    world = json.loads(ask("app"))
    app = dataclasses.replace(
        account(),
        name=world["name"],
        user=None,
        mailbox=ADA,
        client_id=world["client_id"],
        tenant=world["tenant"],
        sign_in="app",
        client_secret_file=Path(world["client_secret_file"]),
        provider=dataclasses.replace(
            account().provider,
            authority=world["authority"],
            app_scopes=("https://outlook.office365.com/.default",),
        ),
    )
    with MailSession(app, timeout=3.0) as mail:
        attempt("app", lambda: list(mail.unseen()))
    show(app, token_source(app), token_source(app).get())


def wrong_key() -> None:
    records = paths.records_folder()
    for name, key in (("another", WORDS["other_key"]), ("too short", WORDS["short_key"])):
        os.environ["MAILOAUTH_KEY"] = key
        source = token_source(account(), store=FileStore(records))
        attempt(f"key {name}", source.get, expected="StoreError")
        show(source, FileStore(records))


def leak() -> None:
    """Do everything wrong, so that the test shows that it would have been found."""
    token = token_source(account()).get().value
    logging.getLogger("leak").debug("token %s", token)
    attempt("leak", lambda: _raise(ValueError(f"no {token}")), expected="ValueError")
    attempt("leak pickled", lambda: _raise(MailOAuthError(token)), expected="MailOAuthError")
    keep("reprs.txt", json.dumps({"token": token}))
    print(token)
    print(WORDS["subject"], file=sys.stderr)
    (Path(os.environ["MAILOAUTH_HOME"]) / "leak.json").write_text(token)
    with subprocess.Popen([sys.executable, "-c", "input()", token], stdin=subprocess.PIPE) as child:
        ask("look")
        child.communicate(b"\n")


if __name__ == "__main__":
    signing_in()
    reading_and_sending()
    refused()
    asyncio.run(in_the_other_colour(), debug=True)
    identity_troubles()
    the_app()
    if LEAKING:
        leak()
    wrong_key()
    keep("outcomes.txt", "end")
