"""The policy, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import ConnectionFailed, SendingDisabled, TokenRefused
from mailoauth.tokens.retry import Refusal, attempts, sign_in, sign_in_async
from mailoauth.tokens.token import AccessToken
from tests.fakes import ScriptedSource

if TYPE_CHECKING:
    from mailoauth.tokens.token import TokenSource

PLACE = "imap ada@example.com"


class Server:
    """Accepts one token and refuses the others, or raises what it is told to."""

    def __init__(self, accepts: str, trouble: Exception | None = None) -> None:
        self.accepts = accepts
        self.trouble = trouble
        self.tried: list[str] = []

    def __call__(self, token: AccessToken) -> str:
        self.tried.append(token.value)
        if self.trouble is not None:
            raise self.trouble
        if token.value != self.accepts:
            raise TokenRefused(
                f"refused attempt {len(self.tried)}", reply="NO AUTHENTICATE failed."
            )
        return f"signed in with {token.value}"


Run = Callable[..., str]


def run_sync(source: TokenSource, server: Server, first: Refusal | None = None) -> str:
    return sign_in(source, PLACE, server, first=first)


def run_async(source: TokenSource, server: Server, first: Refusal | None = None) -> str:
    async def attempt(token: AccessToken) -> str:
        return server(token)

    return asyncio.run(sign_in_async(source, PLACE, attempt, first=first))


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    driver: Run = request.param
    return driver


def test_a_good_token_is_used_once(run: Run) -> None:
    source, server = ScriptedSource("good"), Server("good")
    assert run(source, server) == "signed in with good"
    assert source.asked == [None]
    assert server.tried == ["good"]


def test_a_refused_token_is_replaced_once(run: Run) -> None:
    source, server = ScriptedSource("stale", "fresh"), Server("fresh")
    assert run(source, server) == "signed in with fresh"
    assert source.asked == [None, "stale"]
    assert server.tried == ["stale", "fresh"]


def test_the_second_refusal_is_raised_with_the_first_in_its_chain(run: Run) -> None:
    source, server = ScriptedSource("stale", "fresh", "never"), Server("other")
    with pytest.raises(TokenRefused, match="refused attempt 2") as caught:
        run(source, server)
    assert str(caught.value.__cause__) == "refused attempt 1"
    assert server.tried == ["stale", "fresh"]


def test_a_source_that_hands_the_refused_value_back_is_not_tried_again(run: Run) -> None:
    source, server = ScriptedSource("stale"), Server("other")
    with pytest.raises(TokenRefused, match="refused attempt 1"):
        run(source, server)
    assert source.asked == [None, "stale"]
    assert server.tried == ["stale"]


@pytest.mark.parametrize(
    "trouble",
    [ConnectionFailed("cut"), SendingDisabled("535 5.7.139")],
    ids=["network", "no cure"],
)
def test_what_no_token_cures_never_asks_for_another(run: Run, trouble: Exception) -> None:
    source, server = ScriptedSource("good"), Server("good", trouble)
    with pytest.raises(type(trouble)):
        run(source, server)
    assert source.asked == [None]


def test_a_refusal_in_a_live_session_counts_as_the_first(run: Run) -> None:
    source, server = ScriptedSource("fresh"), Server("other")
    ended = Refusal(AccessToken("ended"), TokenRefused("BYE AccessTokenExpired"), curable=True)
    with pytest.raises(TokenRefused, match="refused attempt 1") as caught:
        run(source, server, ended)
    assert caught.value.__cause__ is ended.error
    assert source.asked == ["ended"]


def test_a_refusal_that_is_not_curable_asks_for_nothing(run: Run) -> None:
    class Knowing(ScriptedSource):
        def accepted(self, token: AccessToken, place: str) -> None: ...

        def refused(self, token: AccessToken, place: str) -> bool:
            return False

        def works_elsewhere(self, token: AccessToken, place: str) -> bool:
            return True

    source, server = Knowing("stale", "fresh"), Server("fresh")
    with pytest.raises(TokenRefused, match="The same token opens other mailboxes"):
        run(source, server)
    assert source.asked == [None]


def test_the_decision_itself_does_no_io() -> None:
    flow = attempts()
    assert next(flow) is None
    token = AccessToken("stale")
    assert flow.send(Refusal(token, TokenRefused("no"), curable=True)) is token
    with pytest.raises(StopIteration):
        flow.send(None)
