"""Bad input to reading and sending: a clear error, nothing sent, and the session goes on."""

from __future__ import annotations

from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth import Address, Mailbox, Mailer, StaticToken
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import ConfigError, FolderNotFound, MailOAuthError
from tests.judges import note
from tests.session_colours import ADA, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.judges import Colour, Judge

BOB = "bob@example.com"
INJECTED = "Bcc: eve@example.org"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture(scope="module")
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as made:
        made.add_user(ADA)
        made.add_user(BOB)
        made.deliver(ADA, note("unread"))
        yield made


def refused(emulator: OutlookEmulator, colour: Colour, *message: Any, **parts: Any) -> ConfigError:
    """Try to send, and return the error: nothing was sent nor asked, and the next one is."""
    connections, sent = len(emulator.connections), len(emulator.sent)
    with session_of(emulator, colour) as mail:
        with pytest.raises(ConfigError) as caught:
            mail.send(*message, **parts)
        assert (len(emulator.connections), len(emulator.sent)) == (connections, sent)
        mail.send(to=BOB, subject="good", text="text")
    assert len(emulator.sent) == sent + 1
    assert isinstance(caught.value, ValueError)
    readable(caught.value)
    return caught.value


def readable(error: MailOAuthError) -> None:
    """A terminal obeys control characters, and a person wants sentences."""
    text = str(error)
    assert text.isprintable(), text
    assert text.endswith((".", "]", ")")), text


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "sender"])
@pytest.mark.parametrize("address", ["bob", "bob@", "@example.com", "<>", "a@b@c", ["bob"]])
def test_what_is_not_an_address_is_refused(
    emulator: OutlookEmulator, field: str, address: object
) -> None:
    error = refused(emulator, "sync", **{"to": BOB, "text": "t", field: address})
    assert "is not a mail address" in error.message
    assert "ada@example.com" in error.remedy


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "sender"])
@pytest.mark.parametrize(
    "address",
    [
        f"{BOB}\r\n{INJECTED}",
        f"{BOB}\n{INJECTED}",
        f"{BOB}\0",
        f"Bob\r\n{INJECTED} <{BOB}>",
        Address(f"Bob\r\n{INJECTED}", BOB),
        Address("Bob", f"{BOB}\r\n{INJECTED}"),
        [BOB, f"{BOB}\x0b"],
    ],
)
def test_a_control_character_in_an_address_never_begins_another_header(
    emulator: OutlookEmulator, field: str, address: object
) -> None:
    error = refused(emulator, "sync", **{"to": BOB, "text": "t", field: address})
    assert "line break or another control character" in error.message
    assert "Nothing was sent" in error.remedy
    assert "eve" not in str(error)


@pytest.mark.parametrize(
    "separator", ["\r\n", "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\u2029"]
)
def test_a_control_character_in_a_subject_or_header_is_refused(
    emulator: OutlookEmulator, colour: Colour, separator: str
) -> None:
    text = f"Report{separator}{INJECTED}"
    for parts in ({"subject": text}, {"headers": {"X-Note": text}}, {"in_reply_to": text}):
        error = refused(emulator, colour, to=BOB, text="t", **parts)
        assert "line break or another control character" in error.message
        assert "eve" not in str(error)
    named = refused(emulator, colour, to=BOB, text="t", headers={f"X{separator}Y": "z"})
    assert "is not the name of a header" in named.message


def test_a_standard_message_with_a_smuggled_header_is_refused(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    from email.mime.text import MIMEText

    message = MIMEText("text")
    message["From"], message["To"] = ADA, BOB
    message["Subject"] = f"Report\r\n{INJECTED}"
    refused(emulator, colour, message)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("From: ada@example.com", "not str"),
        (5, "not int"),
        (b"", "no recipients"),
        (b"Subject: to nobody\r\n\r\ntext\r\n", "no recipients"),
        (EmailMessage(), "no recipients"),
    ],
)
def test_what_is_not_a_message_to_somebody_is_refused(
    emulator: OutlookEmulator, colour: Colour, message: object, said: str
) -> None:
    assert said in refused(emulator, colour, message).message


@pytest.mark.parametrize("nobody", [(), "", [], ","])
def test_empty_recipients_are_refused(
    emulator: OutlookEmulator, colour: Colour, nobody: object
) -> None:
    error = refused(emulator, colour, to=nobody, subject="s", text="t")
    assert error.message == "The message has no recipients, so nothing was sent."
    assert error.remedy == "Give it a to, cc or bcc."


