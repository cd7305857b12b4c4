"""The iterator of messages, against a connection in memory, and what only servers can show."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailoauth import MailSession
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Reply
from mailoauth.errors import ConnectionFailed, MailboxUnavailable, MailOAuthError, ServerError
from mailoauth.mail.criteria import compile as compile_criteria
from mailoauth.mail.fetched import Fetched
from mailoauth.mail.reading import MessageIterator
from tests.judges import note, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.judges import Judge
    from tests.real.servers import RealServers

ADA = "ada@example.com"


class FakeConnection:
    """A folder with messages, some of which the server cannot give."""

    def __init__(self, uids: Sequence[int], broken: Sequence[int] = ()) -> None:
        self.selected = SimpleNamespace(uid_validity=7)
        self.uids = list(uids)
        self.broken = set(broken)
        self.fetched: list[list[int]] = []

    def search(self, search: object) -> list[int]:
        return list(self.uids)

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        return dict.fromkeys(uids, 100)

    def fetch(self, uids: Sequence[int]) -> list[Fetched]:
        self.fetched.append(list(uids))
        if self.broken & set(uids):
            raise ServerError("NO that message is damaged")
        return [Fetched(uid, note(f"message-{uid}"), (), None, 100) for uid in uids]


class FakeMailbox:
    """What an iterator needs of a mailbox."""

    account = SimpleNamespace(name=ADA)

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.marked: list[int] = []

    def begin(self) -> None: ...

    def in_folder(self, folder: str, verb: Callable[[Any], Any], **options: object) -> Any:
        return verb(self.connection)

    def mark_later(self, folder: str, validity: int, uid: int) -> None:
        self.marked.append(uid)

    def write_marks(self, *arguments: object, **options: object) -> None: ...


def iterator(
    connection: FakeConnection, *, limit: int | None = None, newest_first: bool = False
) -> MessageIterator:
    return MessageIterator(
        cast("Any", FakeMailbox(connection)),
        compile_criteria(),
        folder="INBOX",
        mark_seen=False,
        limit=limit,
        newest_first=newest_first,
    )


def test_one_message_that_the_server_cannot_give_does_not_keep_the_others_back() -> None:
    messages = iterator(FakeConnection(range(1, 6), broken=[3]))
    got, errors = [], 0
    while True:
        try:
            got.append(next(messages).uid)
        except StopIteration:
            break
        except ServerError:
            errors += 1
    assert got == [1, 2, 4, 5]
    assert errors == 1


def test_messages_come_in_batches_and_never_more_than_are_wanted() -> None:
    connection = FakeConnection(range(1, 121))
    assert [message.uid for message in iterator(connection)] == list(range(1, 121))
    assert [len(batch) for batch in connection.fetched] == [50, 50, 20]
    connection = FakeConnection(range(1, 121))
    newest = [message.uid for message in iterator(connection, limit=3, newest_first=True)]
    assert newest == [120, 119, 118]
    assert connection.fetched == [[120, 119, 118]]


def test_every_message_knows_the_validity_of_its_folder() -> None:
    assert {message.uid_validity for message in iterator(FakeConnection([1]))} == {7}


def session(judge: Judge) -> MailSession:
    account = judge.account(ADA)
    return MailSession(account, tokens=signed_in_source(judge, account), timeout=10)


def test_messages_cannot_be_read_after_their_session(judge: Judge) -> None:
    judge.deliver(ADA, note("one"))
    with session(judge) as mail:
        messages = mail.unseen()
    with pytest.raises(ConnectionFailed, match="closed"):
        next(messages)


@pytest.fixture
def emulator() -> Any:
    with OutlookEmulator() as running:
        running.add_user(ADA)
        yield running


def test_a_folder_that_may_only_be_read_is_read(emulator: OutlookEmulator) -> None:
    emulator.deliver(ADA, note("one"))
    emulator.on("imap", "SELECT", Reply("OK [READ-ONLY] SELECT completed."))
    with session(emulator) as mail:
        (message,) = mail.unseen()
        with pytest.raises(MailboxUnavailable, match="reading only"):
            mail.mark_seen(message)
    assert emulator.messages(ADA)[0].flags == frozenset()


def test_a_server_that_is_away_is_not_a_folder_that_is_missing(emulator: OutlookEmulator) -> None:
    emulator.on("imap", "SELECT", Reply("NO Server Unavailable. 15"))
    with session(emulator) as mail, pytest.raises(ServerError) as caught:
        list(mail.unseen())
    assert type(caught.value) is ServerError
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.category == "passing"


def test_a_refused_search_shows_nobody_s_name(
    emulator: OutlookEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.on("imap", "SEARCH", Reply("BAD Command Argument Error. 12"))
    with caplog.at_level("DEBUG"), session(emulator) as mail:
        with pytest.raises(MailOAuthError) as caught:
            list(mail.search(sender="ann.secret@example.com", subject="Layoffs"))
        assert "Command Argument Error" in str(caught.value)
    assert "ann.secret" not in caplog.text + str(caught.value)
    assert "Layoffs" not in caplog.text + str(caught.value)


@pytest.mark.parametrize(
    "bye",
    [
        "* BYE Request is throttled. Suggested Backoff Time: 9000 milliseconds",
        "* BYE Account exceeded command or bandwidth limits.",
    ],
)
def test_a_goodbye_that_asks_to_wait_is_not_answered_at_once(
    emulator: OutlookEmulator, bye: str
) -> None:
    emulator.on("imap", "SEARCH", Reply(bye))
    with session(emulator) as mail, pytest.raises(MailOAuthError) as caught:
        list(mail.unseen())
    assert type(caught.value).__name__ == "Throttled"
    assert len(emulator.connections) == 1


@pytest.mark.real
@pytest.mark.xdist_group("real")
def test_a_message_of_a_rebuilt_folder_marks_nobody_else(real_servers: RealServers) -> None:
    real_servers.clear(ADA)
    real_servers.deliver(ADA, note("old"))
    with session(real_servers) as mail:
        (old,) = mail.unseen()
        real_servers.disconnect("imap")
        second = int(time.time())
        while int(time.time()) == second:  # Dovecot's UIDVALIDITY is the time, in seconds
            time.sleep(0.02)
        real_servers.clear(ADA)
        real_servers.deliver(ADA, note("new"))
        assert [message.subject for message in mail.unseen()] == ["new"]
        with pytest.raises(ConnectionFailed, match="UIDVALIDITY"):
            mail.mark_seen(old)
    assert not any(message.flags for message in real_servers.messages(ADA))


@pytest.mark.real
@pytest.mark.xdist_group("real")
def test_a_long_message_on_a_slow_line_is_bounded_step_by_step(real_servers: RealServers) -> None:
    real_servers.lines["smtp"].resume()
    account = real_servers.account(ADA)
    tokens = signed_in_source(real_servers, account)
    with MailSession(account, tokens=tokens, timeout=2) as mail:
        mail.send(to=ADA, subject="first", text="signs in at full speed")
        real_servers.lines["smtp"].delay = 0.05
        try:
            receipt = mail.send(
                to=ADA, subject="large", text="t", attachments=[("a.bin", bytes(4_000_000))]
            )
        finally:
            real_servers.lines["smtp"].resume()
    assert receipt.accepted == (ADA,)
