"""Commands in one write (RFC 2920): whatever the server says to each, and however it arrives."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

import pytest

from mailoauth import AsyncMailer, StaticToken
from mailoauth.emulator.certificates import Certificates
from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    DeliveryUnknown,
    MailOAuthError,
    RecipientsRefused,
    SendingDisabled,
    ServerError,
    Throttled,
    TokenRefused,
)
from tests.scripted_smtp import (
    ADA,
    DELIVERIES,
    EXTENSIONS,
    HANG_UP,
    NOTHING,
    Say,
    ScriptedSmtp,
    connected,
    parcel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.mail.smtp import SubmissionConnection

BOB, CAROL, DAVE = "bob@example.com", "carol@example.org", "dave@example.org"
SECOND = b"Subject: second\r\n\r\n.a dot\r\n"
BEFORE = ("MAIL", "RCPT", "DATA")
GARBAGE = (
    b"what would you like to eat?\r\n",
    b"\x00\xff\r\n",
    b"25\r\n",
    b"999 unheard of\r\n",
    b"250~odd\r\n",
    b"x" * 20_000,
    b"250-" + b"x" * 20_000,
    b"250-more\r\n" * 5_000,
)


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


@pytest.fixture
def pipelining(certificates: Certificates) -> Iterator[ScriptedSmtp]:
    with ScriptedSmtp(certificates) as made:
        yield made


@pytest.fixture(
    params=product((True, False), DELIVERIES),
    ids=lambda param: f"{'pipelined' if param[0] else 'in turn'}, {param[1]}",
)
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[ScriptedSmtp]:
    offered, delivery = request.param
    extensions = EXTENSIONS if offered else EXTENSIONS[1:]
    with ScriptedSmtp(certificates, extensions=extensions, delivery=delivery) as made:
        yield made


def raised(
    server: ScriptedSmtp, *recipients: str, patience: float = 5.0, usable: bool
) -> BaseException:
    """Send, return what was raised; then the next message goes out if the line is ``usable``."""

    async def story() -> BaseException:
        async with connected(server, patience=patience) as connection:
            with pytest.raises(MailOAuthError) as caught:
                await connection.send(parcel(*recipients))
            assert connection.usable == usable
            if usable:
                reply, refused = await connection.send(parcel(subject="second"))
                assert (reply.code, refused) == (250, {})
            else:
                with pytest.raises(ConnectionFailed):
                    await connection.send(parcel(subject="second"))
            return caught.value

    error = asyncio.run(story())
    assert server.messages[-1:] == [SECOND] if usable else SECOND not in server.messages
    return error


# What goes out.


def test_a_message_takes_two_writes(pipelining: ScriptedSmtp) -> None:
    async def story() -> None:
        async with connected(pipelining) as connection:
            for subject in ("first", "second"):
                await connection.send(parcel(BOB, CAROL, subject=subject))

    asyncio.run(story())
    mail = f"MAIL FROM:<{ADA}> SIZE="
    assert pipelining.turns == [
        (f"{mail}26", f"RCPT TO:<{BOB}>", f"RCPT TO:<{CAROL}>", "DATA"),
        (f"{mail}27", f"RCPT TO:<{BOB}>", f"RCPT TO:<{CAROL}>", "DATA"),
        ("QUIT",),
    ]
    assert [one.split(b"\r\n")[0] for one in pipelining.messages] == [
        b"Subject: first",
        b"Subject: second",
    ]


def test_a_server_that_does_not_offer_it_gets_one_command_at_a_time(
    certificates: Certificates,
) -> None:
    with ScriptedSmtp(certificates, extensions=()) as server:
        asyncio.run(_send(server, BOB, CAROL))
    assert server.turns == [
        (f"MAIL FROM:<{ADA}>",),
        (f"RCPT TO:<{BOB}>",),
        (f"RCPT TO:<{CAROL}>",),
        ("DATA",),
        ("QUIT",),
    ]


async def _send(server: ScriptedSmtp, *recipients: str) -> dict[str, str]:
    async with connected(server) as connection:
        reply, refused = await connection.send(parcel(*recipients))
    assert str(reply) == "250 2.0.0 taken"
    return {address: str(answer) for address, answer in refused.items()}


def test_a_thousand_recipients_go_out_in_groups(server: ScriptedSmtp) -> None:
    recipients = [f"number-{number}@example.com" for number in range(1000)]
    reply = b"550-5.1.1 nobody\r\n550 5.1.1 of that name\r\n"
    for number in (0, 99, 100, 499, 999):
        server.on(f"RCPT TO:<number-{number}@", reply)
    refused = asyncio.run(_send(server, *recipients))
    assert refused == dict.fromkeys(
        (f"number-{number}@example.com" for number in (0, 99, 100, 499, 999)),
        "550 5.1.1 nobody\n5.1.1 of that name",
    )
    assert max(len(turn) for turn in server.turns) <= 100
    assert server.commands[1:-2] == [f"RCPT TO:<{one}>" for one in recipients]
    assert len(server.messages) == 1


def test_addresses_beyond_ascii_go_out_as_utf_8(server: ScriptedSmtp) -> None:
    asyncio.run(_send(server, "bøb@exämple.org"))
    assert server.commands[0].endswith(" SMTPUTF8")
    assert server.commands[1] == "RCPT TO:<bøb@exämple.org>"


def test_addresses_beyond_ascii_are_refused_where_the_server_does_not_take_them(
    certificates: Certificates,
) -> None:
    with ScriptedSmtp(certificates, extensions=("PIPELINING",)) as server:
        error = raised(server, "bøb@example.org", usable=True)
    assert isinstance(error, ServerError)
    assert "SMTPUTF8" in str(error)
    assert "RSET" not in server.commands


# Refusals.


def test_some_recipients_refused_is_no_error(server: ScriptedSmtp) -> None:
    server.on(f"RCPT TO:<{CAROL}>", b"550 5.1.1 User unknown\r\n")
    assert asyncio.run(_send(server, BOB, CAROL, DAVE)) == {CAROL: "550 5.1.1 User unknown"}
    assert len(server.messages) == 1


@pytest.mark.parametrize("said", [b"554 5.5.1 No valid recipients\r\n", b"503 5.5.2 Need rcpt\r\n"])
def test_all_recipients_refused_names_each_and_sends_nothing(
    server: ScriptedSmtp, said: bytes
) -> None:
    server.on("RCPT", b"550 5.1.1 User unknown\r\n", b"452 4.2.2 Mailbox full\r\n")
    if server.pipelines:
        server.on("DATA", said)
    error = raised(server, BOB, CAROL, usable=True)
    assert isinstance(error, RecipientsRefused)
    assert error.refused == {BOB: "550 5.1.1 User unknown", CAROL: "452 4.2.2 Mailbox full"}
    assert server.messages == [SECOND]
    assert server.commands.count("DATA") == (2 if server.pipelines else 1)
    assert server.commands.count("RSET") == 1


def test_a_reset_goes_out_with_the_next_message(pipelining: ScriptedSmtp) -> None:
    pipelining.on("RCPT", b"550 5.1.1 User unknown\r\n")
    pipelining.on("DATA", b"554 5.5.1 No valid recipients\r\n")
    raised(pipelining, usable=True)
    assert [turn[0].split(" ")[0] for turn in pipelining.turns] == ["MAIL", "RSET", "QUIT"]


@pytest.mark.parametrize("said", [b"250 2.0.0 taken\r\n", b"554 5.5.1 No valid recipients\r\n"])
def test_a_message_that_nobody_is_to_get_is_ended_empty(
    pipelining: ScriptedSmtp, said: bytes
) -> None:
    pipelining.on("RCPT", b"550 5.1.1 User unknown\r\n")
    pipelining.on(".", said)
    assert isinstance(raised(pipelining, usable=True), RecipientsRefused)
    assert pipelining.messages == [b"", SECOND]
    assert "RSET" not in pipelining.commands


@pytest.mark.parametrize("said", [HANG_UP, b"421 4.3.2 bye\r\n", b"nonsense\r\n", NOTHING])
def test_nobody_was_accepted_whatever_becomes_of_the_empty_message(
    pipelining: ScriptedSmtp, said: bytes | Say
) -> None:
    pipelining.on("RCPT", b"550 5.1.1 User unknown\r\n")
    pipelining.on(".", said)
    error = raised(pipelining, patience=1.0, usable=False)
    assert isinstance(error, RecipientsRefused)
    assert error.refused == {BOB: "550 5.1.1 User unknown"}


def test_the_error_of_a_refused_sender_is_the_senders(server: ScriptedSmtp) -> None:
    server.on(
        "MAIL", b"550 5.7.60 SMTP; Client does not have permissions to send as this sender\r\n"
    )
    if server.pipelines:
        server.on("RCPT", b"503 5.5.2 Need mail command\r\n")
        server.on("DATA", b"503 5.5.2 Need rcpt command\r\n")
    error = raised(server, usable=True)
    assert isinstance(error, SendingDisabled)
    assert "5.7.60" in str(error)
    assert ADA in error.message
    assert server.messages == [SECOND]


def test_a_message_that_is_let_in_though_its_sender_was_refused_is_not_sent(
    pipelining: ScriptedSmtp,
) -> None:
    pipelining.on("MAIL", b"550 5.1.0 Sender denied\r\n")
    error = raised(pipelining, usable=False)
    assert "5.1.0 Sender denied" in str(error)
    assert pipelining.messages == []
    assert "QUIT" not in pipelining.commands


def test_recipients_refused_for_the_sender_are_the_senders_error(server: ScriptedSmtp) -> None:
    refusal = b"553 5.7.1 <ada@example.com>: Sender address rejected: not owned by user bob\r\n"
    server.on("RCPT", refusal)
    if server.pipelines:
        server.on("DATA", b"554 5.5.1 No valid recipients\r\n")
    error = raised(server, usable=True)
    assert isinstance(error, SendingDisabled)
    assert f"refused {ADA}" in error.message


def test_recipients_that_are_all_throttled_say_when(server: ScriptedSmtp) -> None:
    server.on("RCPT", b"451 4.7.500 Throttled. Suggested Backoff Time: 1000 milliseconds\r\n")
    if server.pipelines:
        server.on("DATA", b"554 5.5.1 No valid recipients\r\n")
    error = raised(server, usable=True)
    assert isinstance(error, Throttled)
    assert error.retry_after == 1.0


@pytest.mark.parametrize("command", BEFORE)
def test_a_server_that_has_forgotten_who_signed_in_is_left(
    server: ScriptedSmtp, command: str
) -> None:
    server.on(command, b"535 5.7.3 Authentication unsuccessful\r\n")
    error = raised(server, usable=False)
    assert isinstance(error, TokenRefused)
    assert "5.7.3" in str(error)
    assert server.messages == []


@pytest.mark.parametrize("code", ["451 4.3.0 Not now", "554 5.6.0 Not this"])
@pytest.mark.parametrize("command", ["DATA", "."])
def test_a_refusal_of_the_message_is_certain(server: ScriptedSmtp, command: str, code: str) -> None:
    server.on(command, f"{code}\r\n".encode())
    error = raised(server, usable=True)
    assert isinstance(error, ServerError)
    assert (error.code, error.text) == tuple(code.split(" ", 1))
    # After the reply to a message the transaction is over (RFC 5321 section 4.1.1.4).
    assert server.commands.count("RSET") == (1 if command == "DATA" else 0)


# Goodbyes, lines that end, nonsense.


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", f"RCPT TO:<{CAROL}", "DATA", "."])
def test_a_goodbye_at_any_place_is_certain_and_ends_the_line(
    server: ScriptedSmtp, command: str, close: bool
) -> None:
    server.on(command, Say(b"421 4.3.2 Service not available\r\n", close))
    error = raised(server, BOB, CAROL, usable=False)
    assert isinstance(error, ServerError)
    assert not isinstance(error, RecipientsRefused)
    assert error.code == "421"
    assert len(server.messages) == (command == ".")


@pytest.mark.parametrize(
    "ending", [Say(b"421 4.7.0 Too many errors\r\n", close=True), HANG_UP, Say(b"what?\r\n")]
)
@pytest.mark.parametrize("command", ["RCPT", f"RCPT TO:<{CAROL}", "DATA"])
def test_what_was_refused_is_known_though_the_server_hangs_up_on_the_rest(
    pipelining: ScriptedSmtp, command: str, ending: Say
) -> None:
    pipelining.on("MAIL", b"432 4.3.2 Concurrent connections limit exceeded\r\n")
    pipelining.on(command, ending)
    error = raised(pipelining, BOB, CAROL, usable=False)
    assert isinstance(error, Throttled)
    assert "432 4.3.2" in str(error)


@pytest.mark.parametrize(
    "ending", [Say(b"421 4.7.0 Too many errors\r\n", close=True), HANG_UP, Say(b"what?\r\n")]
)
def test_who_was_refused_is_known_though_the_server_hangs_up_then(
    pipelining: ScriptedSmtp, ending: Say
) -> None:
    pipelining.on("RCPT", b"550 5.1.1 User unknown\r\n", b"550 5.1.1 User unknown\r\n")
    pipelining.on("DATA", ending)
    error = raised(pipelining, BOB, CAROL, usable=False)
    assert isinstance(error, RecipientsRefused)
    assert set(error.refused) == {BOB, CAROL}


@pytest.mark.parametrize("answer", [HANG_UP, Say(b"250-half a rep", close=True)])
@pytest.mark.parametrize("command", BEFORE)
def test_a_line_that_ends_before_the_message_has_sent_nothing(
    server: ScriptedSmtp, command: str, answer: Say
) -> None:
    server.on(command, answer)
    error = raised(server, BOB, CAROL, usable=False)
    assert isinstance(error, ConnectionFailed)
    assert f"ended the connection during {command}" in str(error)
    assert server.messages == []


@pytest.mark.parametrize("command", BEFORE)
def test_a_server_that_stops_answering_is_waited_for_once(
    server: ScriptedSmtp, command: str
) -> None:
    server.on(command, Say(b"250-half a rep", mute=True))
    error = raised(server, BOB, CAROL, patience=0.5, usable=False)
    assert isinstance(error, ConnectionTimedOut)
    assert f"did not answer {command} in time" in str(error)


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("command", BEFORE)
def test_what_is_no_reply_is_not_taken_for_one(
    pipelining: ScriptedSmtp, command: str, garbage: bytes
) -> None:
    pipelining.on(command, garbage)
    error = raised(pipelining, usable=False)
    assert isinstance(error, ConnectionFailed)
    assert f"answered {command} with something that is not SMTP" in str(error)
    assert pipelining.messages == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("MAIL", b"354 go on\r\n"),
        ("RCPT", b"354 go on\r\n"),
        ("RCPT", b"334 \r\n"),
        ("DATA", b"250 ok\r\n"),
        ("DATA", b"334 \r\n"),
    ],
)
def test_a_reply_that_does_not_belong_to_the_command_ends_the_line(
    server: ScriptedSmtp, command: str, said: bytes
) -> None:
    server.on(command, said)
    error = raised(server, usable=False)
    assert isinstance(error, ConnectionFailed)
    assert server.messages == []


@pytest.mark.parametrize("command", BEFORE)
def test_an_answer_too_many_is_not_taken_for_the_next_one(
    server: ScriptedSmtp, command: str
) -> None:
    server.on(command, b"250 2.0.0 one\r\n250 2.0.0 two\r\n")
    error = raised(server, BOB, CAROL, usable=False)
    assert isinstance(error, ConnectionFailed)
    assert server.messages == []


def test_an_answer_given_before_the_message_is_none_to_it(pipelining: ScriptedSmtp) -> None:
    pipelining.on("DATA", b"354 go on\r\n250 2.0.0 taken\r\n")
    error = raised(pipelining, usable=False)
    assert isinstance(error, ConnectionFailed)
    assert pipelining.messages == []


@pytest.mark.parametrize(
    "answer", [HANG_UP, NOTHING, *map(Say, GARBAGE), Say(b"354 go on\r\n")], ids=repr
)
def test_a_message_that_is_not_answered_is_of_unknown_fate(
    pipelining: ScriptedSmtp, answer: Say
) -> None:
    pipelining.on(".", answer)
    error = raised(pipelining, patience=1.0, usable=False)
    assert isinstance(error, DeliveryUnknown)
    assert error.message_id == "<first@example.com>"
    assert len(pipelining.messages) == 1


# What nobody asked for.


async def noticed(connection: SubmissionConnection) -> None:
    async with asyncio.timeout(5):
        while connection.usable:  # noqa: ASYNC110 - a connection has no event for it
            await asyncio.sleep(0)


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize(
    "text",
    [b"421 4.4.1 Connection timed out\r\n", b"250 2.0.0 taken\r\n", b"4", b"\x15\r\n"],
)
def test_what_is_said_between_two_messages_ends_the_line(
    server: ScriptedSmtp, text: bytes, close: bool
) -> None:
    async def story() -> None:
        async with connected(server) as connection:
            await connection.send(parcel())
            server.say(text, close=close)
            await noticed(connection)
            with pytest.raises(ConnectionFailed):
                await connection.send(parcel(subject="second"))
            async with asyncio.timeout(5):
                while server.lines:  # noqa: ASYNC110 - it is a thread's
                    await asyncio.sleep(0.001)

    asyncio.run(story())
    assert len(server.messages) == 1


@pytest.mark.parametrize("more", [b"421 4.4.1 bye\r\n", b"421 4.", b"250 2.0.0 taken\r\n"])
def test_a_word_behind_the_answer_to_a_message_does_not_make_it_unknown(
    server: ScriptedSmtp, more: bytes
) -> None:
    server.on(".", b"250 2.0.0 taken\r\n" + more)

    async def story() -> None:
        async with connected(server) as connection:
            reply, _ = await connection.send(parcel())
            assert str(reply) == "250 2.0.0 taken"
            await noticed(connection)

    asyncio.run(story())


@pytest.mark.parametrize("close", [True, False])
def test_a_mailer_goes_on_when_the_idle_line_was_ended(
    pipelining: ScriptedSmtp, close: bool
) -> None:
    async def story() -> None:
        async with AsyncMailer(pipelining.account, tokens=StaticToken("token")) as mailer:
            await mailer.submit(parcel())
            # It may be read before the next message, or for the answer to its MAIL.
            pipelining.say(b"421 4.4.1 Connection timed out\r\n", close=close)
            await mailer.submit(parcel(subject="second"))

    asyncio.run(story())
    assert pipelining.connections == 2
    assert [one.split(b"\r\n")[0][9:] for one in pipelining.messages] == [b"first", b"second"]


@pytest.mark.parametrize("first", [True, False])
def test_only_a_line_that_was_used_counts_as_ended_by_a_goodbye(
    server: ScriptedSmtp, first: bool
) -> None:
    goodbye = b"421 4.4.1 Connection timed out\r\n"
    server.on("MAIL", *([goodbye] if first else [b"250 2.1.0 ok\r\n", goodbye]))

    async def story() -> BaseException:
        async with connected(server) as connection:
            if not first:
                await connection.send(parcel())
            with pytest.raises(ServerError if first else ConnectionFailed) as caught:
                await connection.send(parcel(subject="second"))
            return caught.value

    assert isinstance(asyncio.run(story()), ServerError if first else ConnectionFailed)


@pytest.mark.parametrize("said", [b"421 4.4.1 bye\r\n", b"500 5.5.1 what?\r\n"])
def test_a_reset_that_is_refused_ends_the_line(server: ScriptedSmtp, said: bytes) -> None:
    server.on("MAIL", b"451 4.3.0 Not now\r\n")
    server.on("RSET", said)

    async def story() -> None:
        async with connected(server) as connection:
            with pytest.raises(ServerError):
                await connection.send(parcel())
            if server.messages:  # it was let in all the same: see above
                return
            with pytest.raises(ConnectionFailed):
                await connection.send(parcel(subject="second"))
            assert not connection.usable

    asyncio.run(story())
    assert SECOND not in server.messages
