"""Tokens as long as Microsoft's sign in at servers that take no long lines, and mail arrives.

An AUTH line may have 512 octets (RFC 4954 section 4). Postfix as shipped and Dovecot
submission cut longer ones and complain of bad base64.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Literal

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.judges import client, note, signed_in_source
from tests.real.servers import RealServers, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.emulator.personality import PersonalityName
    from tests.judges import Colour, Judge

Sasl = Literal["xoauth2", "oauthbearer"]

colours = pytest.mark.parametrize("colour", ["sync", "async"])
mechanisms = pytest.mark.parametrize("sasl", ["xoauth2", "oauthbearer"])


@pytest.fixture(scope="module", params=[2600, 6000])
def size(request: pytest.FixtureRequest) -> int:
    """How many characters an access token has."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def servers(size: int) -> Iterator[RealServers]:
    """Dovecot and Postfix, and an identity service that hands out tokens of that size."""
    with running(token_size=size) as started:
        started.add_user("ada@example.com")
        yield started


def sent(judge: Judge) -> int:
    messages = judge.messages("ada@example.com")
    return sum(b"Subject: sent" in message.raw for message in messages)


def wait_for_one_more(judge: Judge, before: int) -> None:
    """Postfix delivers a moment after its 250."""
    end = time.monotonic() + 20
    while sent(judge) == before:
        assert time.monotonic() < end, "the message was accepted, but it did not arrive"
        time.sleep(0.05)
    assert sent(judge) == before + 1


@pytest.mark.real
@pytest.mark.xdist_group("real")
@colours
@mechanisms
@pytest.mark.parametrize("server", ["postfix", "dovecot"])
def test_a_long_token_sends_through_real_submission_services(
    servers: RealServers,
    size: int,
    server: Literal["postfix", "dovecot"],
    sasl: Sasl,
    colour: Colour,
) -> None:
    account = servers.account("ada@example.com", smtp=server, sasl=sasl)
    tokens = signed_in_source(servers, account)
    assert len(tokens.get().value) == size
    before = sent(servers)
    session = client(colour, account, tokens)
    try:
        assert session.use("smtp") == ["sent"]
        wait_for_one_more(servers, before)
    finally:
        session.end()


@pytest.mark.real
@pytest.mark.xdist_group("real")
@colours
@mechanisms
@pytest.mark.parametrize("entrance", ["imap", "imap_starttls"])
def test_a_long_token_reads_at_dovecot(
    servers: RealServers, entrance: str, sasl: Sasl, colour: Colour
) -> None:
    servers.clear("ada@example.com")
    servers.deliver("ada@example.com", note("unread"))
    account = servers.account("ada@example.com", imap=getattr(servers, entrance), sasl=sasl)
    session = client(colour, account, signed_in_source(servers, account))
    try:
        assert session.use("imap") == ["unread"]
    finally:
        session.end()


@colours
@pytest.mark.parametrize(
    ("personality", "sasl"),
    [("outlook", "xoauth2"), ("gmail", "xoauth2"), ("gmail", "oauthbearer")],
)
def test_a_long_token_passes_an_emulator_that_takes_512_octets_a_line(
    size: int, personality: PersonalityName, sasl: Sasl, colour: Colour
) -> None:
    with OutlookEmulator(
        personality=personality, token_size=size, strict_auth_line=True
    ) as emulator:
        emulator.add_user("ada@example.com")
        account = emulator.account("ada@example.com")
        provider = dataclasses.replace(account.provider, sasl=sasl)
        account = dataclasses.replace(account, provider=provider)
        tokens = signed_in_source(emulator, account)
        assert len(tokens.get().value) == size
        session = client(colour, account, tokens)
        try:
            assert session.use("smtp") == ["sent"]
            assert session.use("imap") == ["sent"]
        finally:
            session.end()
        # One AUTH: a line refused for its length would have cost a second sign-in.
        smtp = [each for each in emulator.connections if each.protocol == "smtp"]
        assert [each.commands.count("AUTH") for each in smtp] == [1]
