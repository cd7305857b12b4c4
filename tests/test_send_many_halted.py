"""Many messages: a run that ends while some of its workers wait for something else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.errors import ServerError, Throttled
from mailoauth.mail.mailing.pace import Pace
from mailoauth.mail.many import AsyncReceipts
from tests.many_world import FakeMailer, Time, note, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


DAY_OVER = "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"


def test_the_daily_limit_is_said_even_while_the_input_waits() -> None:
    mailer = FakeMailer(connections=3)
    mailer.trouble = lambda number, _: refusal(DAY_OVER) if number == 2 else None

    async def everything() -> None:
        async def messages() -> AsyncIterator[dict[str, Any]]:
            yield note(1)
            yield note(2)
            await asyncio.Event().wait()

        many = AsyncReceipts(mailer, messages(), pace=Time().pace())
        async with asyncio.timeout(5):
            assert (await anext(many)).key == "#1"
            with pytest.raises(Throttled, match="stopped at message 2"):
                await anext(many)

    asyncio.run(everything())


def test_the_daily_limit_is_said_even_while_a_repetition_is_waited_for() -> None:
    mailer = FakeMailer(connections=2)

    async def everything() -> None:
        sleeping = asyncio.Event()

        async def sleep(_: float) -> None:
            sleeping.set()
            await asyncio.Event().wait()

        async def messages() -> AsyncIterator[dict[str, Any]]:
            yield note(1)
            yield note(2)

        mailer.held = sleeping
        mailer.trouble = lambda number, _: (
            refusal("450 4.2.1 The mailbox is busy") if number == 1 else None
        )
        mailer.after_data = lambda _, __: refusal(DAY_OVER)
        many = AsyncReceipts(mailer, messages(), pace=Pace(sleep=sleep))
        async with asyncio.timeout(5):
            given_up = await anext(many)
            assert given_up.key == "#1"
            assert isinstance(given_up.error, ServerError)
            with pytest.raises(Throttled, match="stopped at message 2"):
                await anext(many)

    asyncio.run(everything())


def test_a_key_that_raises_is_said_even_while_the_input_waits() -> None:
    def key(_: Any) -> str:
        raise ZeroDivisionError

    async def everything() -> None:
        async def messages() -> AsyncIterator[dict[str, Any]]:
            yield note(1)
            await asyncio.Event().wait()

        async with asyncio.timeout(5):
            with pytest.raises(ZeroDivisionError):
                await anext(AsyncReceipts(FakeMailer(connections=2), messages(), key=key))

    asyncio.run(everything())
