"""Django sends through mailoauth: ``EMAIL_BACKEND = "mailoauth.django.EmailBackend"``."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from email.mime.text import MIMEText
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from django.core import mail

from mailoauth import Message
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut
from mailoauth.errors import (
    ConfigError,
    DeliveryUnknown,
    RecipientsRefused,
    SendingDisabled,
    Throttled,
)
from tests.cli_world import ADA, ROOT, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message as StandardMessage

    from mailoauth.emulator.records import SentMessage

BOB = "bob@example.org"
TEAM = "team@example.com"
BACKEND = "mailoauth.django.EmailBackend"
#: Since Django 6.1 EMAIL_BACKEND is one of several mailers, and deprecated.
HAS_MAILERS = django.VERSION >= (6, 1)


@pytest.fixture(autouse=True, scope="module")
def _django() -> None:
    # Once for the process: nothing else in it uses Django.
    if not settings.configured:
        settings.configure(DEFAULT_FROM_EMAIL=ADA, SERVER_EMAIL=f"Server <{ADA}>")


@pytest.fixture
def outlook(capsys: pytest.CaptureFixture[str]) -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as emulator:
        World(emulator, capsys).sign_in()
        emulator.add_user(TEAM)
        yield emulator


@pytest.fixture(autouse=True)
def _ada_sends() -> Iterator[None]:
    with sending_by(account=ADA, timeout=3.0):
        yield


@contextmanager
def sending_by(**options: Any) -> Iterator[None]:
    """Let the settings say how mail is sent, as each Django has it."""
    from django.test.utils import override_settings

    if HAS_MAILERS:
        chosen: dict[str, Any] = {"MAILERS": {"default": {"BACKEND": BACKEND, "OPTIONS": options}}}
    else:
        ours = {f"MAILOAUTH_{name.upper()}": value for name, value in options.items()}
        chosen = {"EMAIL_BACKEND": BACKEND, **ours}
    with override_settings(**chosen):
        yield


def backend(**options: Any) -> Any:
    from mailoauth.django import EmailBackend

    return EmailBackend(account=ADA, timeout=3.0, **options)


def only(outlook: OutlookEmulator) -> tuple[SentMessage, Message]:
    (sent,) = outlook.sent
    return sent, Message.from_bytes(sent.raw)


def texts_of(message: Message) -> tuple[str, str]:
    return message.text.rstrip(), (message.html or "").rstrip()  # Django 6 ends their last lines


def to_bob(subject: str = "Hello", **more: Any) -> Any:
    return mail.EmailMessage(subject, "A text.", ADA, [BOB], **more)


def smtp_connections(outlook: OutlookEmulator) -> int:
    return sum(one.protocol == "smtp" for one in outlook.connections)


# What is sent.


def test_send_mail_sends(outlook: OutlookEmulator) -> None:
    assert mail.send_mail("Grüße", "Ein schöner Tag.\n.\nEnde", None, [f"Bob <{BOB}>"]) == 1
    sent, message = only(outlook)
    assert (sent.envelope_from, sent.recipients) == (ADA, (BOB,))
    assert message.subject == "Grüße"
    assert texts_of(message) == ("Ein schöner Tag.\n.\nEnde", "")
    assert b"\n" not in sent.raw.replace(b"\r\n", b"")


def test_alternatives_attachments_and_bcc_arrive(outlook: OutlookEmulator) -> None:
    message = mail.EmailMultiAlternatives(
        "Report",
        "plain",
        f"Ada Löwe <{ADA}>",
        [f"Bob <{BOB}>", f"bob again <{BOB}>"],
        bcc=["hidden@example.org"],
        cc=["Zoë <zoe@bücher.example>"],
        reply_to=["desk@example.com"],
        headers={"X-Tag": "red", "Message-ID": "<drawn@example.com>"},
    )
    message.attach_alternative("<p>html</p>", "text/html")
    message.attach("Übersicht.pdf", b"%PDF\r\n\x00\xff", "application/pdf")
    message.attach("notes.txt", "läuft\n", "text/plain")
    assert message.send() == 1
    sent, got = only(outlook)
    assert sent.recipients == (BOB, "zoe@xn--bcher-kva.example", "hidden@example.org")
    assert b"hidden" not in sent.raw
    assert texts_of(got) == ("plain", "<p>html</p>")
    assert got.message_id == "<drawn@example.com>"
    assert [(one.filename, one.content) for one in got.attachments] == [
        ("Übersicht.pdf", b"%PDF\r\n\x00\xff"),
        ("notes.txt", "läuft\r\n".encode()),
    ]
    assert (str(got.sender), got.headers["X-Tag"]) == (f"Ada Löwe <{ADA}>", "red")


def test_the_envelope_has_the_from_email_and_not_the_header(outlook: OutlookEmulator) -> None:
    outlook.share(TEAM, with_user=ADA)
    assert to_bob(headers={"From": f"The team <{TEAM}>"}).send() == 1
    sent, message = only(outlook)
    assert (sent.envelope_from, str(message.sender)) == (ADA, f"The team <{TEAM}>")


def test_the_admins_get_mail(outlook: OutlookEmulator) -> None:
    from django.test.utils import override_settings

    admins = [BOB] if django.VERSION >= (6,) else [("Bob", BOB)]
    with override_settings(ADMINS=admins):
        mail.mail_admins("Trouble", "at the mill", html_message="<p>at the mill</p>")
    sent, message = only(outlook)
    assert (sent.envelope_from, sent.recipients) == (ADA, (BOB,))
    assert message.subject == "[Django] Trouble"
    assert texts_of(message) == ("at the mill", "<p>at the mill</p>")


def test_a_message_that_a_program_made_itself_is_sent(outlook: OutlookEmulator) -> None:
    """Packages that sign or encrypt override ``message()``, with classes of their own."""

    class Signed(mail.EmailMessage):  # type: ignore[misc]  # Django has no types
        def message(self, **_options: Any) -> StandardMessage:
            made = MIMEText("signed")
            made["Subject"] = "Signed"
            return made

    assert Signed(to=[BOB]).send() == 1
    assert only(outlook)[1].subject == "Signed"


def test_mail_from_another_mailbox_has_its_address_where_a_message_has_none(
    outlook: OutlookEmulator,
) -> None:
    outlook.share(TEAM, with_user=ADA)
    with sending_by(account=ADA, mailbox=TEAM):
        assert mail.send_mail("Hello", "A text.", TEAM, [BOB]) == 1
    assert only(outlook)[0].envelope_from == TEAM


def test_many_messages_go_over_one_connection(outlook: OutlookEmulator) -> None:
    texts = [(f"number {number}", "A text.", ADA, [BOB]) for number in range(5)]
    assert mail.send_mass_mail(texts) == 5
    subjects = [Message.from_bytes(sent.raw).subject for sent in outlook.sent]
    assert subjects == [f"number {number}" for number in range(5)]
    assert smtp_connections(outlook) == 1


def test_a_message_without_recipients_is_not_sent_and_not_counted(outlook: OutlookEmulator) -> None:
    messages = [mail.EmailMessage("nobody", "A text.", ADA, []), to_bob()]
    assert backend().send_messages(messages) == 1
    assert backend().send_messages([]) == 0
    assert len(outlook.sent) == 1


# Connections.


def test_connections_outlive_the_backend_that_made_them(outlook: OutlookEmulator) -> None:
    for number in range(3):
        assert mail.send_mail(f"number {number}", "A text.", ADA, [BOB]) == 1
    with backend() as connection:
        assert connection.send_messages([to_bob()]) == 1
    assert smtp_connections(outlook) == 1


def test_open_says_whether_something_was_opened(outlook: OutlookEmulator) -> None:
    connection = backend()
    assert (connection.open(), connection.open()) == (True, False)
    assert outlook.connections == []  # it connects at the first message
    connection.close()
    assert connection.open() is True


def test_threads_share_the_connections(outlook: OutlookEmulator) -> None:
    counts: list[int] = []

    def send() -> None:
        counts.extend(mail.send_mail("Hello", "A text.", ADA, [BOB]) for _ in range(4))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(counts), len(outlook.sent)) == (24, 24)
    assert smtp_connections(outlook) <= 3  # what the provider allows at a time


_PROGRAM = """
import os, sys
from django.conf import settings
settings.configure()
from django.core import mail
from mailoauth.django import EmailBackend

