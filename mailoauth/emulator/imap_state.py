"""What IMAP commands answer, in the words of Outlook or Gmail; what they do is pymap's."""

from __future__ import annotations

import ssl
from argparse import Namespace
from typing import TYPE_CHECKING, NoReturn, cast

from pymap.concurrent import Subsystem
from pymap.config import BackendCapability, IMAPConfig
from pymap.exceptions import MailboxNotFound, ResponseError
from pymap.imap.state import ConnectionState
from pymap.parsing import Params, Space
from pymap.parsing.command import CommandAuth, CommandNoArgs, CommandNonAuth, CommandSelect
from pymap.parsing.command.nonauth import AuthenticateCommand
from pymap.parsing.commands import Commands, InvalidCommand
from pymap.parsing.primitives import Atom
from pymap.parsing.response import (
    CommandResponse,
    ResponseBad,
    ResponseBye,
    ResponseCode,
    ResponseNo,
    ResponseOk,
    UntaggedResponse,
)
from pymap.parsing.response.code import Capability, PermanentFlags, UidNext, UidValidity, Unseen
from pymap.parsing.response.specials import (
    ExistsResponse,
    FlagsResponse,
    ListResponse,
    LSubResponse,
    RecentResponse,
)
from pysasl.hashing import BuiltinHash

from mailoauth.emulator.mailstore import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymap.interfaces.login import LoginInterface
    from pymap.parsing.command import Command
    from pymap.parsing.command.any import CapabilityCommand, LogoutCommand
    from pymap.parsing.command.auth import ListCommand, SelectCommand
    from pymap.parsing.command.nonauth import LoginCommand
    from pymap.parsing.command.select import SearchCommand
    from pymap.selected import SelectedMailbox
    from pysasl.creds.server import ServerCredentials

    from mailoauth.emulator.mailstore import Mailstore
    from mailoauth.emulator.personality import Personality
    from mailoauth.emulator.signin import SignedIn

_Answer = tuple[CommandResponse, "SelectedMailbox | None"]


class Authenticate(AuthenticateCommand):
    """AUTHENTICATE with an initial response (SASL-IR, RFC 4959), which pymap's has not."""

    def __init__(self, tag: bytes, mech_name: bytes, initial: bytes | None) -> None:
        super().__init__(tag, mech_name)
        self.initial = initial

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Authenticate, memoryview]:
        """Read the mechanism and what may follow it."""
        _, buf = Space.parse(buf, params)
        mechanism, buf = Atom.parse(buf, params)
        line, _, rest = bytes(buf).partition(b"\n")
        initial = line.strip()
        return cls(params.tag, mechanism.value.upper(), initial or None), memoryview(rest)


class Namespace_(CommandNoArgs, CommandAuth):  # noqa: N801 - argparse has the name
    """NAMESPACE (RFC 2342)."""

    command = b"NAMESPACE"


class Unselect(CommandNoArgs, CommandSelect):
    """UNSELECT (RFC 3691)."""

    command = b"UNSELECT"


class Raw(CommandResponse):
    """A reply as a test wrote it: what follows the tag, or an untagged line."""

    def __init__(self, tag: bytes, text: str) -> None:
        untagged = text.startswith("* ")
        super().__init__(b"*" if untagged else tag, text.removeprefix("* ").encode())

    @property
    def is_terminal(self) -> bool:
        """Whether the session ends with it."""
        return self.tag == b"*" and self.text.upper().startswith(b"BYE")


class Refused(ResponseError):
    """A command that is answered with a text of ours."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def get_response(self, tag: bytes) -> CommandResponse:
        """Return the answer."""
        return Raw(tag, self._text)


class Config(IMAPConfig):
    """pymap's settings: one thread, TLS around everything, no passwords."""

    def __init__(self) -> None:
        super().__init__(
            Namespace(proxy_protocol=None),
            host=None,
            port=0,
            subsystem=Subsystem.for_asyncio(),
            cpu_subsystem=Subsystem.for_asyncio(),
            # Neither is used: TLS is around the socket already, and there are no
            # passwords. pymap would look for certificates and a library otherwise.
            ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            hash_context=BuiltinHash(),
            bad_command_limit=None,
        )

    @property
    def backend_capability(self) -> BackendCapability:
        """What the mail store can do beyond IMAP4rev1; never shown, see Personality."""
        return BackendCapability(idle=True, object_id=False, multi_append=False)

    @property
    def commands(self) -> Commands:
        """The commands of pymap and those that the two providers have besides."""
        commands = Commands()
        for command in (Authenticate, Namespace_, Unselect):
            commands.register(command)
        commands.deregister(b"STARTTLS")
        return commands


