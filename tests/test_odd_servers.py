"""Answers that no good server gives, and lines that end where they should not."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator.certificates import Certificates
from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    MailboxUnavailable,
    MailOAuthError,
    ServerError,
    Throttled,
)
from mailoauth.mail import wire
from tests.judges import note
from tests.scripted_imap import ScriptedImap, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailoauth.mail.mailbox import Mailbox

Answer = tuple[bytes, str | None] | None


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


def literal(uid: int, raw: bytes, length: int | None = None) -> bytes:
    said = len(raw) if length is None else length
    return f"* {uid} FETCH (UID {uid} BODY[] {{{said}}}\r\n".encode() + raw + b")\r\n"


def mail_of(subjects: dict[int, str], fetch: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """Return a script with these messages, whose FETCH of messages is the test's business."""

    def script(command: str) -> Answer:
        if command.startswith("UID SEARCH"):
            return f"* SEARCH {' '.join(map(str, subjects))}\r\n".encode(), "OK done"
        if command.endswith("(UID RFC822.SIZE)"):
            lines = (f"* {uid} FETCH (UID {uid} RFC822.SIZE 100)\r\n" for uid in subjects)
            return "".join(lines).encode(), "OK done"
        return fetch(command) if "BODY.PEEK[]" in command else plain(command)

    return script


def subjects(mailbox: Mailbox) -> list[str]:
    return [message.subject for message in mailbox.search()]


def uids_of(command: str) -> list[int]:
    found: list[int] = []
    for run in command.split()[2].split(","):
        first, _, last = run.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


MAIL = {1: "one", 2: "two", 3: "three"}


def fetched_of(mail: dict[int, str], command: str) -> Answer:
    return b"".join(literal(uid, note(mail[uid])) for uid in uids_of(command)), "OK done"


def good(command: str) -> Answer:
    return fetched_of(MAIL, command)


def test_a_first_read_takes_three_commands_and_two_more_for_the_rest(
    certificates: Certificates,
) -> None:
    with ScriptedImap(certificates, mail_of(MAIL, good)) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["one", "two", "three"]
        assert [" ".join(command.split()[:3]) for command in server.commands] == [
            'SELECT "INBOX"',
            "UID SEARCH ALL",
            "UID FETCH 1",
            "UID FETCH 2:3",
            "UID FETCH 2:3",
        ]


@pytest.mark.parametrize(
    "response",
    [
        literal(7, note("somebody else's")),
        b"* 1 FETCH (FLAGS (\\Seen))\r\n",
        b"* 1 FETCH (UID NIL BODY[] NIL)\r\n",
        b"* 1 FETCH (UID 1 FLAGS NIL INTERNALDATE NIL RFC822.SIZE NIL BODY[] NIL)\r\n",
        b"* 1 FETCH (UID 1 BODY[TEXT] {4}\r\nabcd)\r\n",
        b"* 3 EXISTS\r\n* 2 RECENT\r\n* OK [ALERT] Maintenance tonight\r\n* NO hm\r\n* XNOISE (\r\n",
        b"+ idling\r\n",
        b"* SEARCH 9 8 7\r\n",
    ],
)
def test_noise_is_no_message(certificates: Certificates, response: bytes) -> None:
    def fetch(command: str) -> Answer:
        before, reply = good(command) or (b"", None)
        if uids_of(command) == [1]:
            return response, "OK done"
        return response + before, reply

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["two", "three"]


