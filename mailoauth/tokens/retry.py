"""The policy: a refused token is replaced by a fresh one, once.

:func:`attempts` decides and does no I/O; :func:`sign_in` and :func:`sign_in_async`
drive it. What is not a refusal of the token (network, throttling, SMTP AUTH
switched off, ...) is raised by the attempt itself and never enters the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, runtime_checkable

from mailoauth.errors import TokenRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from mailoauth.tokens.token import AccessToken, Place, TokenSource

T = TypeVar("T")


@runtime_checkable
class DeadlineSource(Protocol):
    """A source that can bound how long its caller waits."""

    def get_within(self, rejected: AccessToken | None, seconds: float | None) -> AccessToken:
        """As ``get``, but raise ``ConnectionTimedOut`` once the seconds have passed."""
        ...


@runtime_checkable
class LearningSource(Protocol):
    """A source that is told how its tokens fared, so that it can stop hammering."""

    def accepted(self, token: AccessToken, place: Place) -> None:
        """Take note that a server accepted the token."""
        ...

    def refused(self, token: AccessToken, place: Place) -> bool:
        """Take note of a refusal and say whether asking for a fresh token may cure it."""
        ...

    def works_elsewhere(self, token: AccessToken, place: Place) -> bool:
        """Say whether another mailbox or protocol accepted this very token."""
        ...


class Refusal(NamedTuple):
    """How an attempt ended that the server refused because of the token."""

    token: AccessToken
    error: TokenRefused
    curable: bool


def attempts(first: Refusal | None = None) -> Generator[AccessToken | None, Refusal | None, None]:
    """Yield the token to avoid (None: any will do); be sent the refusal, None for success.

    ``first`` is given where the first refusal has happened already, in a live
    session. The second refusal is raised as it is, with the first in its chain.
    """
    if first is None:
        first = yield None
        if first is None:
            return
    if not first.curable:
        raise first.error
    second = yield first.token
    if second is None:
        return
    if second.error is first.error:  # the source handed the refused token back
        raise first.error
    raise second.error from first.error


def sign_in(
    source: TokenSource,
    place: Place,
    attempt: Callable[[AccessToken], T],
    *,
    first: Refusal | None = None,
    remaining: Callable[[], float | None] = lambda: None,
) -> T:
    """Attempt a sign-in with a token of the source, and once more with a fresh one if refused.

    ``attempt`` must start on a clean connection each time and raise ``TokenRefused``
    where the server refused the token. ``first`` is a refusal that a live session met.
    ``remaining`` gives the seconds left of the caller's deadline. Blocks.
    """
    flow = attempts(first)
    rejected = next(flow)
    previous = first
    while True:
        token = obtain(source, rejected, remaining())
        refusal = _handed_back(token, previous, source, place)
        if refusal is None:
            try:
                result = attempt(token)
            except TokenRefused as error:
                refusal = judge(source, token, place, error)
            else:
                _report_success(source, token, place)
                return result
        previous = refusal
        rejected = flow.send(refusal)


async def sign_in_async(
    source: TokenSource,
    place: Place,
    attempt: Callable[[AccessToken], Awaitable[T]],
    *,
    first: Refusal | None = None,
    remaining: Callable[[], float | None] = lambda: None,
) -> T:
    """Do what :func:`sign_in` does for an attempt that is awaited; the source runs in a thread."""
    from asyncio import to_thread  # noqa: PLC0415 - the sync driver must not load asyncio

    flow = attempts(first)
    rejected = next(flow)
    previous = first
    while True:
        token = await to_thread(obtain, source, rejected, remaining())
        refusal = await to_thread(_handed_back, token, previous, source, place)
        if refusal is None:
            try:
                result = await attempt(token)
            except TokenRefused as error:
                refusal = await to_thread(judge, source, token, place, error)
            else:
                _report_success(source, token, place)
                return result
        previous = refusal
        rejected = flow.send(refusal)


def obtain(
    source: TokenSource, rejected: AccessToken | None, seconds: float | None = None
) -> AccessToken:
    """Get a token, within ``seconds`` where the source can bound that; blocks."""
    if isinstance(source, DeadlineSource):
        return source.get_within(rejected, seconds)
    return source.get(rejected)


def judge(source: TokenSource, token: AccessToken, place: Place, error: TokenRefused) -> Refusal:
    """Tell the source of a refusal and learn whether a fresh token may cure it."""
    if not isinstance(source, LearningSource):
        return Refusal(token, error, curable=True)
    curable = source.refused(token, place)
    if not curable and source.works_elsewhere(token, place):
        error.remedy = (
            "The same token opens other mailboxes, so the sign-in is good: this mailbox "
            f"refuses it. {error.remedy}".rstrip()
        )
    return Refusal(token, error, curable)


def _handed_back(
    token: AccessToken, previous: Refusal | None, source: TokenSource, place: Place
) -> Refusal | None:
    # A source that returns the refused value again has nothing better: sending
    # it once more would only earn the account another failed sign-in.
    if previous is None or token.value != previous.token.value:
        return None
    return judge(source, token, place, previous.error)


def _report_success(source: TokenSource, token: AccessToken, place: Place) -> None:
    if isinstance(source, LearningSource):
        source.accepted(token, place)
