"""Correspondents: ``Ada Lovelace <ada@example.com>`` taken apart and put together."""

from __future__ import annotations

import re

from mailoauth.mail.decoding import decode_text, decode_words, one_line

# "Name <address>", the name in quotes or not, or an address alone, with a separator or the
# end behind it. Possessive throughout: no character is tried more than twice.
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]++"
_PLAIN = re.compile(
    rf"""[ ]*+(?:
        (?:"([^"\\\x00-\x1f\x7f]*+)"[ ]*+|({_WORD}(?:[ ]{_WORD})*+)[ ]*+)?+<({_WORD}@[A-Za-z0-9.-]++)>
      | ({_WORD}@[A-Za-z0-9.-]++)
    )[ ]*+(?:[,;]|\Z)""",
    re.VERBOSE,
)

# Compiled when first needed: they serve other addresses only.
_PIECE = r"""(?xs)(?P<encoded>=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*\?=)
      | (?P<quoted>"(?:[^"\\]|\\.)*"?)
      | (?P<angle><[^<>]*>?)
      | (?P<literal>\[[^\]\s]*\]?)
      | (?P<special>[(),;:])
      | (?P<space>\s+)
      | (?P<text>[^"<\[(),;:\s]+)"""
# Python's email encodes the comma behind an address where it folds a line there.
_ENCODED_COMMA = "=?utf-8?q?=2c?="
_SPACED = r"\s*([@.])\s*"  # RFC 5322 section 4.4 knows spaces there
_QUOTED_PAIR = r"(?s)\\(.)"
_PLAIN_NAME = r"[\w !#$%&'*+/=?^`{|}~-]*"


class Address:
    """A correspondent; either part is "" where the mail does not say."""

    # Written out because the import of dataclasses costs more than reading a hundred mails.
    __match_args__ = ("name", "address")
    __slots__ = ("_address", "_name")

    def __init__(self, name: str, address: str) -> None:
        self._name = name
        self._address = address

    @property
    def name(self) -> str:
        """What the correspondent is called."""
        return self._name

    @property
    def address(self) -> str:
        """Where mail for the correspondent goes."""
        return self._address

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return (self._name, self._address) == (other._name, other._address)

    def __hash__(self) -> int:
        return hash((self._name, self._address))

    def __repr__(self) -> str:
        return f"Address(name={self._name!r}, address={self._address!r})"

    def __str__(self) -> str:
        if not self._name:
            return self._address
        name = self._name
        if not re.fullmatch(_PLAIN_NAME, name):
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            name = f'"{escaped}"'
        return f"{name} <{self._address}>"


def parse_addresses(value: bytes | str) -> tuple[Address, ...]:
    """Read an address header or a list that a person typed; never raises.

    Commas and, as Outlook writes them, semicolons separate; the names of groups
    are left out.
    """
    text = decode_text(value) if isinstance(value, bytes) else value
    return _read_plain(text) or _read_any(text)


def _read_plain(text: str) -> tuple[Address, ...]:
    """Read a list in which every address is plain; nothing comes where one is not."""
    if "=?" in text or not text.isascii():
        return ()
    found: list[Address] = []
    position = 0
    while position < len(text):
        match = _PLAIN.match(text, position)
        if match is None:
            return ()
        quoted, name, angle, alone = match.groups(default="")
        found.append(Address(" ".join(quoted.split()) if quoted else name, angle or alone))
        position = match.end()
    return tuple(found)


def _read_any(text: str) -> tuple[Address, ...]:
    reader = _Reader()
    for match in re.finditer(_PIECE, text):
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
        self._complete = False  # an address was read: nothing but a separator is due

    def take(self, kind: str, piece: str) -> None:
        if piece in {"(", ")"}:
            self._comments = max(0, self._comments + (1 if piece == "(" else -1))
        elif self._comments:
            self._comment.append(piece)
        elif kind == "special":
            self._separate(piece)
        elif kind == "angle" and self._angle is None:
            self._angle = piece.strip("<>").strip()
            self._complete = True
        elif self._complete and piece.lower() == _ENCODED_COMMA:
            self.finish()
        else:
            self._complete = self._complete or (kind == "text" and "@" in piece)
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
            self._found(comment, re.sub(_SPACED, r"\1", "".join(self._raw)))
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
    return re.sub(_QUOTED_PAIR, r"\1", quoted[1:].removesuffix('"'))
