"""What `mailoauth send-many` says at its end: how many were sent, and what is to be done next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailoauth.cli.failures import ranges
from mailoauth.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mailoauth.errors import MailOAuthError
    from mailoauth.mail.many import Progress


class Ending(NamedTuple):
    """How a run ended."""

    progress: Progress
    total: int
    #: The states of what earlier runs were done with: "sent", "partly", "refused".
    earlier: Mapping[str, int]
    refused: int  # for good, of those that this run began
    sent: Collection[int]  # lines
    error: MailOAuthError | None  # what ended it
    journaled: bool

    @property
    def some_refused(self) -> bool:
        """Whether some did not get theirs, and never will."""
        refused = self.refused or self.progress.partly
        return bool(refused or self.earlier.get("partly") or self.earlier.get("refused"))

    @property
    def all_sent(self) -> bool:
        """Whether everybody on the list has got the message."""
        return self.progress.sent + self.progress.skipped == self.total and not self.some_refused

    def summary(self) -> str:
        """Count what became of the messages."""
        progress = self.progress
        said = [f"{progress.sent} of {self.total} message{'' if self.total == 1 else 's'} sent"]
        for count, what in (
            (progress.partly, "sent to some of their recipients"),
            (progress.failed, "not sent"),
            (progress.unknown, "perhaps sent"),
            (progress.skipped, f"done by an earlier run{self._of_earlier()}"),
            (self.total - progress.done, "not begun"),
        ):
            if count:
                said.append(f"{count} {what}")
        return ", ".join(said)

    def _of_earlier(self) -> str:
        counts = self.earlier
        if not counts.get("partly") and not counts.get("refused"):
            return ""
        said = [
            f"{counts[state]} {what}"
            for state, what in (
                ("sent", "sent"),
                ("partly", "to some of its recipients"),
                ("refused", "refused for good"),
            )
            if counts.get(state)
        ]
        return f" ({', '.join(said)})"

    def how_to_go_on(self) -> str:
        """Return what is to be done next; "" where the error has said it."""
        said = []
        if self.journaled:
            if self._left and not isinstance(self.error, ConfigError | StoreError):
                said.append(
                    "The same command goes on with what is left; nobody gets a message twice."
                )
            if self.some_refused:
                said.append(
                    "Refused ones are not tried again: correct the address and put it into a new "
                    "list."
                )
            return " ".join(said)
        if self.sent and self.progress.done < self.total:
            said.append(f"Sent: {ranges(self.sent)}.")
        said.append(self._how_without_journal())
        return " ".join(each for each in said if each)

    @property
    def _left(self) -> int:
        progress = self.progress
        gone = progress.sent + progress.partly + progress.unknown + progress.skipped + self.refused
        return self.total - gone

    def _how_without_journal(self) -> str:
        if self.all_sent:
            return "Do not send it again."
        if self.progress.done == self.total:
            return "Only the lines named above are left."
        if self.sent or self.progress.unknown:
            return (
                "Take what was sent out of the list before you send the rest; with --journal FILE "
                "the same command would do that."
            )
        if isinstance(self.error, ConfigError | StoreError):
            return ""
        return "The same command may be used again."


def how_to_settle(message_id: str, line: int, journaled: bool) -> str:  # noqa: FBT001 - internal
    """Return what is to be done about a message that may have been sent."""
    never = "; this journal never sends it again" if journaled else ""
    return (
        f"Look in the Sent folder for {message_id}. If it is not there, send line {line} with a "
        f"list of its own{never}."
    )


def stopped_at_once(sent: Collection[int], under_way: Collection[int]) -> str:
    """Return what is known of a run without a journal that was stopped in its midst."""
    said = ["mailoauth: stopped at once."]
    if under_way:
        said.append(f"What was under way may have been sent: {ranges(under_way)}.")
    if sent:
        said.append(f"Sent: {ranges(sent)}.")
    return " ".join(said)
