"""However a program ends, it ends at once, and says what is known of the message in hand.

The programs are in ``tests/endings``. A time-out of theirs is a minute: one that ends
within ``programs.PROMPT`` seconds has not waited for any.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Literal

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.tokens.source import token_source
from mailoauth.tokens.token import Grant
from tests.endings.programs import ADA, fall_silent, running, subjects
from tests.judges import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judges import Colour, Wire
    from tests.real.servers import RealServers

colours = pytest.mark.parametrize("colour", ["sync", "async"])
wires = pytest.mark.parametrize("wire", ["imap", "smtp"])
posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork are POSIX's")
pytestmark = [pytest.mark.timeout(60), posix]


@pytest.fixture
def emulator() -> Iterator[OutlookEmulator]:
    with OutlookEmulator() as started:
        started.add_user(ADA)
        yield started


# Interrupted by a signal.


@wires
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "SystemExit")]
)
def test_a_signal_ends_a_verb_at_once_and_the_session_goes_on_on_a_new_connection(
    emulator: OutlookEmulator, wire: Wire, number: signal.Signals, raised: str
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(emulator, "interrupted", "sync", wire) as program:
        program.wait_for("ready")
        hanging = fall_silent(emulator, wire)
        program.go()
        hanging()
        program.interrupt(number)
        program.wait_for("ready", times=2)
        [ended] = program.telling("ended")
        assert ended[0] == raised
        assert ("DeliveryUnknown" in ended) == (wire == "smtp")
        program.go()
        assert program.end() == 0, program.errors
    assert program.said[-1] == "closed"
    assert program.telling("done")[-1] == (["one"] if wire == "imap" else ["second"])
    assert sum(one.protocol == wire for one in emulator.connections) == 2
    if wire == "smtp":
        # Carried out in fact, and named; what was sent, was sent once.
        assert subjects(emulator) == ["one", "before", "first", "second"]
        [[message_id]] = program.telling("unknown")
        assert message_id.encode() in emulator.messages(ADA)[2].raw


@wires
def test_ctrl_c_in_an_asynchronous_program_says_what_is_known(
    emulator: OutlookEmulator, wire: Wire
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(emulator, "interrupted", "async", wire) as program:
        program.wait_for("ready")
        hanging = fall_silent(emulator, wire)
        program.go()
        hanging()
        program.interrupt(signal.SIGINT)
        assert program.end() == 0, program.errors
    in_task, outside = program.telling("ended")
    assert in_task[0] == "CancelledError"
    assert outside[0] == "KeyboardInterrupt"
    assert ("DeliveryUnknown" in in_task) == ("DeliveryUnknown" in outside) == (wire == "smtp")
    assert ("unknown" in program.said[-1]) == (wire == "smtp")


@colours
@wires
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_catches_nothing_ends_at_once(
    emulator: OutlookEmulator, wire: Wire, colour: Colour, number: signal.Signals
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(emulator, "leaving", colour, wire) as program:
        program.wait_for("ready")
        hanging = fall_silent(emulator, wire)
        program.go()
        hanging()
        program.interrupt(number)
        code = program.end()
    if number == signal.SIGTERM:
        assert code == -signal.SIGTERM
        return
    assert code in {-signal.SIGINT, 130}
    assert program.errors.splitlines()[-1] == "KeyboardInterrupt"
    assert ("DeliveryUnknown: " in program.errors) == (wire == "smtp")
    assert "never retrieved" not in program.errors


@colours
@wires
@pytest.mark.real
@pytest.mark.xdist_group("real")
def test_ctrl_c_while_a_real_server_stalls_ends_the_program_at_once(
    real_servers: RealServers, wire: Wire, colour: Colour
) -> None:
    real_servers.lines[wire].resume()
    real_servers.deliver(ADA, note("unread"))
    try:
        with running(real_servers, "leaving", colour, wire) as program:
            program.wait_for("ready")
            line = real_servers.lines[wire]
            before = line.sent["client"]
            line.stall("server")
            program.go()
            line.wait_for("client", before + 1)
            program.interrupt(signal.SIGINT)
            code = program.end()
        assert code in {-signal.SIGINT, 130}
        assert program.errors.splitlines()[-1] == "KeyboardInterrupt"
        # It stalled at MAIL FROM: nothing had been handed over, and nothing is claimed.
        assert "DeliveryUnknown" not in program.errors
    finally:
        real_servers.lines[wire].resume()


@colours
@pytest.mark.real
@pytest.mark.xdist_group("real")
def test_ctrl_c_while_a_real_server_is_handed_a_message_says_that_it_is_not_known(
    real_servers: RealServers, colour: Colour
) -> None:
    line = real_servers.lines["smtp"]
    line.resume()
    try:
        with running(real_servers, "interrupted", colour, "smtp", "3000000") as program:
            program.wait_for("ready")
            before = line.sent["client"]
            program.go()
            line.wait_for("client", before + 100_000)
            line.stall()
            program.interrupt(signal.SIGINT)
            if colour == "sync":
                program.wait_for("ready", times=2)
                line.resume()
                program.go()
            assert program.end() == 0, program.errors
        assert "DeliveryUnknown" in program.telling("ended")[0]
        if colour == "sync":
            assert program.telling("done")[-1] == ["second"]
    finally:
        line.resume()


# Never closed.


@colours
@pytest.mark.parametrize("what", ["session", "iterator", "mailer"])
def test_what_was_never_closed_does_not_keep_the_program_alive(
    emulator: OutlookEmulator, what: str, colour: Colour
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(emulator, "unclosed", colour, what) as program:
        assert program.end() == 0
    assert program.said[-1] == "end"
    assert program.errors == ""


@colours
def test_a_closed_session_leaves_no_warning_behind(
    emulator: OutlookEmulator, colour: Colour
) -> None:
    emulator.deliver(ADA, note("one"))
    strict = ("-X", "dev", "-W", "error")
    with running(emulator, "unclosed", colour, "closed", python=strict) as program:
        assert program.end() == 0, program.errors
    assert program.said[-1] == "end"
    assert program.errors == ""
    assert not any(connection.open for connection in emulator.connections)


def test_a_session_that_was_not_closed_does_leave_a_warning_behind(
    emulator: OutlookEmulator,
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(
        emulator, "unclosed", "sync", "session", python=("-X", "dev", "-W", "error")
    ) as program:
        assert program.end() == 0
    assert "ResourceWarning" in program.errors


# Closed from elsewhere.


@colours
@wires
@pytest.mark.parametrize("by", ["thread", "signal"])
def test_close_from_a_thread_or_a_signal_handler_ends_a_verb_at_once(
    emulator: OutlookEmulator, wire: Wire, colour: Colour, by: Literal["thread", "signal"]
) -> None:
    emulator.deliver(ADA, note("one"))
    with running(emulator, "closing", colour, wire, by) as program:
        program.wait_for("ready")
        hanging = fall_silent(emulator, wire)
        program.go()
        program.wait_for("busy")
        hanging()
        if by == "signal":
            program.interrupt(signal.SIGUSR1)
        else:
            program.go()
        assert program.end() == 0, program.errors
    assert program.said[-1] == "closed"
    first, read_again, send_again = program.telling("ended")
    assert first[0] == ("DeliveryUnknown" if wire == "smtp" else "ConnectionFailed")
    assert read_again == send_again == ["ConnectionFailed"]
    assert subjects(emulator).count("second") == 0
    said = program.said[program.said.index(" ".join(["ended", *first])) + 1 :]
    assert "was closed" in said[0] if wire == "imap" else said[0].startswith("unknown")


# Forked.


@pytest.mark.parametrize("ending", ["exit", "leave", "raise"])
@colours
def test_a_forked_child_harms_nothing_of_its_parent(
    emulator: OutlookEmulator, colour: Colour, ending: str
) -> None:
    emulator.deliver(ADA, note("one"))
    account = emulator.account(ADA)
    access, refresh = emulator.identity.issue(ADA)
    token_source(account).adopt(Grant(access, 3600, refresh, username=ADA))
    with running(emulator, "forked", colour, ending) as program:
        assert program.end() == 0, program.errors
    assert program.telling("child")[:2] == [["ConcurrentUse"], ["ConcurrentUse"]]
    assert program.telling("child")[2:4] == [["token", "1800"], ["read", "2"]]
    assert "parent child ended with 0" in program.said
    assert program.telling("parent")[-2:] == [["read", "3"], ["left"]]
    assert subjects(emulator) == ["one", "before", "after"]
    # One for the parent, which it kept, and the child's own for reading.
    wires_used = [connection.protocol for connection in emulator.connections]
    assert sorted(wires_used) == ["imap", "imap", "smtp"]
    assert emulator.token_requests == []
