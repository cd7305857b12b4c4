"""One app opens thousands of mailboxes, some of which it may not: no hammering."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mailoauth import MailSession, token_source
from mailoauth.emulator import OutlookEmulator
from mailoauth.errors import MailOAuthError, TokenRefused
from tests.judges import note
from tests.soak.scale import scaled

if TYPE_CHECKING:
    from mailoauth import TokenCache
    from mailoauth.accounts import Account
    from mailoauth.tokens.token import AccessToken, TokenSource

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

MAILBOXES = scaled(3000)
DENIED = scaled(200)
ELSEWHERE = "The same token opens other mailboxes"


def read(
    account: Account, mailbox: str, tokens: TokenSource | None = None
) -> list[str | None] | MailOAuthError:
    try:
        with MailSession(account, mailbox=mailbox, tokens=tokens) as mail:
            return [message.subject for message in mail.unseen()]
    except MailOAuthError as error:
        return error


def connections_of(emulator: OutlookEmulator) -> int:
    return len(emulator.connections)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("first", ["good", "denied"])
def test_one_app_over_many_mailboxes_asks_once_and_once_more_for_all_that_are_denied(
    threads: int, first: str
) -> None:
    with OutlookEmulator() as emulator:
        account = emulator.app_account()
        addresses = [f"box{number}@example.com" for number in range(MAILBOXES)]
        denied = set(addresses[:DENIED])
        for address in addresses:
            emulator.add_user(address)
            emulator.deliver(address, note(address, to=address))
        for address in denied:
            emulator.deny_app(address)
        random.Random(2026).shuffle(addresses)
        addresses.sort(key=lambda address: (address in denied) != (first == "denied"))
        head, rest = addresses[:1], addresses[1:]
        random.Random(2027).shuffle(rest)

        started = time.monotonic()
        with ThreadPoolExecutor(threads) as pool:
            order = head + rest
            outcomes = dict(
                zip(order, pool.map(lambda address: read(account, address), order), strict=True)
            )
        seconds = time.monotonic() - started

        requests = len(emulator.token_requests)
        refusals = [outcomes[address] for address in denied]
        told = sum(ELSEWHERE in str(refusal) for refusal in refusals)
        print(
            f"\n{MAILBOXES} mailboxes, {DENIED} denied, {threads} threads, {first} one first: "
            f"{requests} token requests, {connections_of(emulator)} connections, "
            f"{told} of {DENIED} refusals name the other mailboxes, {seconds:.0f} s"
        )
        for address in addresses:
            if address not in denied:
                assert outcomes[address] == [address]
        assert {type(refusal) for refusal in refusals} == {TokenRefused}
        assert requests <= 1 + 1 + seconds // 300
        # Unknown only to those that are refused before another has accepted the new token.
        assert told >= DENIED - 2 * threads
        # The good ones took one connection each; of the others only the first ones two.
        assert connections_of(emulator) <= MAILBOXES + 2 * threads


class HesitantSource:
    """The account's source for one mailbox, which holds a replacement back for a while."""

    def __init__(self, source: TokenCache) -> None:
        self._source = source
        self.replaced = threading.Event()
        self.go_on = threading.Event()
        self.accepted = source.accepted
        self.refused = source.refused
        self.works_elsewhere = source.works_elsewhere

    def get(self, rejected: AccessToken | None = None) -> AccessToken:
        token = self._source.get(rejected)
        if rejected is not None:
            self.replaced.set()
            assert self.go_on.wait(60)
        return token


def test_a_replacement_that_is_still_being_tried_is_not_replaced_by_others() -> None:
    with OutlookEmulator() as emulator:
        account = emulator.app_account()
        addresses = [f"box{number}@example.com" for number in range(20)]
        for address in addresses:
            emulator.add_user(address)
            emulator.deny_app(address)
        hesitant = HesitantSource(token_source(account))
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(read, account, addresses[0], hesitant)
            assert hesitant.replaced.wait(60)
            outcomes = [read(account, address) for address in addresses[1:]]
            hesitant.go_on.set()
            outcomes.append(slow.result())
        requests = len(emulator.token_requests)
        print(f"\n20 denied, 19 of them while the first hesitates: {requests} token requests")
        assert {type(outcome) for outcome in outcomes} == {TokenRefused}
        assert requests == 2