connection = EmailBackend(account=sys.argv[1])
connection.open()

def send(subject):
    message = mail.EmailMessage(subject, "A text.", sys.argv[1], [sys.argv[2]])
    assert connection.send_messages([message]) == 1

send("parent")
"""


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _PROGRAM + code, ADA, BOB],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_worker_sends_with_a_mailer_of_its_own(outlook: OutlookEmulator) -> None:
    run("""
import mailoauth.django
with mailoauth.django._lock:  # as a thread of the parent may at that moment
    child = os.fork()
    if not child:
        send("child")
        sys.exit()  # as a server's worker does: its goodbyes are not the parent's
assert os.waitpid(child, 0)[1] == 0
send("parent again")
""")
    subjects = [Message.from_bytes(sent.raw).subject for sent in outlook.sent]
    assert subjects == ["parent", "child", "parent again"]
    assert smtp_connections(outlook) == 2


def test_a_program_says_goodbye_at_its_end(outlook: OutlookEmulator) -> None:
    run("")
    (connection,) = [one for one in outlook.connections if one.protocol == "smtp"]
    assert connection.commands[-1] == "QUIT"


# What goes wrong.


def test_the_first_failure_ends_the_run(outlook: OutlookEmulator) -> None:
    outlook.refuse_recipient("nobody@example.org", "550 5.1.1 no such user")
    messages = [to_bob("one"), mail.EmailMessage("two", "", ADA, ["nobody@example.org"]), to_bob()]
    with pytest.raises(RecipientsRefused, match=r"550 5\.1\.1 no such user"):
        backend().send_messages(messages)
    assert only(outlook)[1].subject == "one"


def test_failing_silently_goes_on_and_names_no_correspondents(
    outlook: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    outlook.refuse_recipient("nobody@example.org", "550 5.1.1 no such user")
    messages = [to_bob("one"), mail.EmailMessage("two", "", ADA, ["nobody@example.org"]), to_bob()]
    with caplog.at_level(logging.WARNING, "mailoauth"):
        assert backend(fail_silently=True).send_messages(messages) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{ADA}: sending a message failed: RecipientsRefused 550"
    ]
    assert len(outlook.sent) == 2


def test_some_recipients_refused_is_sent_and_logged(
    outlook: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    outlook.refuse_recipient("nobody@example.org", "550 5.1.1 nobody@example.org: no such user")
    message = mail.EmailMessage("one", "", ADA, [BOB, "nobody@example.org"])
    with caplog.at_level(logging.WARNING, "mailoauth"):
        assert message.send() == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{ADA}: 1 of 2 recipients of {only(outlook)[1].message_id} were refused (550)"
    )


def test_a_sender_that_is_not_ours_is_explained(outlook: OutlookEmulator) -> None:
    with pytest.raises(SendingDisabled, match="webmaster@localhost"):
        mail.send_mail("Hello", "A text.", "webmaster@localhost", [BOB])


def test_throttling_is_told_and_not_waited_out(outlook: OutlookEmulator) -> None:
    outlook.throttle("smtp")
    with pytest.raises(Throttled):
        to_bob().send()
    assert to_bob().send() == 1


def test_an_unknown_outcome_is_told_and_nothing_sent_twice(
    outlook: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    outlook.on("smtp", ".", Cut(carried_out=True), times=2)
    with pytest.raises(DeliveryUnknown):
        to_bob().send()
    with caplog.at_level(logging.WARNING, "mailoauth.django"):
        silent = backend(fail_silently=True)
        assert silent.send_messages([to_bob(headers={"Message-ID": "<lost@example.com>"})]) == 0
    assert caplog.messages == [
        f"{ADA}: sending a message failed: DeliveryUnknown <lost@example.com>"
    ]
    assert len(outlook.sent) == 2


@pytest.mark.parametrize("field", ["subject", "from_email", "to", "bcc", "headers"])
@pytest.mark.parametrize("fail_silently", [False, True])
def test_nobody_injects_a_header(
    outlook: OutlookEmulator, field: str, *, fail_silently: bool
) -> None:
    abused = f"{ADA}\nBcc: eve@example.org"
    value: Any = {"to": [abused], "bcc": [abused], "headers": {"X-Tag": abused}}.get(field, abused)
    message = mail.EmailMessage(**{"subject": "x", "from_email": ADA, "to": [BOB], field: value})
    connection = backend(fail_silently=fail_silently)
    if fail_silently and field == "bcc":  # no header: we find out, and not Django
        assert connection.send_messages([message]) == 0
    else:
        with pytest.raises(ValueError, match=r"(?i)newline|is not a mail address|line ?feed"):
            connection.send_messages([message])
    assert outlook.sent == []


@pytest.mark.parametrize("address", ["bob", "bob@example.org, eve@example.org", "", "<>", "a@b@c"])
def test_what_is_no_address_is_refused_before_anything_is_sent(
    outlook: OutlookEmulator, address: str
) -> None:
    message = mail.EmailMessage("x", "", ADA, [BOB], bcc=[address])
    if not address:
        assert message.send() == 1  # Django leaves it out
        return
    with pytest.raises(ConfigError, match="is not a mail address"):
        message.send()
    assert outlook.sent == []


def test_an_account_that_is_not_known_fails_at_opening(
    outlook: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    from mailoauth.django import EmailBackend

    with pytest.raises(ConfigError, match=r"There is no account 'eve@example\.com'"):
        EmailBackend(account="eve@example.com").open()
    silent = EmailBackend(account="eve@example.com", fail_silently=True)
    assert silent.open() is None
    assert silent.send_messages([to_bob()]) == 0
    assert caplog.messages == ["eve@example.com: sending a message failed: ConfigError"] * 2


def test_settings_without_an_account_are_refused() -> None:
    from mailoauth.django import EmailBackend

    with sending_by(account=None), pytest.raises(ConfigError, match="MAILOAUTH_ACCOUNT"):
        EmailBackend()


def test_a_user_and_a_password_are_refused(outlook: OutlookEmulator) -> None:
    with pytest.raises(ConfigError, match="username and password"):
        backend(username="eve@example.com", password="secret")
    assert backend(username="", password="").send_messages([to_bob()]) == 1


def test_the_settings_are_the_options(outlook: OutlookEmulator) -> None:
    from django.test.utils import override_settings

    from mailoauth.django import EmailBackend

    outlook.share(TEAM, with_user=ADA)
    with override_settings(MAILOAUTH_ACCOUNT=ADA, MAILOAUTH_DEADLINE=-1):
        with pytest.raises(ConfigError, match="deadline is -1"):
            EmailBackend().open()
        with pytest.raises(ConfigError, match="timeout is -2"):
            EmailBackend(deadline=1, timeout=-2).open()
        assert EmailBackend(deadline=10).send_messages([to_bob()]) == 1


def test_the_settings_mailbox_is_the_settings_accounts(outlook: OutlookEmulator) -> None:
    from django.test.utils import override_settings

    from mailoauth.django import EmailBackend

    with override_settings(MAILOAUTH_ACCOUNT=ADA, MAILOAUTH_MAILBOX="broken"):
        with pytest.raises(ConfigError, match="mailbox 'broken'"):
            EmailBackend().open()
        assert EmailBackend(account=ADA).open() is True


def test_the_settings_that_the_readme_shows_work(outlook: OutlookEmulator) -> None:
    from django.test.utils import override_settings

    readme = (ROOT / "samples" / "README.md").read_text(encoding="utf-8")
    new, old = re.findall(r"```python\n(.*?mailoauth\.django.*?)```", readme, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(new if HAS_MAILERS else old, {}, shown)
    with override_settings(**shown):
        assert mail.send_mail("Hello", "A text.", None, [BOB]) == 1
    assert only(outlook)[0].envelope_from == ADA


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_an_option_that_we_do_not_know_is_named() -> None:
    with (
        sending_by(account=ADA, acount="typo"),
        pytest.raises(mail.InvalidMailer, match="'acount'"),
    ):
        mail.mailers.default  # noqa: B018 - it is made there


@pytest.mark.skipif(not HAS_MAILERS, reason="before Django 6.1 it is the only way")
def test_the_setting_that_mailers_replace_works_too(outlook: OutlookEmulator) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _OLD_WAY, ADA, BOB],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert len(outlook.sent) == 1


_OLD_WAY = f"""
import sys
from django.conf import settings
settings.configure(EMAIL_BACKEND={BACKEND!r}, MAILOAUTH_ACCOUNT=sys.argv[1])
from django.core.mail import send_mail
print(send_mail("Hello", "A text.", sys.argv[1], [sys.argv[2]], fail_silently=True))
"""