@pytest.mark.parametrize(
    "response",
    [
        literal(1, note("one"), 10),  # longer than announced
        literal(1, note("one"), 60),
        b"* 1 FETCH (UID 1 BODY[] {2147483648}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {-1}\r\n",
        b"* 1 FETCH (UID 1 BODY[] \r\n",
        b"* 1 FETCH (UID 1 BODY[] (((((((((((((((\r\n",
        b"* 1 FETCH (UID one BODY[] NIL)))\r\n",
        b"* 1 FETCH ()()\r\n",
        b"garbage\r\n",
        b"ZZZ9 OK another's tag\r\n",
        b"\r\n",
        b"\x00\xff\xfe\r\n",
        b"* SEARCH one two\r\n" * 2 + b"* 1 FETCH (\r\n",
    ],
)
def test_what_is_not_imap_is_an_error_and_no_message(
    certificates: Certificates, response: bytes
) -> None:
    with (
        ScriptedImap(certificates, mail_of(MAIL, lambda _: (response, "OK done"))) as server,
        server.mailbox(timeout=1.0) as mailbox,
        pytest.raises(ConnectionFailed) as caught,
    ):
        subjects(mailbox)
    assert "one@example.com" not in str(caught.value)


def test_a_message_that_is_cut_short_is_asked_for_again(certificates: Certificates) -> None:
    cut = [True]

    def fetch(command: str) -> Answer:
        if cut.pop() if cut else False:
            return None
        return good(command)

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["one", "two", "three"]
        assert server.connections == 2


@pytest.mark.parametrize("reply", [None, "nothing at all"])
def test_silence_ends_with_the_timeout(certificates: Certificates, reply: str | None) -> None:
    with (
        ScriptedImap(certificates, mail_of(MAIL, lambda _: (b"", None))) as server,
        server.mailbox(timeout=0.3, deadline=None if reply else 0.3) as mailbox,
        pytest.raises(ConnectionTimedOut),
    ):
        subjects(mailbox)


def test_messages_in_any_order_come_out_in_order(certificates: Certificates) -> None:
    def fetch(command: str) -> Answer:
        pieces = [literal(uid, note(MAIL[uid])) for uid in reversed(uids_of(command))]
        return b"".join(pieces), "OK done"

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["one", "two", "three"]
        newest = [message.uid for message in mailbox.search(newest_first=True)]
        assert newest == [3, 2, 1]


def test_a_message_may_come_in_several_responses(certificates: Certificates) -> None:
    def fetch(command: str) -> Answer:
        lines = [
            f"* {uid} FETCH (UID {uid} FLAGS (\\Seen) MODSEQ (12))\r\n".encode()
            + b'* 9 FETCH (X-GM-LABELS ("a (b" {3}\r\nabc \\Inbox) UID 9)\r\n'
            + literal(uid, note(MAIL[uid]))
            for uid in uids_of(command)
        ]
        return b"".join(lines), "OK done"

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        found = list(mailbox.search())
    assert [message.subject for message in found] == ["one", "two", "three"]
    assert {message.flags for message in found} == {("\\Seen",)}


def test_the_numbers_of_a_search_may_come_in_several_lines(certificates: Certificates) -> None:
    def script(command: str) -> Answer:
        if command.startswith("UID SEARCH"):
            return b"* SEARCH 3\r\n* SEARCH\r\n* SEARCH 1 2 3\r\n", "OK done"
        return mail_of(MAIL, good)(command)

    with ScriptedImap(certificates, script) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["one", "two", "three"]


def test_what_the_server_cannot_search_for_is_searched_for_here(
    certificates: Certificates,
) -> None:
    raws = {1: "Größe", 2: "Zahlen", 3: "GRÖSSE und mehr"}

    def script(command: str) -> Answer:
        if command.startswith("UID SEARCH CHARSET"):
            return b"", "NO [BADCHARSET (US-ASCII)] not in these letters"
        if command.startswith("UID SEARCH"):
            return b"* SEARCH 1 2 3\r\n", "OK done"
        if "BODY.PEEK[HEADER]" in command:
            header = [
                f"* {uid} FETCH (UID {uid} RFC822.SIZE 9 BODY[HEADER] {{{len(raw)}}}\r\n".encode()
                + raw
                + b")\r\n"
                for uid, raw in ((u, note(raws[u])) for u in uids_of(command))
            ]
            return b"".join(header), "OK done"
        if "BODY.PEEK[]" in command:
            pieces = [literal(uid, note(raws[uid])) for uid in uids_of(command)]
            return b"".join(pieces), "OK done"
        if command.endswith("(UID RFC822.SIZE)"):
            return b"", "OK done"
        return plain(command)

    with ScriptedImap(certificates, script) as server, server.mailbox() as mailbox:
        assert [message.uid for message in mailbox.search(subject="größe")] == [1, 3]
        newest = mailbox.search(subject="größe", newest_first=True, limit=1)
        assert [message.uid for message in newest] == [3]


