"""One IMAP session: pymap's state machine between a TLS socket and the faults."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from proxyprotocol.sock import SocketInfo
from pymap.context import current_command, subsystem
from pymap.imap import IMAPConnection
from pymap.parsing.commands import InvalidCommand
from pymap.parsing.response import (
    CommandResponse,
    Response,
    ResponseBad,
    ResponseBye,
    ResponseContinuation,
    ResponseOk,
)
from pymap.parsing.response.specials import FetchResponse

from mailoauth.emulator.faults import Cut, Silent
from mailoauth.emulator.imap_state import Authenticate, Raw, Refused, State
from mailoauth.emulator.signin import parse_claim

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

    from pymap.imap.state import ConnectionState
    from pymap.parsing.command import Command
    from pymap.parsing.command.select import IdleCommand
    from pysasl.creds.server import ServerCredentials

    from mailoauth.emulator.faults import Action, EndAfterMessages
    from mailoauth.emulator.imap import ImapServer
    from mailoauth.emulator.records import Connection

_SCOPE = "IMAP.AccessAsUser.All"

# Commands that Exchange answers in a session that has no mailbox behind it.
_WITHOUT_MAILBOX = frozenset(("CAPABILITY", "ID", "NOOP", "LOGOUT"))
_PATIENCE = 3  # such commands, then the session ends

_CHUNK = 1 << 16
_LONGEST_VERB = 20

# How soon a session in IDLE is told that its token has ended, in seconds.
_IDLE_CHECK = 0.1

_MESSAGE_CONTENT = (b"BODY", b"BODY.PEEK", b"RFC822", b"RFC822.TEXT", b"BINARY", b"BINARY.PEEK")


class LineClosed(ConnectionError):
    """The session is over; nothing more is written."""


class ImapSession(IMAPConnection):
    """One session: what goes wrong on purpose is done here, before and behind pymap."""

    def __init__(
        self, server: ImapServer, reader: StreamReader, writer: StreamWriter, record: Connection
    ) -> None:
        info = SocketInfo.get(writer, None)
        super().__init__(server.commands, server.config, reader, writer, info)
        self._server = server
        self._record = record
        self._connected = True
        self._complaints = 0
        self._lose_reply: Action | None = None

    @classmethod
    def _print(cls, log_format: str, output: str | bytes) -> None:
        """Log nothing: pymap would log tokens and mail at DEBUG."""

    async def run(self, state: ConnectionState) -> None:
        """Serve until the client leaves or the session is ended."""
        greeting = self._server.faults.action("imap", "CONNECT")
        if greeting is not None:
            await self._act(greeting, b"*")
        await super().run(state)

    async def read_command(self, state: ConnectionState) -> Command:
        """Read the next command that pymap is to answer."""
        assert isinstance(state, State)  # noqa: S101 - run() is only given that
        while True:
            command = await super().read_command(state)
            verb = _verb(command)
            self._record.commands.append(verb)
            if not await self._disturbed(state, command, verb):
                return command

    async def authenticate(
        self, state: ConnectionState, mech_name: bytes
    ) -> ServerCredentials | None:
        """Judge the token; the state opens the mailbox."""
        assert isinstance(state, State)  # noqa: S101 - run() is only given that
        mechanism = mech_name.decode("ascii", "replace")
        personality = self._server.personality
        if mechanism not in personality.mechanisms:
            raise Refused("NO Unsupported authentication mechanism.")
        claim = parse_claim(mechanism, await self._encoded_claim())
        refusal = self._server.faults.refusal("imap")
        if refusal is not None:
            raise Refused(refusal)
        signed_in = self._server.directory.admit(claim, _SCOPE)
        if signed_in is None:
            challenge = personality.challenge.get(mechanism)
            if challenge is not None:
                await self.write_response(ResponseContinuation(base64.b64encode(challenge)))
                await self.read_continuation(0)
            raise Refused(personality.imap_refusal)
        state.signed_in = signed_in
        self._record.signed_in_as = signed_in.mailbox
        self._connected = self._server.faults.connects(signed_in.mailbox)
        return None

    async def idle(self, state: ConnectionState, cmd: IdleCommand) -> CommandResponse:
        """Report what happens until the client says DONE or the token ends."""
        assert isinstance(state, State)  # noqa: S101 - run() is only given that
        response = await state.do_command(cmd)
        if not isinstance(response, ResponseOk):
            return response
        text = self._server.personality.imap_idling.encode()
        await self.write_response(ResponseContinuation(text))
        done = subsystem.get().new_event()
        reporting = asyncio.create_task(self.handle_updates(state, done, cmd))
        try:
            ended_well = await self._done(state, cmd)
        finally:
            done.set()
            await asyncio.gather(reporting, return_exceptions=True)
        return response if ended_well else ResponseBad(cmd.tag, b"Command Error. 12")

    async def write_response(self, resp: Response) -> None:
        """Write in large pieces, and end the session in the middle where that is asked for."""
        if self._lose_reply is not None and isinstance(resp, CommandResponse):
            await self._vanish(self._lose_reply)
        buffer = _Buffer(self.writer)
        if isinstance(resp, CommandResponse):
            # pymap offers no other way to write one untagged response at a time.
            for untagged in resp._untagged:  # noqa: SLF001 - see above
                if isinstance(untagged, FetchResponse) and _has_content(untagged):
                    await self._write_message(untagged, buffer)
                else:
                    await untagged.async_write(buffer)
                await buffer.drain(_CHUNK)
            await self._end_if_due(buffer)
            Response.write(resp, buffer)
        else:
            await resp.async_write(buffer)
        await buffer.drain()

    async def send_error_disconnect(self) -> None:
        """Say nothing: neither provider does."""

    async def _encoded_claim(self) -> bytes:
        command = current_command.get()
        initial = command.initial if isinstance(command, Authenticate) else None
        if initial is None:
            await self.write_response(ResponseContinuation(b""))
            initial = bytes(await self.read_continuation(0)).strip()
        return initial

    async def _disturbed(self, state: State, command: Command, verb: str) -> bool:
        """Return whether the command was answered here; LineClosed where the session ends."""
        if state.signed_in and not self._server.directory.still_admitted(state.signed_in):
            await self._bye(self._server.personality.imap_session_ended)
        action = self._server.faults.action("imap", verb)
        if isinstance(action, Cut | Silent) and action.carried_out:
            self._lose_reply = action
            return False
        if action is not None:
            await self._act(action, command.tag)
            return True
        if state.signed_in and not self._connected and verb not in _WITHOUT_MAILBOX:
            text = b"User is authenticated but not connected."
            await self.write_response(ResponseBad(command.tag, text))
            self._complaints += 1
            if self._complaints >= _PATIENCE:
                await self._bye("Connection closed. 14")
            return True
        return False

    async def _act(self, action: Action, tag: bytes) -> None:
        if isinstance(action, Cut | Silent):
            await self._vanish(action)
            return
        response = Raw(tag, action.text)
        await self.write_response(response)
        if response.is_terminal:
            raise LineClosed

    async def _vanish(self, action: Action) -> None:
        if isinstance(action, Cut):
            self.writer.transport.abort()
        else:
            while await self.reader.read(_CHUNK):
                pass
        raise LineClosed

    async def _bye(self, text: str) -> None:
        await self.write_response(ResponseBye(text.encode()))
        raise LineClosed

    async def _done(self, state: State, cmd: IdleCommand) -> bool:
        """Wait for DONE, with an eye on the token and on the faults."""
        reading = asyncio.create_task(self.read_idle_done(cmd))
        try:
            while not (await asyncio.wait((reading,), timeout=_IDLE_CHECK))[0]:
                if state.signed_in and not self._server.directory.still_admitted(state.signed_in):
                    await self._bye(self._server.personality.imap_session_ended)
            return reading.result()
        finally:
            reading.cancel()

    async def _write_message(self, response: Response, buffer: _Buffer) -> None:
        faults = self._server.faults
        if not faults.cuts_in_literal():
            await self._end_if_due(buffer)
            await response.async_write(buffer)
        elif (end := faults.ending()) is None:
            await response.async_write(buffer)
        else:
            await buffer.drain()
            await response.async_write(buffer)
            buffer.halve()
            await self._end(end, buffer)
        faults.message_sent()

    async def _end_if_due(self, buffer: _Buffer) -> None:
        faults = self._server.faults
        if not faults.cuts_in_literal() and (end := faults.ending()) is not None:
            await self._end(end, buffer)

    async def _end(self, end: EndAfterMessages, buffer: _Buffer) -> None:
        if end.expire:
            self._server.expire_tokens()
        if not end.cut_in_literal:
            buffer.write(f"* BYE {end.text}\r\n".encode())
        await buffer.drain()
        raise LineClosed


class _Buffer:
    """Collects what pymap writes in small pieces, each of which would be a TLS record."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def halve(self) -> None:
        del self._data[len(self._data) // 2 :]

    async def drain(self, over: int = 0) -> None:
        if len(self._data) > over:
            self._writer.write(bytes(self._data))
            self._data.clear()
            await self._writer.drain()


def _verb(command: Command) -> str:
    if not isinstance(command, InvalidCommand):
        return command.command.decode("ascii")
    # A client that is out of step may have sent its token where a verb belongs.
    name = command.value.decode("ascii", "replace")
    return name if command.command_type or len(name) < _LONGEST_VERB else "?"


def _has_content(response: FetchResponse) -> bool:
    """Return whether a message itself is sent, not its flags, headers, parts or later pieces."""
    return any(
        attribute.value in _MESSAGE_CONTENT
        and (attribute.section is None or attribute.section.specifier in {None, b"TEXT"})
        and (attribute.section is None or not attribute.section.parts)
        and (attribute.partial is None or attribute.partial.start == 0)
        for attribute in response.data
    )
