"""What a refusal means, what cures it, and who: one table, one function.

The table is in ``mailoauth.refusals`` and its neighbours; nothing here does I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailoauth.refusals import Refusal

Category = Literal["stale_token", "sign_in", "configuration", "throttled", "passing", "unknown"]
Fixer = Literal["mailoauth", "you", "administrator", "provider", "wait", "nobody"]
Protocol = Literal["imap", "smtp", "identity"]

# More than any server says in one reply (RFC 4954: 12,288 octets); the rest of a
# pasted log would only cost time.
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a server's text means.

    ``meaning`` is one sentence; ``steps`` may hold the placeholders {user},
    {client_id}, {tenant} and {mailbox}; ``source`` says how we know;
    ``retry_after`` is in seconds; ``subject`` is what was refused ("mailbox",
    "sending", "recipient", "sender", "authentication", "session", "consent", ...).
    """

    text: str
    code: str
    category: Category
    fixer: Fixer
    meaning: str
    steps: tuple[str, ...]
    source: str
    retry_after: float | None = None
    subject: str = ""

    def steps_for(self, **names: str | None) -> tuple[str, ...]:
        """Return the steps with the placeholders filled that are given and not empty."""
        steps = self.steps
        for name, value in names.items():
            if value:
                steps = tuple(step.replace(f"{{{name}}}", value) for step in steps)
        return steps


def diagnose(text: str, *, protocol: Protocol | None = None) -> Diagnosis:
    """Say what a reply means; ``protocol`` is where it came from, if that is known.

    Never raises; what is not in the table has the category "unknown".
    Of an identity service's reply give "error suberror error_description", or
    "HTTP 503" where it said nothing else.
    """
    text = text[:_LONGEST].strip()
    row = _find(text, protocol)
    return Diagnosis(
        text=text,
        code=_code(text, protocol),
        category=row.category,
        fixer=row.fixer,
        meaning=row.meaning,
        steps=row.steps,
        source=row.source,
        retry_after=_retry_after(text),
        subject=row.subject,
    )


def _find(text: str, protocol: Protocol | None) -> Refusal:
    from mailoauth import refusals, refusals_identity  # noqa: PLC0415 - needed when refused only

    asks_identity = protocol in {None, "identity"}
    if asks_identity:
        # The number says more than the error's name, which says more than the HTTP status.
        for number in re.findall(r"AADSTS(\d{4,9})", text):
            if row := refusals_identity.NUMBERS.get(int(number)):
                return row
    for row in _rows(protocol):
        if _compiled(row.pattern).search(text):
            return row
    if asks_identity and (word := _compiled(_words_pattern()).search(text)):
        return refusals_identity.WORDS[word[0].lower()]
    for row in refusals.LAST_RESORTS:
        if protocol in {None, row.protocol} and _compiled(row.pattern).search(text):
            return row
    return refusals.UNKNOWN


@cache
def _rows(protocol: Protocol | None) -> tuple[Refusal, ...]:
    from mailoauth import refusals, refusals_identity, refusals_smtp  # noqa: PLC0415 - see above

    rows: Iterable[Refusal] = (*refusals.IMAP, *refusals_smtp.SMTP, *refusals_identity.TEXTS)
    return tuple(row for row in rows if protocol in {None, row.protocol})


@cache
def _words_pattern() -> str:
    from mailoauth import refusals_identity  # noqa: PLC0415 - see above

    return rf"\b(?:{'|'.join(refusals_identity.WORDS)})\b"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


# The most telling first. Bounded everywhere: the text is whatever somebody pasted.
_ENTRA_CODE = r"\b(AADSTS\d{4,9})\b"
_SMTP_CODES = (
    r"(?:^|[^\w.])([245]\d\d)[ -](\d\.\d{1,3}\.\d{1,3})\b",
    r"^([245]\d\d)(?=[ -]|$)",
)
_IMAP_CODE = r"^\s{0,9}(?:[*\w.]{1,20} {1,3})?((?-i:NO|BAD|BYE))\b"
_HTTP_CODE = r"\b(HTTP)\S{0,4}(?: Error:?)? ?([1-5]\d\d)\b"


def _code(text: str, protocol: Protocol | None) -> str:
    patterns = {
        "identity": (_ENTRA_CODE, rf"({_words_pattern()})", _HTTP_CODE),
        "imap": (_IMAP_CODE,),
        "smtp": _SMTP_CODES,
        None: (_ENTRA_CODE, _HTTP_CODE, _IMAP_CODE, *_SMTP_CODES, rf"({_words_pattern()})"),
    }[protocol]
    for pattern in patterns:
        if match := _compiled(pattern).search(text):
            return " ".join(group for group in match.groups() if group)
    return ""


def _retry_after(text: str) -> float | None:
    if match := _compiled(r"Suggested Backoff Time: ?(\d{1,10}) ?milliseconds").search(text):
        return int(match[1]) / 1000
    if match := _compiled(r"\bRetry-After: ?(\d{1,7})\b").search(text):
        return float(match[1])
    return None
