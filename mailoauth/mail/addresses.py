"""Correspondents: ``Ada Lovelace <ada@example.com>`` taken apart and put together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailoauth.mail.decoding import decode_text, decode_words, one_line

_TOKEN = re.compile(
    r"""(?P<encoded>=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*\?=)
      | (?P<quoted>"(?:[^"\\]|\\.)*"?)
      | (?P<angle><[^<>]*>?)
      | (?P<literal>\[[^\]\s]*\]?)
      | (?P<special>[(),;:])
      | (?P<space>\s+)
      | (?P<text>[^"<\[(),;:\s]+)""",
    re.VERBOSE | re.DOTALL,
)
_SPACED = re.compile(r"\s*([@.])\s*")  # RFC 5322 section 4.4 knows spaces there
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_NAME = re.compile(r"[\w !#$%&'*+/=?^`{|}~-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A correspondent; either part is "" where the mail does not say."""

    name: str
    address: str

    def __str__(self) -> str:
        if not self.name:
            return self.address
        name = self.name
        if not _PLAIN_NAME.fullmatch(name):
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            name = f'"{escaped}"'
        return f"{name} <{self.address}>"


def parse_addresses(value: bytes | str) -> tuple[Address, ...]:
    """Read an address header or a list that a person typed; never raises.

    Commas and, as Outlook writes them, semicolons separate; the names of groups
    are left out.
    """
    text = decode_text(value) if isinstance(value, bytes) else value
    reader = _Reader()
    for match in _TOKEN.finditer(text):
        reader.take(match.lastgroup or "", match[0])
    reader.finish()
    return tuple(reader.found)


class _Reader:
    """Collects the tokens of one address after the other."""

    def __init__(self) -> None:
        self.found: list[Address] = []
        self._comments = 0  # open parentheses
        self._clear()

    def _clear(self) -> None:
        self._words: list[str] = []  # the name, unquoted
        self._raw: list[str] = []  # the same as it was written, for addresses without <>
        self._comment: list[str] = []
        self._angle: str | None = None

    def take(self, kind: str, piece: str) -> None:
        if piece in {"(", ")"}:
            self._comments = max(0, self._comments + (1 if piece == "(" else -1))
        elif self._comments:
            self._comment.append(piece)
        elif kind == "special":
            self._separate(piece)
        elif kind == "angle" and self._angle is None:
            self._angle = piece.strip("<>").strip()
        else:
            self._raw.append(piece)
            self._words.append(_unquote(piece) if kind == "quoted" else piece)

    def _separate(self, piece: str) -> None:
        if piece == ":" and self._angle is None:
            self._clear()  # what came before was a group's name
        else:
            self.finish()

    def finish(self) -> None:
        name = "".join(self._words)
        comment = "".join(self._comment)
        if self._angle is not None:
            address = self._angle
            if address.startswith("@"):  # a source route, RFC 5321 appendix C
                address = address.rpartition(":")[2]
            self._found(name.strip() or comment, address)
        elif "@" in "".join(self._raw):
            self._found(comment, _SPACED.sub(r"\1", "".join(self._raw)))
        elif name.strip():
            decoded = decode_words(name).strip()
            name_as_written = "".join(self._raw).strip()
            lone = "@" in decoded or not any(mark in name_as_written for mark in (" ", '"', "=?"))
            self._found("" if lone else decoded, decoded if lone else "")
        self._clear()

    def _found(self, name: str, address: str) -> None:
        name = " ".join(one_line(decode_words(name)).split())
        self.found.append(Address(name, one_line(decode_words(address))))


def _unquote(quoted: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", quoted[1:].removesuffix('"'))
