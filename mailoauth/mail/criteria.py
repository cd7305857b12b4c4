"""Keywords to IMAP SEARCH (RFC 9051 section 6.4.4): pure, nothing is sent from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from mailoauth.mail.search_keys import key_of
from mailoauth.mail.search_tree import Literal, is_ascii, widened, words_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from mailoauth.mail.addresses import Address
    from mailoauth.mail.matching import LocalSearch
    from mailoauth.mail.search_tree import Key

__all__ = ["Criteria", "Search", "compile"]


class Criteria(TypedDict, total=False):
    """The keywords of a search; all that are given must be true."""

    unseen: bool | None
    seen: bool | None
    flagged: bool | None
    answered: bool | None
    deleted: bool | None
    since: date | None
    before: date | None
    on: date | None
    sender: str | Address | None
    to: str | Address | None
    cc: str | Address | None
    subject: str | None
    body: str | None
    text: str | None
    header: Mapping[str, str] | None
    message_id: str | None
    uid: int | str | Iterable[int] | None
    larger: int | None
    smaller: int | None
    not_: Criteria | None
    any_of: Iterable[Criteria] | None
    raw: list[Any] | tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Search:
    """A search that is ready to be sent; its repr shows nothing of it."""

    key: Key = field(repr=False)  # it names correspondents and subjects

    @property
    def charset(self) -> str | None:
        """What the server must be told: UTF-8 if anything in it is not ASCII."""
        return None if is_ascii(self.key) else "UTF-8"

    def command(self, *, literal_plus: bool) -> tuple[bytes, ...]:
        """Return what follows ``UID SEARCH``, without the CRLF at its end.

        With ``literal_plus`` (RFC 7888) it is one element. Without, the server must
        ask for the next element with ``+`` before it is sent.
        """
        parts = [bytearray(b"CHARSET UTF-8 " if self.charset else b"")]
        for piece in written(words_of(self.key)):
            if isinstance(piece, Literal):
                parts[-1] += b"{%d%s}\r\n" % (len(piece), b"+" if literal_plus else b"")
                if not literal_plus:
                    parts.append(bytearray())
            parts[-1] += piece
        return tuple(map(bytes, parts))

    @property
    def local(self) -> LocalSearch | None:
        """How to search where the server answers BADCHARSET; None if no charset is needed.

        Raises ``ConfigError`` where ``raw`` keys would have to be judged here.
        """
        if is_ascii(self.key):
            return None
        from mailoauth.mail.matching import LocalSearch, judged_here  # noqa: PLC0415 - seldom

        return LocalSearch(Search(widened(self.key)), judged_here(self.key))


def compile(**criteria: Any) -> Search:  # noqa: A001 - read as criteria.compile
    r"""Translate keywords that must all be true; None means that a keyword is not used.

    ``unseen seen flagged answered deleted`` are True or False. ``since before on``
    compare whole days as the server dates its messages; of a ``datetime``, aware or
    not, the day is the one written in it. ``sender to cc subject message_id body text``
    are found in any part of the field, ``text`` in all headers too. ``header`` maps
    names to such texts, "" for a header that only must be there. ``larger`` and
    ``smaller`` are in octets. ``uid`` is a number, several, or a set such as
    ``"100:*"``, in which IMAP counts the last message whatever its number is. ``not_``
    takes a mapping of keywords that must not all be true, ``any_of`` a list of mappings
    of which one must be.

    ``raw`` takes search keys as a list: text is sent as it is, ``bytes`` are values and
    are quoted, dates written as IMAP does, lists put in parentheses:
    ``raw=["OR", "KEYWORD", "$Label1", "SUBJECT", b"two words"]``.

    Raises ``ConfigError``, which never repeats a value.
    """
    return Search(key_of(criteria))
