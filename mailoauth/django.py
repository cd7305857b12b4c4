"""Django's mail: ``EMAIL_BACKEND = "mailoauth.django.EmailBackend"``.

Settings, each also an option of the backend (from Django 6.1 on in ``MAILERS``)::

    MAILOAUTH_ACCOUNT = "ada@example.com"    # account=: its name in the accounts file
    MAILOAUTH_MAILBOX = "team@example.com"   # mailbox=: sends from another mailbox of hers
    MAILOAUTH_TIMEOUT = 30                   # timeout=: seconds for one network step
    MAILOAUTH_DEADLINE = 20                  # deadline=: seconds for one message
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend

from mailoauth.accounts import load_account
from mailoauth.errors import ConfigError, DeliveryUnknown, MailOAuthError, ServerError
from mailoauth.mail.addresses import parse_addresses
from mailoauth.mailer import Mailer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailoauth.mail.receipt import SendReceipt

__all__ = ["EmailBackend"]

_logger = logging.getLogger("mailoauth.django")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: The mailers of this process, by process (a fork copies what is here), account and options:
#: Django makes a backend for each message, and connections are to outlive it.
_mailers: dict[tuple[Any, ...], Mailer] = {}
_lock = threading.Lock()


def _new_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_after_fork)


@atexit.register
def _say_goodbye() -> None:
    while _mailers:
        _, mailer = _mailers.popitem()
        with contextlib.suppress(MailOAuthError):  # nobody is left who could do anything
            mailer.close()  # the parent's are left alone


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]  # Django has no types
    """Sends Django's messages, one after the other, over connections that outlive it.

    All backends of a process share one ``Mailer`` an account: :meth:`close` leaves it open.
    The settings' mailbox goes with the settings' account alone. With ``fail_silently`` our
    own errors are logged, without correspondents; what is wrong with a message by Django's
    rules is raised all the same, as in Django's own backends.
    """

    def __init__(
        self,
        *,
        fail_silently: bool = False,
        account: str | None = None,
        mailbox: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(**others)  # which says what it makes of what it does not know
        self.fail_silently = fail_silently
        if username or password:
            raise ConfigError(
                "username and password (auth_user and auth_password) mean nothing to mailoauth: "
                "it signs in with the tokens of an account.",
                remedy="Leave them out; another account is named by MAILOAUTH_ACCOUNT, or account=.",
            )
        self._account = account or _setting("ACCOUNT")
        if not self._account:
            raise ConfigError(
                "Django's settings do not say from which account mail is sent.",
                remedy='Set MAILOAUTH_ACCOUNT = "..." to one that `mailoauth accounts` lists.',
            )
        if mailbox is None and account is None:
            mailbox = _setting("MAILBOX")
        timeout = _setting("TIMEOUT") if timeout is None else timeout
        self._options = {
            "mailbox": mailbox,
            "deadline": _setting("DEADLINE") if deadline is None else deadline,
            **({} if timeout is None else {"timeout": timeout}),
        }
        self._opened = False

    def open(self) -> bool | None:
        """Get the mailer ready; True unless it was, None where that failed silently.

        It connects at the first message.
        """
        if self._opened:
            return False
        self._opened = self._mailer() is not None
        return self._opened or None

    def close(self) -> None:
        """Let go of the mailer, which stays connected for the next backend."""
        self._opened = False

    def send_messages(self, email_messages: Iterable[Any]) -> int:
        """Send messages and return how many were sent; stops at the first that fails.

        With ``fail_silently`` it goes on. A message that some of its recipients were
        refused counts as sent, and is logged. For many messages ``Mailer.send_many`` is
        faster: it uses several connections, and waits where the server asks for it.
        """
        messages = list(email_messages)
        mailer = self._mailer() if messages else None
        return 0 if mailer is None else sum(self._send(mailer, each) for each in messages)

    def _mailer(self) -> Mailer | None:
        try:
            return _shared_mailer(str(self._account), self._options)
        except MailOAuthError as error:
            if not self.fail_silently:
                raise
            self._log(error)
            return None

    def _send(self, mailer: Mailer, message: Any) -> bool:
        everybody = message.recipients()
        if not everybody:
            return False
        made = message.message()  # compat32 before Django 6
        try:
            receipt = mailer.send(
                made,
                recipients=[_plain(each) for each in everybody],
                envelope_sender=_plain(message.from_email),
            )
        except MailOAuthError as error:
            if not self.fail_silently:
                raise
            self._log(error)
            return False
        if receipt.refused:
            self._log_refusals(receipt)
        return True

    def _log(self, error: MailOAuthError) -> None:
        # Not its text, which may name correspondents.
        about = type(error).__name__
        if isinstance(error, ServerError) and error.code:
            about += f" {error.code}"
        if isinstance(error, DeliveryUnknown):
            about += f" {error.message_id}"
        _logger.warning("%s: sending a message failed: %s", self._account, about)

    def _log_refusals(self, receipt: SendReceipt) -> None:
        refused, everybody = len(receipt.refused), len(receipt.refused) + len(receipt.accepted)
        _logger.warning(
            "%s: %d of %d recipients of %s were refused (%s)",
            self._account,
            refused,
            everybody,
            receipt.message_id,
            ", ".join(sorted({reply[:3] for reply in receipt.refused.values()})),
        )


def _setting(name: str) -> Any:
    return getattr(settings, f"MAILOAUTH_{name}", None)


def _shared_mailer(account: str, options: dict[str, Any]) -> Mailer:
    # Read each time: a changed accounts file is heeded without a restart.
    loaded = load_account(account)
    key = (os.getpid(), loaded, *sorted(options.items()))
    with _lock:
        mailer = _mailers.get(key)
        if mailer is None:
            mailer = _mailers[key] = Mailer(loaded, **options)
        return mailer


def _plain(mailbox: Any) -> str:
    """Return the address of "Ada Lee <ada@example.com>"; ``ConfigError`` unless it is just one."""
    text = str(mailbox)  # of a lazy translation, for one
    found = () if _CONTROL.search(text) else parse_addresses(text)
    if len(found) != 1:
        raise ConfigError(
            f"{text!r} is not a mail address.",
            remedy="Each recipient, and the sender, is one address: Ada Lee <ada@example.com>.",
        )
    return found[0].address or text
