"""The rows of a CSV file, as spreadsheets write it; every mistake is told with its line."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_DELIMITERS: Final = ",;\t"
_SEPARATOR: Final = re.compile("sep=([,;\t|])", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"
_BOMS_OF_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF8: Final = 'Save it as "CSV UTF-8"; `iconv -f latin1 -t utf-8` converts older files.'
_MOST_SHOWN: Final = 12


class Row(NamedTuple):
    """A row: its number (1 is the first below the names), its line in the file, its cells."""

    number: int
    line: int
    cells: Mapping[str, str]


class Rows:
    """The rows of a file, which may be read more than once; made by :func:`opened`."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._delimiter, self._skipped = self._found_delimiter()
        #: The names of the columns; one without a name is left out.
        self.columns = self._checked_columns()

    def __iter__(self) -> Iterator[Row]:
        records = self._records()
        _, names = next(records)
        for number, (line, cells) in enumerate(records, 1):
            if len(cells) != len(names):
                raise self._mistake(line, _of_other_length(len(cells), len(names)))
            named = zip((name.strip() for name in names), cells, strict=True)
            yield Row(number, line, {name: cell for name, cell in named if name})

    def mistake(self, row: Row, what: str, remedy: str = "") -> ConfigError:
        """Return the error for something wrong in a row."""
        return self._mistake(row.line, what, remedy)

    def _checked_columns(self) -> tuple[str, ...]:
        line, names = next(self._records(), (0, []))
        if not names:
            raise ConfigError(
                f"{self.name} is empty, so nothing was sent.",
                remedy="Its first row has the names of the columns, each further row a message.",
            )
        names = [name.strip() for name in names]
        if twice := sorted({name for name in names if name and names.count(name) > 1}):
            raise self._mistake(line, f"there is more than one column {twice[0]!r}")
        if address := next((name for name in names if "@" in name), None):
            raise self._mistake(
                line,
                f"the first row has the names of the columns, and {address!r} looks like a value",
                "Put a row with names such as email,name above it.",
            )
        if not any(names):
            raise self._mistake(line, "no column has a name")
        return tuple(name for name in names if name)

    def _found_delimiter(self) -> tuple[str, int]:
        """Return what separates the columns, and how many lines tell only that."""
        first = next((line for line in self._again() if line.strip()), "")
        named = _SEPARATOR.fullmatch(first.rstrip("\r\n"))
        if named is not None and next(self._again(), "") == first:
            return named[1], 1  # as Excel writes and reads it
        counts = {each: _count_outside_quotes(first, each) for each in _DELIMITERS}
        return max(_DELIMITERS, key=lambda each: counts[each]), 0

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the records that are not blank, each with the line where it begins."""
        lines = self._again()
        for _ in range(self._skipped):
            next(lines)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        line = self._skipped + 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                raise self._mistake(line, _in_words(str(exc)), _LOOK_AT_QUOTES) from exc
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = self._skipped + reader.line_num + 1

    def _again(self) -> Iterator[str]:
        self._file.seek(0)
        for number, octets in enumerate(self._file, 1):
            line = octets.removeprefix(_BOM) if number == 1 else octets
            if line.startswith(_BOMS_OF_UTF16) and number == 1:
                raise self._mistake(1, "this is UTF-16, not UTF-8", _UTF8)
            if b"\0" in line:
                raise self._mistake(number, "there is a NUL octet: this is no text", _UTF8)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as exc:
                raise self._mistake(number, "this is not UTF-8", _UTF8) from exc

    def _mistake(self, line: int, what: str, remedy: str = "") -> ConfigError:
        return ConfigError(
            f"{self.name}, line {line}: {what}.", remedy=f"{remedy} Nothing was sent.".lstrip()
        )


_LOOK_AT_QUOTES: Final = "Look for a quote that is not closed or not doubled."


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Rows]:
    """Open a CSV file, "-" for stdin, for reading it more than once. Raises ``ConfigError``.

    What is read is a copy: whatever becomes of the file meanwhile, all sees the same rows.
    """
    with tempfile.TemporaryFile() as copy:
        name = "stdin" if str(path) == "-" else str(path)
        try:
            with contextlib.ExitStack() as held:
                shutil.copyfileobj(_source(path, held), copy)
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise ConfigError(
                f"{name!r} cannot be read: {reason}.", remedy="Nothing was sent."
            ) from exc
        yield Rows(name, copy)


def described(columns: tuple[str, ...]) -> str:
    """Return the names of the columns as they are written in a sentence."""
    shown = [*columns[:_MOST_SHOWN], *(["..."] if len(columns) > _MOST_SHOWN else [])]
    return ", ".join(shown)


def _source(path: Path, held: contextlib.ExitStack) -> IO[bytes]:
    if str(path) != "-":
        return held.enter_context(path.open("rb"))
    if sys.stdin is None:
        raise ValueError("it is closed")
    return sys.stdin.buffer


def _count_outside_quotes(line: str, delimiter: str) -> int:
    return sum(part.count(delimiter) for part in line.split('"')[::2])


def _of_other_length(cells: int, names: int) -> str:
    return (
        f"the row has {cells} cell{'' if cells == 1 else 's'}, "
        f"and there {'is' if names == 1 else 'are'} {names} column{'' if names == 1 else 's'}"
    )


def _in_words(said: str) -> str:
    if "unexpected end" in said:
        return "a quote is opened here that is never closed"
    if "field larger" in said:
        return "a cell is longer than 131,072 characters"
    if "new-line" in said:
        return "a line ends with a carriage return alone"
    return f"this is not CSV ({said})"
