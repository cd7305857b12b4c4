"""The matrix: every way in which a sign-in can go, on each protocol, colour and server.

For each: how many tokens were asked for, how many connections were made, how it ended.
``MAILOAUTH_MATRIX=FILE`` appends the cells as they were measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.faults import Cut, Silent
from mailoauth.errors import MailOAuthError
from tests.judges import MovedClock, client, note, signed_in_source
from tests.real.servers import RealServers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.judges import Client, Colour, Judge, Wire

DISABLED = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. [localhost]"
)


class Cell(NamedTuple):
    """What happened: token requests, connections, and the class of the outcome."""

    token_requests: int
    connections: int
    outcome: str


@dataclass
class Bench:
    """One cell being measured."""

    judge: Judge
    wire: Wire
    colour: Colour
    holder: str = "ada@example.com"

    def __post_init__(self) -> None:
        self.clock = MovedClock()
        self.account = self.judge.account("ada@example.com")
        self.tokens = signed_in_source(
            self.judge, self.account, holder=self.holder, clock=self.clock
        )

    def session(self) -> Client:
        return client(self.colour, self.account, self.tokens)

    def measure(self, session: Client | None = None, expect: list[str] | None = None) -> Cell:
        """Use a session once and count; a new session unless one is given."""
        requests, connections = len(self.judge.token_requests), self._connections()
        own = session or self.session()
        try:
            got = own.use(self.wire)
        except MailOAuthError as error:
            outcome = type(error).__name__
        else:
            outcome = "success"
            if expect is not None:
                assert got == expect
        finally:
            if session is None:
                own.end()
        return Cell(
            len(self.judge.token_requests) - requests,
            self._connections() - connections,
            outcome,
        )

    def _connections(self) -> int:
        return sum(one.protocol == self.wire for one in self.judge.connections)


def needs_emulator(bench: Bench) -> OutlookEmulator:
    if not isinstance(bench.judge, OutlookEmulator):
        pytest.skip("Dovecot and Postfix cannot be told to answer so")
    return bench.judge


def good_token(bench: Bench) -> Cell:
    return bench.measure()


def expired_by_the_clock(bench: Bench) -> Cell:
    bench.clock.ahead = 3600
    return bench.measure()


def refused_by_the_server(bench: Bench) -> Cell:
    bench.judge.expire_tokens()
    return bench.measure()


def refused_twice(bench: Bench) -> Cell:
    # Bob's tokens never open Ada's mailbox, fresh or not.
    return Bench(bench.judge, bench.wire, bench.colour, holder="bob@example.com").measure()


def the_same_again_within_5_minutes(bench: Bench) -> Cell:
    bench = Bench(bench.judge, bench.wire, bench.colour, holder="bob@example.com")
    bench.measure()
    return bench.measure()


def accepted_then_revoked_again_at_once(bench: Bench) -> Cell:
    bench.judge.expire_tokens()
    assert bench.measure().outcome == "success"
    bench.judge.expire_tokens()
    return bench.measure()


def smtp_auth_disabled(bench: Bench) -> Cell:
    if bench.wire == "imap":
        pytest.skip("535 5.7.139 is a reply of SMTP")
    needs_emulator(bench).refuse("smtp", DISABLED)
    return bench.measure()


def authenticated_but_not_connected(bench: Bench) -> Cell:
    if bench.wire == "smtp":
        pytest.skip("only IMAP has this reply")
    needs_emulator(bench).not_connected("ada@example.com")
    return bench.measure()


def cut_during_authenticate(bench: Bench) -> Cell:
    if isinstance(bench.judge, RealServers):
        # In the middle of the line that carries the token, which has 3.5 kB.
        bench.judge.lines[bench.wire].cut_after(2500, "client")
    else:
        needs_emulator(bench).on(bench.wire, _authenticate(bench), Cut())
    return bench.measure()


def silent_server(bench: Bench) -> Cell:
    if isinstance(bench.judge, RealServers):
        bench.judge.lines[bench.wire].stall("server")
    else:
        needs_emulator(bench).on(bench.wire, _authenticate(bench), Silent())
    return bench.measure()


def bye_access_token_expired_in_mid_fetch(bench: Bench) -> Cell:
    if bench.wire == "smtp":
        pytest.skip("SMTP servers look at the token only at AUTH")
    emulator = needs_emulator(bench)
    subjects = [f"message-{number}" for number in range(120)]
    for subject in subjects:
        emulator.deliver("ada@example.com", note(subject))
    emulator.bye_after_messages(70)
    return bench.measure(expect=subjects)


def line_cut_and_token_ended_between_two_uses(bench: Bench) -> Cell:
    session = bench.session()
    try:
        assert bench.measure(session).outcome == "success"
        bench.judge.expire_tokens()
        bench.judge.disconnect(bench.wire)
        return bench.measure(session)
    finally:
        session.end()


def throttled(bench: Bench) -> Cell:
    needs_emulator(bench).throttle(bench.wire)
    return bench.measure()


def identity_service_down_while_the_token_lives(bench: Bench) -> Cell:
    bench.judge.identity.down = True
    try:
        bench.clock.ahead = 3600 - 100
        return bench.measure()
    finally:
        bench.judge.identity.down = False


def _authenticate(bench: Bench) -> str:
    return "AUTHENTICATE" if bench.wire == "imap" else "AUTH"


EXPECTED: dict[Callable[[Bench], Cell], Cell] = {
    good_token: Cell(0, 1, "success"),
    expired_by_the_clock: Cell(1, 1, "success"),
    refused_by_the_server: Cell(1, 2, "success"),
    refused_twice: Cell(1, 2, "TokenRefused"),
    the_same_again_within_5_minutes: Cell(0, 1, "TokenRefused"),
    accepted_then_revoked_again_at_once: Cell(1, 2, "success"),
    smtp_auth_disabled: Cell(0, 1, "SendingDisabled"),
    authenticated_but_not_connected: Cell(0, 2, "MailboxUnavailable"),
    cut_during_authenticate: Cell(0, 1, "ConnectionFailed"),
    silent_server: Cell(0, 1, "ConnectionTimedOut"),
    bye_access_token_expired_in_mid_fetch: Cell(1, 2, "success"),
    line_cut_and_token_ended_between_two_uses: Cell(1, 2, "success"),
    throttled: Cell(0, 1, "Throttled"),
    identity_service_down_while_the_token_lives: Cell(0, 1, "success"),
}


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("wire", ["imap", "smtp"])
@pytest.mark.parametrize("scenario", EXPECTED, ids=lambda scenario: scenario.__name__)
def test_matrix(
    judge: Judge,
    scenario: Callable[[Bench], Cell],
    wire: Wire,
    colour: Colour,
    request: pytest.FixtureRequest,
) -> None:
    cell = scenario(Bench(judge, wire, colour))
    _keep(request.node.callspec.params["judge"], scenario.__name__, wire, colour, cell)
    assert cell == EXPECTED[scenario]


def _keep(judge: str, scenario: str, wire: str, colour: str, cell: Cell) -> None:
    if file := os.environ.get("MAILOAUTH_MATRIX"):
        with Path(file).open("a", encoding="utf-8") as table:
            table.write("\t".join([scenario, wire, colour, judge, *map(str, cell)]) + "\n")
