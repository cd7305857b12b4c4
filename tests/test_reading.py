"""The iterator of messages, against a connection in memory, and what only servers can show."""

from __future__ import annotations

import time
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mailoauth import MailSession
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Reply
from mailoauth.errors import ConnectionFailed, MailOAuthError, ServerError
from mailoauth.mail import batches, fetching
from mailoauth.mail.criteria import compile as compile_criteria
from mailoauth.mail.reading import MessageIterator
from mailoauth.mail.verdicts import LineLost
from tests.judges import note, signed_in_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailoauth.mail.answers import Items
    from mailoauth.mail.commands import Fetch
    from tests.judges import Judge
    from tests.real.servers import RealServers

ADA = "ada@example.com"


class FakeConnection:
    """A folder with messages, some of which the server cannot give, on a line that may end."""

    def __init__(self, uids: Sequence[int], broken: Sequence[int] = ()) -> None:
        self.selected = SimpleNamespace(folder="INBOX", uid_validity=7)
        self.uids = list(uids)
        self.broken = set(broken)
        self.asked: list[list[int]] = []
        self.under_way: deque[Fetch] = deque()
        self.given: dict[Fetch, set[int]] = {}
        self.responses_left = 10**9  # then the line is lost
        self.size = 100
        self.hides_sizes = False

    def search(self, search: object) -> list[int]:
        return list(self.uids)

    def start(self, fetch: Fetch) -> None:
        if fetch.key != "size":
            self.asked.append(fetch.uids)
        self.under_way.append(fetch)

    def wait(self, fetch: Fetch) -> None:
        while not (fetch.ready or fetch.over):
            self.respond()

    def respond(self) -> None:
        """Answer a message of the FETCH that was sent first, or its end."""
        if not self.responses_left:
            raise LineLost("the line is gone")
        self.responses_left -= 1
        fetch = self.under_way[0]
        given = self.given.setdefault(fetch, set())
        todo = [uid for uid in sorted(fetch.asked) if uid in self.uids and uid not in given]
        if fetch.key == "size" and self.hides_sizes:
            self.under_way.popleft()
            fetch.end(b"NO", "no sizes")
            return
        if todo and not self.broken & set(todo):
            fetch.take_items(self.response(fetch, todo[0]))
            given.add(todo[0])
            return
        self.under_way.popleft()
        fetch.end(*((b"NO", "that message is damaged") if todo else (b"OK", "done")))

    def response(self, fetch: Fetch, uid: int) -> Items:
        if fetch.key == "size":
            return {"uid": uid, "size": self.size}
        return {"uid": uid, fetch.key: note(f"message-{uid}")}

    def check(self, fetch: Fetch) -> None:
        if fetch.refused:
            raise ServerError("NO that message is damaged")


class FakeMailbox:
    """What an iterator needs of a mailbox."""

    account = SimpleNamespace(name=ADA)
    address = ADA

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.marked: list[int] = []

    def begin(self) -> None: ...

    def in_folder(self, folder: str, verb: Callable[[Any], Any], **options: object) -> Any:
        try:
            return verb(self.connection)
        except LineLost:
            self.connection = self.reconnected()
            return verb(self.connection)

    def reconnected(self) -> FakeConnection:
        return FakeConnection(self.connection.uids, tuple(self.connection.broken))

    def resume(self, connection: object, verb: Callable[[Any], Any], deadline: object) -> Any:
        if connection is not self.connection:
            raise LineLost("the line is another one")
        return verb(self.connection)

    def mark_later(self, folder: str, validity: int, uid: int) -> None:
        self.marked.append(uid)

    def write_marks(self, *arguments: object, **options: object) -> None: ...


def iterator(
    connection: FakeConnection,
    *,
    limit: int | None = None,
    newest_first: bool = False,
    headers_only: bool = False,
) -> MessageIterator:
    return MessageIterator(
        cast("Any", FakeMailbox(connection)),
        compile_criteria(),
        folder="INBOX",
        mark_seen=False,
        limit=limit,
        newest_first=newest_first,
        headers_only=headers_only,
    )


@pytest.fixture(params=[0, 1, 3], ids=lambda ahead: f"{ahead} ahead")
def _ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "AHEAD", request.param)


@pytest.mark.usefixtures("_ahead")
@pytest.mark.parametrize("headers_only", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("broken", [[uid] for uid in range(1, 8)] + [[2, 5], list(range(1, 8))])
def test_messages_that_the_server_cannot_give_do_not_keep_the_others_back(
    broken: list[int], newest_first: bool, headers_only: bool
) -> None:
    messages = iterator(
        FakeConnection(range(1, 8), broken), newest_first=newest_first, headers_only=headers_only
    )
    got: list[int] = []
    with pytest.raises(ServerError, match=f"UID {broken[-1 if newest_first else 0]} in"):
        got.extend(message.uid for message in messages)
    wanted = [uid for uid in range(1, 8) if uid not in broken]
    assert got == (wanted[::-1] if newest_first else wanted)
    assert sorted(messages.failed) == broken
    assert list(messages) == []


@pytest.mark.usefixtures("_ahead")
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("responses", range(2, 40))
def test_a_line_that_is_lost_anywhere_loses_and_doubles_nothing(
    responses: int, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_OCTETS", 300)
    connection = FakeConnection([*range(1, 6), *range(9, 20)])
    connection.responses_left = responses
    messages = iterator(connection, newest_first=newest_first)
    got = [message.uid for message in messages]
    assert got == (connection.uids[::-1] if newest_first else connection.uids)


def test_messages_come_in_batches_and_never_more_than_are_wanted() -> None:
    connection = FakeConnection(range(1, 1201))
    assert [message.uid for message in iterator(connection)] == list(range(1, 1201))
    assert [len(batch) for batch in connection.asked] == [1, 500, 500, 199]
    connection = FakeConnection(range(1, 121))
    newest = [message.uid for message in iterator(connection, limit=3, newest_first=True)]
    assert newest == [120, 119, 118]
    assert connection.asked == [[120], [119, 118]]


def test_whoever_wants_one_message_is_sent_one() -> None:
    connection = FakeConnection(range(1, 1201))
    messages = iterator(connection)
    assert next(messages).uid == 1
    assert connection.asked == [[1]]
    assert messages.total == 1200


def test_large_messages_make_small_batches() -> None:
    connection = FakeConnection(range(1, 7))
    connection.size = 3 * 1024 * 1024
    assert len(list(iterator(connection))) == 6
    assert [len(batch) for batch in connection.asked] == [1] * 6


def test_messages_of_unknown_size_come_one_by_one() -> None:
    connection = FakeConnection(range(1, 7))
    connection.hides_sizes = True
    assert len(list(iterator(connection))) == 6
    assert [len(batch) for batch in connection.asked] == [1] * 6


def test_a_message_that_has_gone_meanwhile_is_left_out() -> None:
    connection = FakeConnection(range(1, 10))
    messages = iterator(connection)
    first = next(messages).uid
    connection.uids.remove(4)
    assert [first, *(message.uid for message in messages)] == [1, 2, 3, 5, 6, 7, 8, 9]


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