def test_a_folder_that_may_only_be_read_is_read(certificates: Certificates) -> None:
    def script(command: str) -> Answer:
        if command.startswith("SELECT"):
            return b"* OK [UIDVALIDITY 7] .\r\n", "OK [READ-ONLY] done"
        return mail_of(MAIL, good)(command)

    with ScriptedImap(certificates, script) as server, server.mailbox() as mailbox:
        first = next(mailbox.search())
        with pytest.raises(MailboxUnavailable, match="reading only"):
            mailbox.mark_seen(first)
        assert not [command for command in server.commands if "STORE" in command]


def test_other_verbs_in_the_loop_lose_and_double_nothing(certificates: Certificates) -> None:
    many = {uid: f"message-{uid}" for uid in range(1, 40)}

    def fetch(command: str) -> Answer:
        pieces = [literal(uid, note(many[uid])) for uid in uids_of(command)]
        return b"".join(pieces), "OK done"

    with ScriptedImap(certificates, mail_of(many, fetch)) as server, server.mailbox() as mailbox:
        got = []
        for message in mailbox.search():
            got.append(message.uid)
            mailbox.flag(message)
            if message.uid % 7 == 0:
                got_inside = [inner.uid for inner in mailbox.search(folder="Other", limit=3)]
                assert got_inside == [1, 2, 3]
        assert got == list(many)
        stored = [command for command in server.commands if "STORE" in command]
        assert len(stored) == len(many)


def test_an_error_names_nobody_and_keeps_no_mail(certificates: Certificates) -> None:
    private = b"* 1 FETCH (UID 1 BODY[] {9}\r\nFrom: somebody.private@example.com)\r\n"
    with (
        ScriptedImap(certificates, mail_of(MAIL, lambda _: (private, "OK done"))) as server,
        server.mailbox() as mailbox,
        pytest.raises(MailOAuthError) as caught,
    ):
        subjects(mailbox)
    behind: BaseException | None = caught.value
    while behind is not None:
        assert "private" not in repr(behind)
        behind = behind.__cause__ or behind.__context__


def test_whoever_only_reads_is_not_kept_from_it_by_marks(certificates: Certificates) -> None:
    def script(command: str) -> Answer:
        if "STORE" in command:
            return b"", "NO you may not"
        return mail_of(MAIL, good)(command)

    with ScriptedImap(certificates, script) as server:
        mailbox = server.mailbox()
        marking = mailbox.search(mark_seen=True)
        next(marking)
        next(marking)
        assert subjects(mailbox) == ["one", "two", "three"]
        with pytest.raises(ServerError, match="you may not"):
            list(mailbox.search(mark_seen=True))
        with pytest.raises(ServerError, match="you may not"):
            mailbox.settle()


def test_throttling_leaves_nothing_out(certificates: Certificates) -> None:
    throttled = ["BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"]

    def fetch(command: str) -> Answer:
        if len(uids_of(command)) > 1 and throttled:
            return b"", throttled.pop()
        return good(command)

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        messages = mailbox.search()
        assert next(messages).subject == "one"
        with pytest.raises(Throttled):
            next(messages)
        assert [message.subject for message in messages] == ["two", "three"]


