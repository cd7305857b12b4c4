"""Submitting one message: what is checked before, when it begins, and how it is written."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from typing import TYPE_CHECKING

import pytest

from mailoauth import AsyncMailer
from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.certificates import Certificates
from mailoauth.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    SendingDisabled,
    ServerError,
)
from mailoauth.mail.submission.dialogue import PIECE, Answers, Command, Reply, ReplyReader, pieces
from mailoauth.network import Deadline
from tests.judges import signed_in_source
from tests.scripted_smtp import (
    ADA,
    NOTHING,
    Say,
    ScriptedSmtp,
    connected,
    parcel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judges import Judge

BOB = "bob@example.com"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 40_000


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


@pytest.fixture
def server(certificates: Certificates) -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp(certificates) as made:
        yield made


# The message as it is written.


def undone(wire: bytes) -> bytes:
    """What a server makes of it (RFC 5321 section 4.5.2)."""
    assert wire.count(b"\r\n.\r\n") == 1
    return re.sub(rb"(?m)^\.", b"", wire.removesuffix(b".\r\n"))


@pytest.mark.parametrize("shift", range(-6, 7))
@pytest.mark.parametrize("dots", [b"\r\n.", b"\r\n..\r\n.", b"\r\n.\r\n", b"."])
def test_dots_are_doubled_wherever_a_piece_ends(shift: int, dots: bytes) -> None:
    data = b"x" * (PIECE + shift) + dots + b"y" * PIECE + dots + b"\r\n"
    written = list(pieces(data))
    assert len(written) >= 2
    assert undone(b"".join(written)) == data


@pytest.mark.parametrize("data", [b".\r\n", b"..", b".x", b"", b"\r\n", b"x", b"\r\n.\r\n"])
def test_every_message_has_one_end(data: bytes) -> None:
    expected = data if data.endswith(b"\r\n") else data + b"\r\n"
    wire = b"".join(pieces(data))
    assert (b"\r\n" + wire).count(b"\r\n.\r\n") == 1
    assert re.sub(rb"(?m)^\.", b"", wire[:-3]) == expected


def test_a_message_without_dots_is_written_in_pieces_of_its_own() -> None:
    assert max(len(piece) for piece in pieces(b"\r\n" * PIECE)) <= PIECE + 5


# Replies.


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_replies_are_the_same_in_whatever_pieces_they_come(size: int) -> None:
    text = b"250-one\r\n250-two \r\n250 three\r\n354\r\n550 \xff\xfe no\n421-\r\n421 bye\r\n"
    reader = ReplyReader()
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    replies = [reply for part in parts for reply in reader.feed(part)]
    assert replies == [
        Reply(250, "one\ntwo\nthree"),
        Reply(354, ""),
        Reply(550, "\ufffd\ufffd no"),
        Reply(421, "\nbye"),
    ]
    assert not reader.garbled
    assert not reader.within


@pytest.mark.parametrize(
    "text",
    [b"\r\n", b"2\r\n", b"25a ok\r\n", b"150 ok\r\n", b"600 ok\r\n", b"+25 ok\r\n", b"250ok\r\n"],
)
def test_what_is_no_reply_is_garbled(text: bytes) -> None:
    reader = ReplyReader()
    assert reader.feed(b"250 ok\r\n" + text + b"250 ok\r\n") == [Reply(250, "ok")]
    assert reader.garbled


def test_neither_a_line_nor_a_reply_may_be_endless() -> None:
    line, lines = ReplyReader(), ReplyReader()
    taken = sum(not line.garbled for _ in range(100) if line.feed(b"2" * 1000) == [])
    assert taken <= 9
    fed = sum(
        not lines.garbled for _ in range(100) if not lines.feed(b"250-" + b"x" * 996 + b"\r\n")
    )
    assert fed <= 33


def test_everybody_refused_is_known_only_when_everybody_was_answered() -> None:
    answers = Answers(2)
    rcpt = Command("RCPT", b"", BOB)
    answers.note(rcpt, Reply(550, "no"))
    assert not answers.nobody
    answers.note(rcpt, Reply(550, "no"))  # the same one twice
    assert answers.nobody


# What is checked before anything is said.


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_message_that_is_too_large_for_the_server_is_not_begun(
    certificates: Certificates, pipelining: bool
) -> None:
    extensions = ("SIZE 2097152", *(["PIPELINING"] if pipelining else []))
    with ScriptedSmtp(certificates, extensions=extensions) as server:

        async def story() -> ConfigError:
            async with connected(server) as connection:
                with pytest.raises(ConfigError) as caught:
                    await connection.send(parcel(data=b"x" * 3_000_000))
                await connection.send(parcel(data=b"x" * 2_097_152))
                return caught.value

        error = asyncio.run(story())
        assert f"localhost:{server.account.smtp.port}" in error.message
    assert "2.9 MB (3,000,000 bytes)" in error.message
    assert "2.0 MB (2,097,152 bytes)" in error.message
    assert "Nothing was sent" in error.message
    assert [len(one) for one in server.messages] == [2_097_154]
    assert sum(one.startswith("MAIL") for one in server.commands) == 1


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE plenty", "SIZE -1", "HELP"])
def test_a_server_that_names_no_limit_is_sent_everything(
    certificates: Certificates, size: str
) -> None:
    with ScriptedSmtp(certificates, extensions=(size,)) as server:
        asyncio.run(send(server, data=LARGE))
    assert server.messages == [LARGE]


async def send(server: ScriptedSmtp, *recipients: str, data: bytes = b"") -> None:
    async with connected(server) as connection:
        await connection.send(parcel(*recipients, data=data))


@pytest.mark.parametrize(
    "address",
    [
        "bob@example.com\r\nRSET",
        "bob@example.com\nDATA",
        "bob@example.com> NOTIFY=NEVER",
        "<bob@example.com",
        "bob @example.com",
        "bob\x00@example.com",
        '"bob"x y@example.com',
        "bob\udcff@example.com",
        "bob\u2028@example.com",
    ],
)
def test_no_address_breaks_out_of_its_command(server: ScriptedSmtp, address: str) -> None:
    async def story() -> None:
        async with connected(server) as connection:
            with pytest.raises(ConfigError, match="is no e-mail address"):
                await connection.send(parcel(BOB, address))
            with pytest.raises(ConfigError, match="is no e-mail address"):
                await connection.send(parcel(BOB, sender=address))
            with pytest.raises(ConfigError, match="no recipients"):
                await connection.send(parcel()._replace(recipients=()))
            assert connection.usable

    asyncio.run(story())
    assert server.commands == ["QUIT"]


def test_a_quoted_local_part_and_the_empty_sender_are_addresses(server: ScriptedSmtp) -> None:
    async def story() -> None:
        async with connected(server) as connection:
            await connection.send(parcel('"bob <b> \\" b"@example.com', sender=""))

    asyncio.run(story())
    assert server.commands[0].startswith("MAIL FROM:<> ")
    assert server.commands[1] == 'RCPT TO:<"bob <b> \\" b"@example.com>'


# When it begins.


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_before_data_is_awaited_when_the_server_waits_for_the_message(
    certificates: Certificates, extensions: tuple[str, ...]
) -> None:
    with ScriptedSmtp(certificates, extensions=extensions) as server:
        seen: list[tuple[str, int]] = []

        async def note() -> None:
            before = server.received
            for _ in range(20):
                await asyncio.sleep(0.001)
            seen.append((server.commands[-1], server.received - before))

        async def story() -> None:
            async with connected(server) as connection:
                await connection.send(parcel(), before_data=note)

        asyncio.run(story())
        assert seen == [("DATA", 0)]
        assert len(server.messages) == 1


def test_before_data_is_not_awaited_where_nothing_will_be_written(server: ScriptedSmtp) -> None:
    async def never() -> None:
        pytest.fail("it was awaited")

    async def story() -> None:
        async with connected(server) as connection:
            for command in ("MAIL", "RCPT", "DATA"):
                server.on(command, b"451 4.3.0 not now\r\n")
                if command != "DATA":
                    server.on("DATA", b"503 5.5.2 no\r\n")
                with pytest.raises(ServerError):
                    await connection.send(parcel(), before_data=never)

    asyncio.run(story())
    assert server.messages == []


@pytest.mark.parametrize("error", [OSError("the disk is full"), asyncio.CancelledError()])
def test_what_before_data_raises_ends_the_line_and_nothing_is_sent(
    server: ScriptedSmtp, error: BaseException
) -> None:
    async def fail() -> None:
        raise error

    async def story() -> None:
        async with connected(server) as connection:
            with pytest.raises(type(error)) as caught:
                await connection.send(parcel(), before_data=fail)
            assert caught.value is error
            assert error.__cause__ is None
            assert not connection.usable

    asyncio.run(story())
    assert server.messages == []
    assert "QUIT" not in server.commands


@pytest.mark.parametrize("text", [b"421 4.4.1 bye\r\n", b"250 2.0.0 taken\r\n"])
def test_a_word_during_before_data_is_noticed_before_the_message_begins(
    server: ScriptedSmtp, text: bytes
) -> None:
    async def story() -> None:
        async with connected(server) as connection:

            async def wait() -> None:
                server.say(text)
                async with asyncio.timeout(5):
                    while connection.usable:  # noqa: ASYNC110 - a connection has no event for it
                        await asyncio.sleep(0)

            with pytest.raises(ConnectionFailed):
                await connection.send(parcel(), before_data=wait)

    asyncio.run(story())
    assert server.messages == []


def test_a_deadline_that_ends_during_before_data_lets_nothing_be_written(
    server: ScriptedSmtp,
) -> None:
    async def story() -> None:
        async with connected(server) as connection:
            deadline = connection.deadline = Deadline(0.3)

            async def wait() -> None:
                while not deadline.passed:  # noqa: ASYNC110 - a deadline has no event
                    await asyncio.sleep(0.01)

            with pytest.raises(ConnectionTimedOut):
                await connection.send(parcel(), before_data=wait)
            assert not connection.usable

    asyncio.run(story())
    assert server.commands[-1] == "DATA"
    assert server.messages == []


@pytest.mark.parametrize("command", ["MAIL", "."])
def test_closing_ends_a_send_that_is_waiting(server: ScriptedSmtp, command: str) -> None:
    server.on(command, NOTHING._replace(mute=True))

    async def story() -> None:
        async with connected(server) as connection:
            sending = asyncio.create_task(connection.send(parcel()))
            async with asyncio.timeout(4):
                # The server is a thread, which has no event of this loop.
                while len(server.messages) < (command == ".") or not server.commands:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                connection.close()
                with pytest.raises(DeliveryUnknown if command == "." else ConnectionFailed):
                    await sending

    asyncio.run(story())


@pytest.mark.parametrize("command", ["MAIL", "DATA", "."])
def test_a_send_that_is_cancelled_is_unknown_only_from_the_message_on(
    server: ScriptedSmtp, command: str
) -> None:
    server.on(command, NOTHING._replace(mute=True))

    async def story() -> BaseException:
        async with connected(server) as connection:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.3):
                    await connection.send(parcel())
            assert not connection.usable
            return caught.value

    error: BaseException | None = asyncio.run(story())
    chain = []
    while error is not None:
        chain.append(type(error))
        error = error.__cause__
    assert (DeliveryUnknown in chain) == (command == ".")


# Long messages.


def test_a_refusal_in_the_middle_of_a_message_is_certain(certificates: Certificates) -> None:
    with ScriptedSmtp(certificates, extensions=("PIPELINING",)) as server:
        # It reads on: of one that hangs up at once the system may lose the last words.
        server.on("...", Say(b"552 5.3.4 Message too big\r\n", mute=True))

        async def story() -> None:
            async with connected(server) as connection:
                with pytest.raises(ServerError, match=r"5\.3\.4"):
                    await connection.send(parcel(data=LARGE * 40))
                assert not connection.usable

        asyncio.run(story())
        assert server.messages == []


def test_a_yes_in_the_middle_of_a_message_is_none_to_it(certificates: Certificates) -> None:
    with ScriptedSmtp(certificates, extensions=("PIPELINING",)) as server:
        server.on("...", Say(b"250 2.0.0 taken\r\n", mute=True))

        async def story() -> None:
            async with connected(server) as connection:
                with pytest.raises(DeliveryUnknown):
                    await connection.send(parcel(data=LARGE * 40))
                assert not connection.usable

        asyncio.run(story())
        assert server.messages == []


def test_a_server_that_stops_reading_is_waited_for_no_longer_than_the_time_out(
    certificates: Certificates,
) -> None:
    with ScriptedSmtp(certificates, extensions=()) as server:
        server.on("...", Say(b"", deaf=True))

        async def story() -> None:
            async with connected(server, patience=0.5) as connection:
                # More than the buffers of two systems take.
                with pytest.raises(DeliveryUnknown):
                    await connection.send(parcel(data=b"0123456789\r\n" * 3_000_000))

        asyncio.run(asyncio.wait_for(story(), 20))


def arrived(judge: Judge, count: int) -> list[bytes]:
    """Return Ada's messages; Postfix delivers a moment after its 250."""
    ending = time.monotonic() + 20
    while len(judge.messages(ADA)) < count and time.monotonic() < ending:
        time.sleep(0.05)
    return [one.raw for one in judge.messages(ADA)]


