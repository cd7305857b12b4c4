"""One run of `mailoauth send-many`: what became of each message, and what to do next."""

from __future__ import annotations

import contextlib
import threading
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mailoauth.cli import earlier, ending, exits, screen, shapes
from mailoauth.cli.ending import Ending
from mailoauth.cli.failures import Failures
from mailoauth.cli.finishing import finishing
from mailoauth.errors import ConnectionFailed, MailOAuthError, OutcomeUnknown
from mailoauth.mail.mailing.attempts import Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailoauth.cli.finishing import Finishing
    from mailoauth.cli.mailing import Letter, Mailing
    from mailoauth.mail.many import Progress
    from mailoauth.mail.receipt import SendReceipt
    from mailoauth.mailer import Mailer, Receipts

#: Messages in a row for which there was no connection; then no more are begun.
_LOST_IN_A_ROW: Final = 3
#: Seconds for what was interrupted to end in order.
_MOMENT: Final = 2.0


class Sending:
    """Sends all messages of a mailing; ``how`` has the options of ``send_many``.

    The mailer is closed when a run has ended, and shut where it was interrupted.
    """

    def __init__(
        self, mailer: Mailer, mailing: Mailing, how: Mapping[str, Any], *, as_json: bool
    ) -> None:
        self._mailer = mailer
        self._mailing = mailing
        self._how = how
        self._as_json = as_json
        self._stop: Finishing
        #: The line of each message that has no receipt yet, by the hash of its key. What an
        #: earlier run was done with stays in it, so it is small.
        self._lines: dict[int, int] = {}
        self._sent = array("Q")  # lines
        self._failures = Failures()
        self._codes: set[int] = set()
        self._refused = 0  # for good
        self._lost = 0
        self._end: MailOAuthError | None = None  # what ended the run
        self._unread: screen.Unwritable | screen.ReaderGone | None = None  # what ended stdout

    def run(self) -> int:
        """Send them, say what became of each, and return the exit code."""
        with finishing(self._tell_stopping) as self._stop:
            receipts = self._mailer.send_many(
                self._letters(), key=lambda letter: letter.key, **self._how
            )
            try:
                self._receive(receipts)
            except BaseException:
                self._mailer.shut()  # at once, whatever is being sent
                self._tell_lost()
                _close_soon(receipts)
                raise
            receipts.close()
            self._mailer.close()
        self._failures.flush()
        end = self._ending(receipts.progress)
        self._report(end)
        if isinstance(self._unread, screen.ReaderGone):
            raise self._unread
        return self._code(end)

    def _letters(self) -> Iterator[Letter]:
        for letter in self._mailing.letters():
            # Where nobody learns what was sent no more is begun, and what is under way is told.
            if self._stop.number or self._end is not None or self._unread is not None:
                return
            self._lines[hash(letter.key)] = letter.line
            yield letter

    def _receive(self, receipts: Receipts) -> None:
        with screen.progress("Sending") as advance:
            shown = 0
            try:
                for receipt in receipts:
                    self._note(receipt)
                    for _ in range(shown, receipts.progress.done):
                        advance(self._mailing.total)
                    shown = receipts.progress.done
            except MailOAuthError as error:
                self._end = error

    def _note(self, receipt: SendReceipt) -> None:
        line = self._lines.pop(hash(receipt.key), 0)
        if receipt.error is None:
            self._sent.append(line)
        if self._as_json and self._unread is None:
            shown = replace(receipt, key=self._mailing.shown(receipt.key))
            try:
                screen.put_json({"line": line} | shapes.of_receipt(shown, whole=True))
            except (screen.Unwritable, screen.ReaderGone) as gone:
                self._unread = gone
        self._lost = self._lost + 1 if isinstance(receipt.error, ConnectionFailed) else 0
        if receipt.error is not None:
            self._note_error(receipt, receipt.error, line)
            return
        for address, reply in receipt.refused.items():
            screen.warn(f"mailoauth: line {line}: {address} was refused: {reply}")

    def _note_error(self, receipt: SendReceipt, error: MailOAuthError, line: int) -> None:
        key = self._mailing.shown(receipt.key)
        text = error.message.replace(receipt.key, key)
        self._codes.add(exits.code_of(error))
        if isinstance(error, OutcomeUnknown):
            self._failures.flush()
            screen.warn(f"mailoauth: line {line} ({key}) may have been sent: {text}")
            screen.warn(ending.how_to_settle(receipt.message_id, line, self._journaled))
            return
        what = verdict(error)
        self._refused += what is Verdict.REFUSED
        if what is Verdict.ACCOUNT and self._failures.is_repeated(text):
            self._end = error  # of the account: it would be that of all others
        self._failures.tell(line, key, text, error.remedy)
        if self._lost == _LOST_IN_A_ROW:
            self._end = error  # of the network: it was tried for a while, and all others would wait

    @property
    def _journaled(self) -> bool:
        return bool(self._how.get("journal"))

    def _ending(self, progress: Progress) -> Ending:
        before: Mapping[str, int] = {}
        if self._journaled and progress.skipped:
            try:
                before = earlier.states(self._mailer, self._how["journal"], self._lines)
            except MailOAuthError as error:
                screen.warn(f"mailoauth: {error}")
        return Ending(
            progress,
            self._mailing.total,
            before,
            self._refused,
            self._sent,
            self._end,
            journaled=self._journaled,
        )

    def _code(self, end: Ending) -> int:
        progress, error = end.progress, self._end
        if error is None and isinstance(self._unread, screen.Unwritable):
            error = self._unread if progress.done < end.total else None
        if self._stop.number:
            return exits.SIGNALLED + self._stop.number
        if progress.unknown:
            return exits.UNKNOWN_OUTCOME
        if error is not None:
            return exits.code_of(error)
        if not progress.failed and not end.some_refused:
            return exits.DONE
        if progress.sent or progress.partly or progress.skipped:
            return exits.PARTLY
        return self._codes.pop() if len(self._codes) == 1 else exits.REFUSED

    def _report(self, end: Ending) -> None:
        """Say how it ended; on stdout where all went well, for that is what was asked for."""
        if self._end is not None and not self._failures.is_repeated(self._end.message):
            text = self._end.message.replace(f"({self._mailing.kind}=", "(")
            screen.warn(f"mailoauth: {text}")
            self._failures.tell_remedy(self._end.remedy)
        if isinstance(self._unread, screen.Unwritable):
            screen.warn(f"mailoauth: {self._unread.message}")
        summary = f"{end.summary()}."
        if not end.all_sent or self._unread is not None:
            screen.warn(f"mailoauth: {summary}")
            if said := end.how_to_go_on():
                screen.warn(said)
        elif self._as_json:
            screen.talk(summary)
        else:
            _put_summary(summary)

    def _tell_stopping(self) -> None:
        screen.warn(
            "mailoauth: stopping; what is being sent is finished first. Once more stops at once."
        )

    def _tell_lost(self) -> None:
        self._failures.flush()
        if self._journaled:
            screen.warn(
                "mailoauth: stopped at once. The same command goes on, and lists what may have "
                "been sent; nobody gets a message twice."
            )
            return
        screen.warn(ending.stopped_at_once(self._sent, self._lines.values()))


def _put_summary(summary: str) -> None:
    try:
        screen.put(summary)
    except screen.Unwritable as error:  # no failure: what was asked for is done
        screen.warn(
            f"mailoauth: {summary} That could not be written to stdout ({error.reason}). Do not "
            "send it again."
        )


def _close_soon(receipts: Receipts) -> None:
    """Let the run end in order, if it can do so in a moment."""

    def close() -> None:
        with contextlib.suppress(MailOAuthError):
            receipts.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(_MOMENT)