def test_a_message_without_a_body_is_told_of(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(command: str) -> Answer:
        before, reply = good(command) or (b"", None)
        if 2 in uids_of(command):
            return b"* 2 FETCH (UID 2 FLAGS ())\r\n" + literal(3, note("three")), reply
        return before, reply

    with ScriptedImap(certificates, mail_of(MAIL, fetch)) as server, server.mailbox() as mailbox:
        assert subjects(mailbox) == ["one", "three"]
    assert "no body for the message with UID 2" in caplog.text


def test_a_goodbye_behind_what_was_not_read_yet_makes_no_outcome_unknown(
    certificates: Certificates,
) -> None:
    many = MAIL | {4: "four"}
    ended: list[str] = []

    def script(command: str) -> Answer:
        if command.startswith("UID FETCH 2:4 (UID FLAGS") and not ended:
            ended.append("said goodbye")
            return literal(2, note("two")) + b"* BYE going down\r\n", None
        if ended == ["said goodbye"]:
            ended.append("hung up")
            return None
        return mail_of(many, lambda _: fetched_of(many, command))(command)

    with ScriptedImap(certificates, script) as server, server.mailbox() as mailbox:
        messages = mailbox.search()
        first = next(messages)
        second = next(messages)
        mailbox.copy([first, second], "Done")
        assert [message.subject for message in messages] == ["three", "four"]
        assert len([command for command in server.commands if "COPY" in command]) == 1


def test_news_are_asked_for_once_anything_else_was_done(certificates: Certificates) -> None:
    with ScriptedImap(certificates, mail_of(MAIL, good)) as server:
        with server.mailbox() as mailbox:
            first = next(mailbox.search())
        with server.mailbox() as mailbox:
            mailbox.copy(first, "Done")
            subjects(mailbox)
    assert [line.split()[:2] for line in server.commands if "FETCH" not in line][-5:] == [
        ["SELECT", '"INBOX"'],
        ["UID", "COPY"],
        ["NOOP"],
        ["UID", "SEARCH"],
        ["LOGOUT"],
    ]


def test_marks_of_a_folder_that_was_rebuilt_are_told_of_once(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    validity = [7]

    def script(command: str) -> Answer:
        if command.startswith("SELECT"):
            return b"* OK [UIDVALIDITY %d] .\r\n" % validity[-1], "OK [READ-WRITE] done"
        if "STORE" in command and len(validity) == 1:
            validity.append(8)
            return None
        return mail_of(MAIL, good)(command)

    with ScriptedImap(certificates, script) as server, server.mailbox() as mailbox:
        marking = mailbox.search(mark_seen=True)
        next(marking)
        next(marking)
        assert subjects(mailbox) == ["one", "two", "three"]
        assert caplog.text.count("was rebuilt") == 1
        assert len(list(mailbox.search(mark_seen=True))) == 3
        assert caplog.text.count("was rebuilt") == 1


def test_close_ends_a_handshake_that_hangs(certificates: Certificates) -> None:
    hello, ended = threading.Event(), threading.Event()
    outcome: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, ScriptedImap(certificates) as other:
        mailbox = other.mailbox(timeout=15, port=listener.getsockname()[1])

        def accept() -> None:
            with listener.accept()[0] as line:
                line.recv(1, socket.MSG_PEEK)  # TLS has begun
                hello.set()
                ended.wait(20)

        def read() -> None:
            try:
                subjects(mailbox)
            except MailOAuthError as error:
                outcome.append(error)

        threads = [threading.Thread(target=run) for run in (accept, read)]
        for thread in threads:
            thread.start()
        assert hello.wait(10)
        started = time.monotonic()
        mailbox.close()
        threads[1].join(20)
        took = time.monotonic() - started
        ended.set()
        threads[0].join(20)
    assert took < 10  # the time-out is 15
    assert isinstance(outcome[0], ConnectionFailed)


def test_literals_are_bounded_together(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_LARGEST_LITERAL", 1000)
    several = b"".join(b"BODY[%d] {600}\r\n" % part + bytes(600) for part in (1, 2))
    response = b"* 1 FETCH (UID 1 " + several + b")\r\n"
    with (
        ScriptedImap(certificates, mail_of(MAIL, lambda _: (response, "OK done"))) as server,
        server.mailbox() as mailbox,
        pytest.raises(ConnectionFailed, match="not IMAP"),
    ):
        subjects(mailbox)