def subject_and_body(raw: bytes) -> tuple[int, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    _, _, subject = head.partition(b"Subject: ")
    return int(subject.split(b"\r\n")[0]), body


def test_messages_of_every_size_arrive_on_one_connection(judge: Judge) -> None:
    sizes = [0, 1, PIECE - 40, PIECE, 3 * PIECE, 3_000_000]
    lines = itertools.cycle([b"..\r\n", b".\r\n", b"0123456789" * 7 + b"\r\n", b"\r\n"])
    text = b"".join(itertools.islice(lines, 150_000))
    # Whole lines: what a server makes of half a line end is not the question.
    expected = {size: text[:size].rpartition(b"\r\n")[0] + b"\r\n" for size in sizes}
    before = len([one for one in judge.connections if one.protocol == "smtp"])

    async def story() -> None:
        account = judge.account(ADA)
        async with AsyncMailer(account, tokens=signed_in_source(judge, account)) as mailer:
            for size in sizes:
                head = f"From: {ADA}\r\nTo: {ADA}\r\nSubject: {size}\r\n\r\n".encode()
                await mailer.submit(parcel(ADA, data=head + expected[size]))

    asyncio.run(story())
    bodies = dict(map(subject_and_body, arrived(judge, len(sizes))))
    assert bodies == expected
    after = len([one for one in judge.connections if one.protocol == "smtp"])
    assert after == before + 1


def test_refusals_in_a_group_leave_the_next_message_its_connection() -> None:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        emulator.refuse_recipient(BOB, "550 5.1.1 User unknown")
        account = emulator.account(ADA)

        async def story() -> None:
            tokens = signed_in_source(emulator, account)
            async with AsyncMailer(account, tokens=tokens) as mailer:
                with pytest.raises(ServerError, match=r"5\.1\.1"):
                    await mailer.submit(parcel(BOB))
                with pytest.raises(ServerError):
                    await mailer.submit(parcel(ADA, sender="carol@example.org"))
                receipt = await mailer.submit(parcel(BOB, ADA))
            assert receipt.accepted == (ADA,)

        asyncio.run(story())
        assert len(emulator.connections) == 1
        assert [one.recipients for one in emulator.sent] == [(ADA,)]


def test_a_refused_sender_leaves_the_next_message_its_connection(judge: Judge) -> None:
    before = len([one for one in judge.connections if one.protocol == "smtp"])
    account = judge.account(ADA)

    async def story() -> None:
        tokens = signed_in_source(judge, account)
        async with AsyncMailer(account, tokens=tokens) as mailer:
            for _ in range(2):
                with pytest.raises(SendingDisabled):
                    await mailer.submit(parcel(ADA, ADA, sender="bob@example.com"))
            await mailer.submit(parcel(ADA, data=b"Subject: 1\r\n\r\nmine\r\n"))

    asyncio.run(story())
    assert [subject_and_body(raw) for raw in arrived(judge, 1)] == [(1, b"mine\r\n")]
    assert len([one for one in judge.connections if one.protocol == "smtp"]) == before + 1