class State(ConnectionState):
    """One session: what it may do now, and what its commands answer."""

    def __init__(self, config: Config, personality: Personality, store: Mailstore) -> None:
        # pymap asks the login interface only in methods that are replaced here.
        super().__init__(cast("LoginInterface", None), config)
        self.personality = personality
        self.signed_in: SignedIn | None = None
        self._store = store

    @property
    def capability(self) -> Capability:
        """What pymap is to believe that it offers."""
        offered = self.personality.imap_capability_signed_in
        return Capability(word.encode() for word in offered.split() if word != "IMAP4rev1")

    @property
    def identity(self) -> Mapping[bytes, bytes]:
        """What ID says."""
        return self.personality.imap_identity

    async def do_greeting(self) -> CommandResponse:
        """Greet without capabilities: clients must ask."""
        return ResponseOk(b"*", self.personality.imap_greeting.encode())

    async def do_authenticate(
        self,
        cmd: Command,
        creds: ServerCredentials | None,  # noqa: ARG002 - the connection has judged the token
    ) -> CommandResponse:
        """Open the mailbox of a sign-in that was judged before."""
        if self.signed_in is None:
            return Raw(cmd.tag, self.personality.imap_refusal)
        folders = self._store.folders(self.signed_in.mailbox)
        self._session = Session(self.signed_in.mailbox, cast("Config", self.config), folders)
        response = Raw(cmd.tag, self.personality.imap_signed_in.format(user=self.signed_in.mailbox))
        if self.personality.imap_unasked_capability:
            response.add_untagged(UntaggedResponse(self._capability_line))
        return response

    async def do_login(self, cmd: LoginCommand) -> _Answer:
        """Refuse a password."""
        return ResponseNo(cmd.tag, b"LOGIN failed."), None

    async def do_capability(self, cmd: CapabilityCommand) -> _Answer:
        """List the capabilities, other ones after signing in."""
        response = ResponseOk(cmd.tag, b"CAPABILITY completed.")
        response.add_untagged(UntaggedResponse(self._capability_line))
        return response, None

    async def do_list(self, cmd: ListCommand) -> _Answer:
        """List folders; Exchange sends a name with a TAB in it as it is, without quotes."""
        folders, updates = await self.session.list_mailboxes(
            cmd.ref_name, cmd.filter, subscribed=cmd.only_subscribed, selected=self._selected
        )
        response = ResponseOk(cmd.tag, cmd.command + b" completed.")
        kind = LSubResponse if cmd.only_subscribed else ListResponse
        for name, delimiter, attributes in folders:
            if "\t" in name:
                words = b" ".join(b"\\" + word for word in attributes)
                line = b'%b (%b) "/" %b' % (cmd.command, words, name.encode())
                response.add_untagged(UntaggedResponse(line))
            else:
                response.add_untagged(kind(name, delimiter, attributes))
        return response, updates

    async def do_select(self, cmd: SelectCommand) -> _Answer:
        """Select a folder and describe it in Exchange's order."""
        self._selected = None
        folder, updates = await self.session.select_mailbox(cmd.mailbox, cmd.readonly)
        mode = b"READ-ONLY" if updates.readonly else b"READ-WRITE"
        name = b"EXAMINE" if cmd.readonly else b"SELECT"
        response = ResponseOk(cmd.tag, name + b" completed.", ResponseCode.of(mode))
        response.add_untagged(
            ExistsResponse(updates.messages.exists),
            RecentResponse(0),
            FlagsResponse(folder.permanent_flags),
        )
        kept = [] if updates.readonly else folder.permanent_flags
        response.add_untagged_ok(b"Permanent flags", PermanentFlags(kept))
        if folder.first_unseen:
            response.add_untagged_ok(b"Is the first unseen message", Unseen(folder.first_unseen))
        response.add_untagged_ok(b"UIDVALIDITY value", UidValidity(folder.uid_validity))
        response.add_untagged_ok(b"The next unique identifier value", UidNext(folder.next_uid))
        return response, updates

    async def do_search(self, cmd: SearchCommand) -> _Answer:
        """Search, in the character sets that the provider knows."""
        known = self.personality.charsets
        if cmd.charset and cmd.charset.upper() not in known:
            code = ResponseCode.of(b"BADCHARSET (%b)" % " ".join(known).encode())
            text = b"The specified charset is not supported."
            return ResponseNo(cmd.tag, text, code), None
        return await super().do_search(cmd)

    async def do_namespace(self, cmd: Namespace_) -> _Answer:
        """Say that folders are parted by a slash."""
        response = ResponseOk(cmd.tag, b"NAMESPACE completed.")
        response.add_untagged(UntaggedResponse(b'NAMESPACE (("" "/")) NIL NIL'))
        return response, None

    async def do_unselect(self, cmd: Unselect) -> _Answer:
        """Leave the folder without expunging."""
        self._selected = None
        return ResponseOk(cmd.tag, b"UNSELECT completed."), None

    async def do_logout(self, cmd: LogoutCommand) -> NoReturn:  # type: ignore[override]  # noqa: ARG002 - pymap's is a classmethod, called on the instance
        """Say farewell."""
        raise _Farewell(self.personality.imap_farewell)

    async def do_command(self, cmd: Command) -> CommandResponse:
        """Answer a command, or refuse one that is malformed or comes at the wrong time."""
        if isinstance(cmd, InvalidCommand):
            known = cmd.command_type is not None
            return ResponseBad(
                cmd.tag, b"Command %b" % (b"Argument Error. 11" if known else b"Error. 10")
            )
        too_early = self._session is None and isinstance(cmd, CommandAuth)
        too_late = self._session is not None and isinstance(cmd, CommandNonAuth)
        unselected = self._selected is None and isinstance(cmd, CommandSelect)
        if too_early or too_late or unselected:
            return ResponseBad(cmd.tag, b"Command received in Invalid state.")
        try:
            return await super().do_command(cmd)
        except MailboxNotFound as missing:
            # Neither provider sends NONEXISTENT (RFC 5530); TRYCREATE is IMAP4rev1's own.
            response = missing.get_response(cmd.tag)
            if bytes(response.code or ResponseCode.of(b"")) == b"[NONEXISTENT]":
                response.code = None
            return response

    @property
    def _capability_line(self) -> bytes:
        signed_in = self._session is not None
        offered = (
            self.personality.imap_capability_signed_in
            if signed_in
            else self.personality.imap_capability
        )
        return f"CAPABILITY {offered}".encode()


class _Farewell(Refused):
    def get_response(self, tag: bytes) -> CommandResponse:
        response = ResponseOk(tag, b"LOGOUT completed.")
        response.add_untagged(ResponseBye(self._text.encode()))
        return response
