"""What tests can let go wrong at the embedded Outlook, and what it allows its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.emulator.disturbance import Disturbance, Odds
from mailoauth.emulator.faults import EndAfterMessages, Faults
from mailoauth.emulator.limits import Limits

if TYPE_CHECKING:
    from mailoauth.emulator.faults import Action
    from mailoauth.emulator.identity import IdentityService
    from mailoauth.emulator.imap import ImapServer
    from mailoauth.emulator.loop import LoopThread
    from mailoauth.emulator.records import Protocol
    from mailoauth.emulator.signin import Directory
    from mailoauth.emulator.smtp_server import SmtpServer

PROTOCOLS: tuple[Protocol, Protocol] = ("imap", "smtp")


class Switches:
    """The part of the embedded Outlook that makes trouble."""

    identity: IdentityService
    _directory: Directory
    _thread: LoopThread
    _imap: ImapServer
    _smtp: SmtpServer

    def __init__(self) -> None:
        self._faults = Faults()
        self._limits = Limits()

    def expire_tokens(self) -> None:
        """End all access tokens; live IMAP sessions end at their next command or in IDLE."""
        self.identity.expire_tokens()

    def revoke(self, address: str) -> None:
        """End every sign-in of a user: access and refresh tokens."""
        self.identity.revoke(address)

    def refuse(self, protocol: Protocol, reply: str, times: int = 1) -> None:
        """Refuse the next sign-ins with this reply ("NO ...", "535 ..."), whatever their token."""
        self._faults.refuse(protocol, reply, times)

    def throttle(
        self, protocol: Protocol | None = None, reply: str | None = None, times: int = 1
    ) -> None:
        """Let the next commands that sign in, read or send be throttled; None: on both protocols."""
        for each in _chosen(protocol):
            self._faults.throttle(each, reply, times)

    def disconnect(self, protocol: Protocol | None = None) -> None:
        """Cut the live connections; None: of both protocols."""
        for each in _chosen(protocol):
            self._thread.call(self._server(each).disconnect)

    def not_connected(self, address: str, times: int | None = None) -> None:
        """Let the next IMAP sign-ins to the mailbox succeed and their commands fail; None: all.

        Each command is answered "BAD User is authenticated but not connected.", the
        third ends the session.
        """
        self._faults.not_connected(self._directory.known(address), times)

    def on(self, protocol: Protocol, command: str, action: Action, times: int = 1) -> None:
        """Let the next such commands go wrong: ``Cut()``, ``Silent()`` or ``Reply("...")``.

        "FETCH" is also "UID FETCH". "CONNECT" is the greeting; on SMTP "MESSAGE" is the
        middle of a message, "." its end, before the reply.
        """
        self._faults.on(protocol, command, action, times)

    def bye_after_messages(
        self,
        count: int,
        text: str = "Session invalidated - AccessTokenExpired",
        *,
        expire: bool = True,
        cut_in_literal: bool = False,
    ) -> None:
        """End the session that has sent the last of so many messages, counted over all of them.

        ``expire`` ends all access tokens with it; ``cut_in_literal`` cuts the line in
        the middle of the next message instead of saying BYE.
        """
        self._faults.end_after(EndAfterMessages(count, text, expire, cut_in_literal))

    def refuse_recipient(self, address: str, reply: str) -> None:
        """Refuse a recipient with this reply from now on."""
        self._faults.refuse_recipient(address, reply)

    # At random.

    def disturb(
        self,
        *,
        seed: int,
        cut_before: float = 0.0,
        cut_after: float = 0.0,
        cut_in_reply: float = 0.0,
        cut_in_message: float = 0.0,
        refuse: float = 0.0,
        backoff: float | None = None,
    ) -> None:
        """Let SMTP go wrong at random from now on, at every place with these probabilities.

        Places are the greeting, every command and the end of a message: there the line is
        cut before anything is done, after it is done, or in the middle of the answer, or
        421, 432 or 451 is the answer. ``cut_in_message`` is for the middle of each message.
        ``backoff`` is suggested with every such answer, in seconds. None of this where
        another switch has something go wrong.
        """
        odds = Odds(cut_before, cut_after, cut_in_reply, cut_in_message, refuse)
        self._faults.disturbance = Disturbance(seed, odds, backoff=backoff)

    def calm(self) -> None:
        """End what :meth:`disturb` began."""
        self._faults.disturbance = None

    @property
    def disturbances(self) -> list[tuple[str, Action]]:
        """What has gone wrong at random since :meth:`disturb`, and where; empty when calm."""
        disturbance = self._faults.disturbance
        return [] if disturbance is None else list(disturbance.happened)

    # What each user is allowed on SMTP.

    def limit_connections(self, count: int | None, reply: str | None = None) -> None:
        """Refuse a sign-in beyond so many live connections of its user, with 432; None: no limit.

        A connection counts from its sign-in until its line is closed.
        """
        self._limits.connections(count, reply)

    def limit_rate(
        self, messages: int | None, *, per: float = 60.0, reply: str | None = None
    ) -> None:
        """Refuse a user's messages beyond so many in any stretch of ``per`` seconds; None: no limit.

        The refusal, 432, is the answer to the message.
        """
        self._limits.rate(messages, per, reply)

    def limit_recipients(self, count: int | None, reply: str | None = None) -> None:
        """Refuse the recipients of a message beyond so many, with 452; None: no limit."""
        self._limits.recipients(count, reply)

    @property
    def limited(self) -> list[str]:
        """The replies that these limits caused, in order."""
        return list(self._limits.refused)

    def _server(self, protocol: Protocol) -> ImapServer | SmtpServer:
        return self._imap if protocol == "imap" else self._smtp


def _chosen(protocol: Protocol | None) -> tuple[Protocol, ...]:
    return PROTOCOLS if protocol is None else (protocol,)