def test_an_attachment_that_does_not_exist_is_named(
    emulator: OutlookEmulator, colour: Colour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "report.pdf"
    error = refused(emulator, colour, to=BOB, text="t", attachments=[missing])
    assert error.message == f"There is no file {missing} to attach, so nothing was sent."
    monkeypatch.chdir(tmp_path)
    error = refused(emulator, colour, to=BOB, text="t", attachments=["report.pdf"])
    assert str(tmp_path) in error.remedy


def test_other_attachments_that_cannot_be_are_refused(
    emulator: OutlookEmulator, tmp_path: Path
) -> None:
    for attachments, said in (
        ([tmp_path], "is a folder"),
        ([""], "is empty"),
        (["/etc/\0"], "cannot be attached"),
        ("report.pdf", "not a list"),
        ([5], "type int"),
        ([(f"a\r\n{INJECTED}", b"x")], "control character"),
    ):
        error = refused(emulator, "sync", to=BOB, text="t", attachments=attachments)
        assert said in error.message


def test_text_that_is_bytes_or_not_text_is_refused(emulator: OutlookEmulator) -> None:
    assert "as bytes" in refused(emulator, "sync", to=BOB, text=b"text").message
    assert "not text" in refused(emulator, "sync", to=BOB, html="\ud800").message


# Folders.


@pytest.mark.parametrize(
    "folder", ["No such folder", "Entwürfe", "INBOX/../x", '"', "\\", "*", "a" * 300]
)
def test_a_folder_that_does_not_exist_is_named_and_the_session_goes_on(
    judge: Judge, colour: Colour, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    judge.deliver(ADA, note("unread"))
    with session_of(judge, colour) as mail:
        with pytest.raises(FolderNotFound) as caught:
            list(mail.unseen(folder=folder, mark_seen=True))
        readable(caught.value)
        assert f'"{folder}"' in caught.value.message
        assert "Check its name" in caught.value.remedy
        assert [message.subject for message in mail.unseen()] == ["unread"]
    assert not [one for one in caplog.records if one.name.startswith("imapclient")]
    assert judge.token_requests == [] or not isinstance(judge, OutlookEmulator)


@pytest.mark.parametrize("folder", ["", "INBOX\r\nT1 DELETE Archive", "INBOX\0", "\ud800", 5, None])
def test_a_folder_that_cannot_be_one_never_reaches_the_server(
    emulator: OutlookEmulator, colour: Colour, folder: Any
) -> None:
    connections = len(emulator.connections)
    with session_of(emulator, colour) as mail:
        for verb in (mail.unseen, mail.search):
            with pytest.raises(ConfigError, match="folder is") as caught:
                verb(folder=folder)
            readable(caught.value)
        assert len(emulator.connections) == connections
        assert [message.subject for message in mail.unseen()] == ["unread"]


# Tokens and mailboxes.


@pytest.mark.parametrize(
    "token", ["secret-token\n", "secret\r\nT1 LOGOUT", "secret-tökén", "", "secret\0"]
)
def test_a_token_that_cannot_be_one_never_reaches_the_server(
    judge: Judge, colour: Colour, token: str
) -> None:
    with session_of(judge, colour, tokens=StaticToken(token)) as mail:
        for verb in (lambda: list(mail.unseen()), lambda: mail.send(to=BOB, text="t")):
            with pytest.raises(ConfigError, match="access token") as caught:
                verb()
            readable(caught.value)
            assert "secret" not in str(caught.value)
    if isinstance(judge, OutlookEmulator):
        said = {command for one in judge.connections for command in one.commands}
        assert said.isdisjoint({"AUTHENTICATE", "AUTH", "MAIL"})


@pytest.mark.parametrize(
    "address", ["team", "team@", "", "team@example.com\r\nX: y", "a b@c.example"]
)
def test_a_mailbox_that_is_no_address_is_refused_before_anything_is_asked(
    emulator: OutlookEmulator, colour: Colour, address: str
) -> None:
    for make in (Mailbox, Mailer):
        with pytest.raises(ConfigError, match="mailbox") as caught:
            make(emulator.account(ADA), mailbox=address)
        readable(caught.value)
    with pytest.raises(ConfigError):
        session_of(emulator, colour, mailbox=address)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
@pytest.mark.parametrize("which", ["timeout", "deadline"])
def test_a_time_that_is_none_is_refused(
    emulator: OutlookEmulator, which: str, seconds: float
) -> None:
    for make in (Mailbox, Mailer):
        options: Any = {which: seconds}
        with pytest.raises(ConfigError, match=which):
            make(emulator.account(ADA), **options)
