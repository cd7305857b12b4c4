"""The works: what is done, in which mailbox, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.benchmarks.reading.contenders.table import BULK, FLOOR, OURS
from tests.benchmarks.reading.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Contenders that need a round trip a message: behind the long line once is enough.
SLOW_WHEN_FAR = frozenset({"imap_tools"})

_READERS = (
    FLOOR,
    OURS,
    "imap_tools",
    BULK,
    "imapclient",
    "imapclient_modern",
    "imaplib",
    "aioimaplib",
)

_READ = "subject, sender, date, text and attachment names read"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is of everything."""

    small: int = 1000
    large: int = 50
    large_octets: int = 2_000_000
    append: int = 300
    save_octets: int = 60_000_000
    scale: tuple[int, ...] = (1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Work:
    """A row of contenders with one thing to do; ``verb`` is the function in their modules.

    ``line`` is what lies between them and the server: nothing, a proxy without a delay
    (the receiver's kernel then holds back its acknowledgements, as those of real servers
    do and Dovecot's on loopback does not), or the proxy with the delay.
    """

    name: str
    title: str
    verb: str
    mailbox: Literal["small", "large", "append", "save", "scale"]
    count: int
    contenders: tuple[str, ...]
    line: Literal["none", "short", "long"] = "none"


def works(sizes: Sizes) -> dict[str, list[Work]]:
    """Return all works by the names of the command line."""
    by_name = {work.name: [work] for work in (*_near(sizes), *_far(sizes), *_others(sizes))}
    by_name["scale"] = [
        Work(
            "scale", f"all of {count:,} messages, subjects", "scale", "scale", count, (FLOOR, OURS)
        )
        for count in sizes.scale
    ]
    return by_name


def _near(sizes: Sizes) -> Iterator[Work]:
    count = sizes.small
    title = f"{count} unseen of 3.7 kB, {_READ}"
    yield Work("small", title, "small", "small", count, _READERS)
    title = f"{sizes.large} unseen with {sizes.large_octets:,} bytes attached, decoded and hashed"
    yield Work("large", title, "large", "large", sizes.large, _READERS)
    title = f"the same {count} small ones as raw bytes"
    contenders = (FLOOR, OURS, "imaplib_alone", "imapclient_alone")
    yield Work("raw", title, "raw", "small", count, contenders)


def _far(sizes: Sizes) -> Iterator[Work]:
    count = sizes.small
    title = f"headers of {count}: subject, sender, date; 40 ms round trip"
    contenders = (FLOOR, OURS, "imap_tools", BULK, "imapclient")
    yield Work("headers", title, "headers", "small", count, contenders, line="long")
    title = f"{count} unseen of 3.7 kB, {_READ}; 40 ms round trip"
    yield Work("small-far", title, "small", "small", count, _READERS, line="long")


def _others(sizes: Sizes) -> Iterator[Work]:
    title = f"{sizes.append} letters appended"
    contenders = (FLOOR, OURS, "imapclient_alone", "imapclient_no_delay")
    yield Work("append", title, "append", "append", sizes.append, contenders, line="short")
    title = f"a message of {sizes.save_octets:,} bytes saved to disk"
    yield Work("save", title, "save", "save", 1, (FLOOR, OURS, "imapclient_alone"))


def contents(work: Work, sizes: Sizes) -> Iterable[bytes]:
    """Generate what the work's mailbox holds."""
    from tests.benchmarks.reading import letters

    if work.mailbox == "small":
        return letters.small(work.count)
    if work.mailbox == "large":
        return letters.large(work.count, sizes.large_octets)
    if work.mailbox == "save":
        return letters.large(1, sizes.save_octets * 54 // 73)  # base64 with its line ends
    return _plain(work.count) if work.mailbox == "scale" else ()


def _plain(count: int) -> Iterator[bytes]:
    return (plain(number) for number in range(count))
