"""A refresh that failed: whether the old token is lent, and when to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailoauth.errors import MailOAuthError, Throttled

if TYPE_CHECKING:
    from mailoauth.tokens.record import TokenRecord

#: Seconds for which a living token is lent before a refresh that failed is tried again.
_PAUSE: Final = 15.0


class Trouble:
    """A refresh that failed: how, and until when it need not be tried again."""

    def __init__(self, error: MailOAuthError, now: float) -> None:
        self.error = error
        asked = error.retry_after if isinstance(error, Throttled) else None
        self._asked_until = now + (asked or 0.0)
        self._until = now + max(asked or 0.0, _PAUSE)

    def answer(self, record: TokenRecord | None, floor: int, now: float) -> TokenRecord | None:
        """Return the living token, None if it is time to try; raise where we were told to wait."""
        if not now < self._until or (record is not None and record.sign_in_required):
            return None
        if record is not None and record.generation > floor and record.lives(now):
            return record
        if now < self._asked_until:
            raise self.error
        return None

    def lend(self, record: TokenRecord | None, floor: int, now: float) -> TokenRecord:
        """Return the old token while it lives and was not rejected, else raise the error."""
        if record is not None and record.generation > floor and record.lives(now):
            return record
        raise self.error


def log_refreshed(name: str, generation: int, *, rejected: bool) -> None:
    """Tell in the log why a token was replaced."""
    import logging  # noqa: PLC0415 - not needed to import mailoauth

    why = "the server refused the old one" if rejected else "the old one was about to end"
    logging.getLogger("mailoauth.tokens").info(
        "token of %s refreshed (generation %d): %s", name, generation, why
    )


def log_lending(name: str, error: BaseException) -> None:
    """Tell in the log that the old token is used for now."""
    import logging  # noqa: PLC0415 - not needed to import mailoauth

    logging.getLogger("mailoauth.tokens").warning(
        "token of %s could not be refreshed, the old one still lives and is used: %s", name, error
    )
