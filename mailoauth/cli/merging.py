"""Mail merge: a template and a row become a message; the only importer of jinja2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mailoauth.cli import merged_addresses
from mailoauth.cli.rows import Row, described
from mailoauth.cli.send_options import text_of
from mailoauth.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jinja2 import Environment, Template

    from mailoauth.cli.rows import Rows

_HEADER: Final = re.compile(r"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
# What would end a header, or is a line break to Python's email package.
_LINE_BREAK: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_KEYWORDS: Final = {
    "from": "sender",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "reply-to": "reply_to",
    "subject": "subject",
    "in-reply-to": "in_reply_to",
}
#: What fits into headers that not everything fits into.
_VALUES: Final = {
    "date": "Sat, 31 Jan 2026 10:00:00 +0000",
    "message-id": "<a@example.com>",
    "references": "<a@example.com>",
}
_ADDRESS: Final = "ada@example.com"
_RECIPIENTS: Final = ("to", "cc", "bcc")
_ADDRESSES: Final = frozenset({"from", "reply-to", *_RECIPIENTS})


class _Header(NamedTuple):
    name: str
    template: Template
    columns: frozenset[str]


class Merged(NamedTuple):
    """A message in the keywords of ``compose()``, the row that it is for, and its recipients."""

    row: Row
    parts: Mapping[str, Any]
    recipients: tuple[str, ...]


class MessageTemplate:
    """A file with headers, an empty line and the text; perhaps another with the HTML.

    Raises ``ConfigError`` for what is wrong in either.
    """

    def __init__(self, path: Path, html: Path | None = None) -> None:
        self._path = path
        plain, escaping, addressing = _environments()
        headers, begin, text = self._split(text_of(path, "The template"))
        self._headers = [self._header(plain, addressing, *each) for each in headers]
        names = [each.name.lower() for each in self._headers]
        for name in sorted({*names} - {"attach", "inline"}):
            if names.count(name) > 1:
                raise ConfigError(
                    f"{path} has the header {name.capitalize()} more than once.",
                    remedy="Put all addresses into one, separated by commas."
                    if name in _ADDRESSES
                    else "Give it once.",
                )
        if not {*names} & {*_RECIPIENTS}:
            raise ConfigError(
                f"{path} does not say who gets the message.",
                remedy='Begin it with a line such as "To: {{ email }}", with the name of a column.',
            )
        for each in self._headers:
            self._check_name(each.name)
        self._text = _parsed(plain, text, str(path), begin=begin)
        self._html = None
        if html is not None:
            self._html = _parsed(escaping, text_of(html, "--html"), str(html))
        self._files: set[str] = set()

    def merged(self, rows: Rows, row: Row) -> Merged:
        """Return the message for a row. Raises ``ConfigError``, which names the line."""
        context = {"row": row.cells, **row.cells}
        parts: dict[str, Any] = {}
        for header in self._headers:
            value = self._rendered(header.template, context, rows, row).strip()
            self._check_line(header, value, rows, row)
            if merged_addresses.unmarked(value):
                self._put(parts, header.name, value)
        parts["text"] = self._rendered(self._text, context, rows, row)
        if self._html is not None:
            parts["html"] = self._rendered(self._html, context, rows, row)
            if not parts["text"].strip():
                del parts["text"]  # compose() makes it from the HTML
        return Merged(row, parts, self._recipients(parts, rows, row))

    def _check_name(self, name: str) -> None:
        """Raise ``ConfigError`` for a header that would be refused in every row."""
        from mailoauth.mail.compose import compose  # noqa: PLC0415 - only when it runs
        from mailoauth.mail.writing.fields import ADDRESS_HEADERS  # noqa: PLC0415 - as above

        if name.lower() in {*_KEYWORDS, "attach", "inline"}:
            return
        value = _VALUES.get(name.lower(), _ADDRESS if name.lower() in ADDRESS_HEADERS else "x")
        try:
            compose(sender=_ADDRESS, to=_ADDRESS, headers={name: value})
        except ConfigError as exc:
            raise ConfigError(
                f"{self._path} has a header that cannot be: {exc.message}",
                remedy="Take it out of the template. Nothing was sent.",
            ) from exc

    def _put(self, parts: dict[str, Any], name: str, value: str) -> None:
        key = name.lower()
        if key == "attach":
            parts.setdefault("attachments", []).append(str(self._path.parent / value))
        elif key == "inline":
            picture, _, file = value.partition("=")
            parts.setdefault("inline", {})[picture.strip()] = str(self._path.parent / file.strip())
        elif key in _ADDRESSES:
            parts[_KEYWORDS[key]] = merged_addresses.addresses(value)
        elif key in _KEYWORDS:
            parts[_KEYWORDS[key]] = value
        else:
            parts.setdefault("headers", {})[name] = value

    def _split(self, text: str) -> tuple[list[tuple[int, str]], int, str]:
        """Return the header fields with their lines, where the text begins, and the text."""
        headers: list[tuple[int, str]] = []
        lines = text.replace("\r\n", "\n").split("\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                return headers, number + 1, "\n".join(lines[number:])
            if line[0] in " \t" and headers:
                headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
            elif _HEADER.fullmatch(line):
                headers.append((number, line))
            else:
                raise ConfigError(
                    f"{self._path}, line {number}: {line[:60]!r} is no header.",
                    remedy="The template begins with headers (To: {{ email }}, Subject: ...), then "
                    "an empty line, then the text.",
                )
        return headers, len(lines) + 1, ""

    def _header(
        self, plain: Environment, addressing: Environment, line: int, field: str
    ) -> _Header:
        from jinja2 import meta  # noqa: PLC0415 - an extra, and only when it runs

        name, _, value = field.partition(":")
        name = name.strip()
        environment = addressing if name.lower() in _ADDRESSES else plain
        template = _parsed(environment, value.strip(), str(self._path), begin=line)
        columns = meta.find_undeclared_variables(environment.parse(value))
        return _Header(name, template, frozenset(columns))

    def _rendered(
        self, template: Template, context: Mapping[str, Any], rows: Rows, row: Row
    ) -> str:
        from jinja2 import UndefinedError  # noqa: PLC0415 - as above

        try:
            return template.render(context)
        except UndefinedError as exc:
            raise rows.mistake(
                row,
                f"the template {self._path} wants something that is not there "
                f"({str(exc).rstrip('.')})",
                f"The columns are: {described(rows.columns)}.",
            ) from exc
        except Exception as exc:  # a template may do anything with its values
            reason = (str(exc) or type(exc).__name__).rstrip(".")
            raise rows.mistake(row, f"the template {self._path} does not work: {reason}") from exc

    def _check_line(self, header: _Header, value: str, rows: Rows, row: Row) -> None:
        if not _LINE_BREAK.search(value):
            return
        broken = [name for name, cell in row.cells.items() if _LINE_BREAK.search(cell)]
        used = [name for name in broken if name in header.columns] or broken
        where = f"the column {used[0]!r}" if used else "it"
        raise rows.mistake(
            row,
            f"{header.name} would have a line break in it: {where} has one",
            "A header is one line.",
        )

    def _recipients(self, parts: Mapping[str, Any], rows: Rows, row: Row) -> tuple[str, ...]:
        from mailoauth.mail.writing.serial import checked_address  # noqa: PLC0415 - only when it runs

        found: dict[str, None] = {}
        for key in sorted(_KEYWORDS[name] for name in _ADDRESSES):
            for each in parts.get(key, ()):
                try:
                    address = checked_address(each.address or each.name)
                except ConfigError as exc:
                    raise rows.mistake(row, exc.message.rstrip("."), exc.remedy) from exc
                if key in _RECIPIENTS:
                    found[address] = None
        if not found:
            raise rows.mistake(row, "nobody gets the message: To, Cc and Bcc are empty")
        return tuple(found)

    def check_files(self, merged: Merged, rows: Rows) -> None:
        """Raise ``ConfigError`` for a file to attach that is not there."""
        from pathlib import Path  # noqa: PLC0415 - only when it runs

        for name in (
            *merged.parts.get("attachments", ()),
            *merged.parts.get("inline", {}).values(),
        ):
            if name not in self._files and not Path(name).is_file():
                raise rows.mistake(merged.row, f"there is no file {name} to attach")
            self._files.add(name)


def _environments() -> tuple[Environment, Environment, Environment]:
    """Return where templates of text are made, those of HTML, and those of addresses."""
    try:
        from jinja2 import StrictUndefined  # noqa: PLC0415 - an extra, and only when it runs
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - as above
    except ModuleNotFoundError as exc:
        raise ConfigError(
            "send-many fills in its template with jinja2, which is not installed.",
            remedy="Install it: pip install 'mailoauth[merge]'",
        ) from exc
    options: dict[str, Any] = {"undefined": StrictUndefined, "keep_trailing_newline": True}
    # In a text nothing is escaped: whoever is called "<Ann>" is called that.
    return (
        ImmutableSandboxedEnvironment(autoescape=False, **options),
        ImmutableSandboxedEnvironment(autoescape=True, **options),
        ImmutableSandboxedEnvironment(
            autoescape=False, finalize=merged_addresses.marked, **options
        ),
    )


def _parsed(environment: Environment, text: str, name: str, *, begin: int = 1) -> Template:
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 - an extra, and only when it runs

    try:
        return environment.from_string(text)
    except TemplateSyntaxError as exc:
        line = begin + exc.lineno - 1
        raise ConfigError(
            f"{name}, line {line}: {(exc.message or 'this is not a template').rstrip('.')}.",
            remedy="Is a }} missing? Nothing was sent.",
        ) from exc
