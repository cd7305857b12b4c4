"""Transaction: one message over a signed-in line, and what is certain about it at each step."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal, TypeVar

from mailoauth.errors import (
    ConnectionFailed,
    MailOAuthError,
    SendingDisabled,
    ServerError,
    Throttled,
    TokenRefused,
)
from mailoauth.mail.submission import outcomes
from mailoauth.mail.submission.dialogue import EMPTY_MESSAGE, Answers, groups, pieces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from mailoauth.errors import DeliveryUnknown
    from mailoauth.mail.parcel import Parcel
    from mailoauth.mail.submission.dialogue import Command, Reply
    from mailoauth.mail.submission.outcomes import Service
    from mailoauth.mail.submission.watches import ReplyWatch
    from mailoauth.network import Deadline

T = TypeVar("T")

_logger = logging.getLogger("mailoauth.mail")

#: Bytes a second of a slow line: what is written is in the system's buffers, not yet at the
#: server, so that much longer than the time-out its reply may take (RFC 5321 section 4.5.3.2.6
#: allows ten minutes).
_SLOWEST = 50_000

#: RFC 5321 section 3.8: in place of any reply, and the line ends.
_CLOSING = 421


class Transaction:
    """One mail transaction (RFC 5321 section 3.3); to be run once.

    ``left`` is what it leaves behind: "broken" is a line on which nothing may be said any
    more, "open" one that needs RSET before the next message, "over" one as good as before.
    """

    def __init__(
        self, line: ReplyWatch, service: Service, *, timeout: float, deadline: Deadline
    ) -> None:
        self.left: Literal["broken", "open", "over"] = "broken"
        self._line = line
        self._service = service
        self._timeout = timeout
        self._deadline = deadline

    async def introduce(
        self, parcel: Parcel, said: Sequence[Command], *, pipelining: bool, used: bool
    ) -> dict[str, Reply]:
        """Say everything before the message; return the recipients that were refused.

        Raises unless the server waits for the message now. ``used`` is whether the line may
        have been idle for long.
        """
        answers = Answers(len(parcel.recipients))
        try:
            for group in groups(said, pipelining=pipelining):
                await self._say(group, answers, parcel, used=used)
                if answers.pointless:
                    break
        except MailOAuthError:
            # Servers hang up on whoever makes too many errors, and each command behind a
            # refused MAIL is one: what was refused is what the caller must know.
            if not answers.pointless:
                raise
        else:
            self.left = "broken" if answers.let_in else "open"
        await self._judge(answers, parcel)
        return answers.refused

    async def _say(
        self, group: Sequence[Command], answers: Answers, parcel: Parcel, *, used: bool
    ) -> None:
        self._write(b"".join([one.line for one in group]), len(group), group[0].verb)
        for command in group:
            reply = await self._reply(command.verb, self._step())
            if reply.code == _CLOSING:
                raise self._goodbye(command, reply, parcel, used=used)
            if not answers.note(command, reply):
                raise outcomes.not_smtp(command.verb, self._service)

    async def hand_over(self, parcel: Parcel) -> Reply:
        """Write the message and await the reply to it: the one stretch that is never repeated."""
        step = self._step()
        message = pieces(parcel.data)
        # Whatever is raised here is raised before anything is written.
        self._write(next(message), 1, "DATA")
        try:
            reply, whole = await self._rest(message, len(parcel.data), step)
        except ConnectionFailed as error:
            raise self._unknown(parcel) from error
        except asyncio.CancelledError as error:
            # The task ends all the same; whoever catches it finds out what is known.
            raise error from self._unknown(parcel)
        if reply.code < 300 and whole:  # noqa: PLR2004 - RFC 5321 section 4.2.1: completed
            self.left = "over"
            return reply
        if reply.code < 400:  # noqa: PLR2004 - not an answer to a message at all
            raise self._unknown(parcel)
        # A server that says no before the message's end waits for the rest of it.
        self.left = "over" if whole else "broken"
        raise self._refusal(reply, parcel.sender)

    async def _rest(self, message: Iterator[bytes], size: int, step: float) -> tuple[Reply, bool]:
        """Return the reply, and whether it came after the whole message."""
        for piece in message:
            await self._await("DATA", self._line.drained(step))
            if self._line.replied:
                return await self._reply("DATA", step), False
            self._write(piece, 0, "DATA")
            step = self._step()
        patience = self._deadline.step(self._timeout + size / _SLOWEST)
        return await self._reply("DATA", patience), True

    async def _judge(self, answers: Answers, parcel: Parcel) -> None:
        """Return if the message may be written now."""
        if answers.mail is not None:
            raise self._refusal(answers.mail, parcel.sender)
        errors = [self._refusal(reply, who) for who, reply in answers.refused.items()]
        for error in errors:
            if isinstance(error, TokenRefused):
                raise error
        if answers.nobody:
            if answers.let_in:
                await self._end_empty()
            raise self._nobody(errors[-1], answers, parcel)
        if answers.data is not None and not answers.let_in:
            raise self._refusal(answers.data, parcel.sender)

    async def _end_empty(self) -> None:
        """End the message that the server waits for though nobody is to get one.

        RFC 2920 section 3.1. Whatever the answer is, nobody was accepted.
        """
        try:
            self._write(EMPTY_MESSAGE, 1, "DATA")
            reply = await self._reply("DATA", self._step())
        except MailOAuthError:
            return
        if reply.code != _CLOSING:
            self.left = "over"

    def _nobody(self, last: MailOAuthError, answers: Answers, parcel: Parcel) -> MailOAuthError:
        if isinstance(last, SendingDisabled):
            # Postfix says only now that it does not take the sender (smtpd_delay_reject).
            reply = answers.refused[parcel.recipients[-1]]
            return self._refusal(reply, parcel.sender)
        if isinstance(last, Throttled) or not isinstance(last, ServerError):
            return last
        replies = {address: str(reply) for address, reply in answers.refused.items()}
        return outcomes.all_refused(replies, last, self._service)

    def _goodbye(
        self, command: Command, reply: Reply, parcel: Parcel, *, used: bool
    ) -> MailOAuthError:
        error = self._refusal(reply, command.recipient or parcel.sender)
        if command.verb in {"RSET", "MAIL"} and used and not isinstance(error, Throttled):
            # RFC 5321 section 3.8: so a server ends a connection that was idle too long.
            ended = outcomes.line_ended(command.verb, self._service)
            ended.__cause__ = error
            return ended
        return error

    def _refusal(self, reply: Reply, who: str) -> MailOAuthError:
        _logger.debug("%s answered %d", self._service.place, reply.code)
        error = outcomes.refused(reply, who, self._service)
        if reply.code == _CLOSING or isinstance(error, TokenRefused):
            # The server has forgotten who signed in; the next message signs in anew.
            self.left = "broken"
        return error

    def _unknown(self, parcel: Parcel) -> DeliveryUnknown:
        self.left = "broken"
        return outcomes.delivery_unknown(parcel.message_id, self._service)

    def _write(self, data: bytes, replies: int, command: str) -> None:
        try:
            self._line.write(data, replies=replies)
        except (EOFError, ValueError) as error:
            raise self._trouble(error, command) from error

    async def _reply(self, command: str, seconds: float) -> Reply:
        return await self._await(command, self._line.reply(seconds))

    async def _await(self, command: str, wait: Awaitable[T]) -> T:
        try:
            return await wait
        except (TimeoutError, EOFError, ValueError) as error:
            raise self._trouble(error, command) from error

    def _trouble(self, error: Exception, command: str) -> ConnectionFailed:
        if isinstance(error, TimeoutError):
            return outcomes.no_answer(command, self._service)
        if isinstance(error, EOFError):
            return outcomes.line_ended(command, self._service)
        return outcomes.not_smtp(command, self._service)

    def _step(self) -> float:
        return self._deadline.step(self._timeout)
