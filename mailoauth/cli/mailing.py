"""The messages of a mail merge: all checked first, then made one at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from mailoauth.cli import stopping
from mailoauth.cli.rows import described
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailoauth.cli import screen
    from mailoauth.cli.merging import Merged, MessageTemplate
    from mailoauth.cli.rows import Rows

_RECIPIENTS: Final = "recipients"


class Letter(dict[str, Any]):
    """The keywords of ``compose()`` for one message, and how a journal knows it."""

    def __init__(self, merged: Merged, key: str) -> None:
        super().__init__(merged.parts)
        self.line = merged.row.line
        self.recipients = merged.recipients
        self.key = key


class Mailing:
    """A list and a template. ``total`` messages with ``recipients`` in all, once checked."""

    def __init__(self, rows: Rows, template: MessageTemplate, key_column: str | None) -> None:
        if key_column is not None and key_column not in rows.columns:
            raise ConfigError(
                f"--key names the column {key_column!r}, which {rows.name} does not have.",
                remedy=f"The columns are: {described(rows.columns)}.",
            )
        self._rows = rows
        self._template = template
        self._key_column = key_column
        #: What messages are known by; each key says so, in front of it.
        self.kind = key_column or _RECIPIENTS
        if key_column == _RECIPIENTS:
            self.kind = f"column {_RECIPIENTS}"
        self.total = 0
        self.recipients = 0

    def check(self, advance: screen.Advance) -> None:
        """Make every message once; raises ``ConfigError`` for the first that cannot be made."""
        for row in self._rows:
            merged = self._template.merged(self._rows, row)
            self._template.check_files(merged, self._rows)
            self.total += 1
            self.recipients += len(merged.recipients)
            advance(None)
            stopping.check()
        if not self.total:
            raise ConfigError(
                f"{self._rows.name} has the names of columns and nothing below them: there is "
                "nothing to send."
            )
        if self._key_column is not None:
            self._check_keys()

    def first(self, count: int) -> Iterator[Merged]:
        """Yield the first messages."""
        for row in itertools.islice(self._rows, count):
            yield self._template.merged(self._rows, row)

    def letters(self) -> Iterator[Letter]:
        """Yield all messages, made as they are asked for."""
        seen: dict[int, int] = {}
        for row in self._rows:
            merged = self._template.merged(self._rows, row)
            yield Letter(merged, self._key(merged, seen))

    def shown(self, key: str) -> str:
        """Return a key as it is told to a person."""
        return key.removeprefix(f"{self.kind}=")

    def _key(self, merged: Merged, seen: dict[int, int]) -> str:
        """Return the key of a message: its column's, else whom it goes to, numbered if again."""
        if self._key_column is not None:
            return f"{self.kind}={merged.row.cells[self._key_column].strip()}"
        key = ",".join(sorted(each.lower() for each in merged.recipients))
        # Of 100,000 lists of recipients the hashes take little room.
        count = seen[hash(key)] = seen.get(hash(key), 0) + 1
        return f"{self.kind}={key}" if count == 1 else f"{self.kind}={key}#{count}"

    def _check_keys(self) -> None:
        seen: dict[int, int] = {}
        for row in self._rows:
            key = row.cells[self._key_column or ""].strip()
            if not key:
                raise self._rows.mistake(row, f"the column {self._key_column!r} is empty")
            if hash(key) in seen:
                raise self._rows.mistake(
                    row,
                    f"{self._key_column} is {key!r}, as in line {seen[hash(key)]}",
                    "--key needs a column in which every value is another.",
                )
            seen[hash(key)] = row.line
