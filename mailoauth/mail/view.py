"""What a message says to a person: its text, its HTML and what is attached to it."""

from __future__ import annotations

import re
from functools import cached_property
from urllib.parse import unquote

from mailoauth.mail.decoding import decode_header, decode_text, known_charset
from mailoauth.mail.parts import Leaf, Part, Scan, scan
from mailoauth.mail.text import html_to_text

_BODIES = frozenset({"text/plain", "text/html"})
_CID = re.compile(r"""\bcid:([^"'\s<>)]+)""", re.IGNORECASE)
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE
)


class View:
    """Reads the parts of one message when they are asked for, each once."""

    def __init__(self, raw: bytes) -> None:
        self.root = Part(raw, 0, len(raw))

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Names and decoded values in order; reads nothing but the header block."""
        return [
            (name.decode("ascii", "replace"), decode_header(value))
            for name, value in self.root.fields
        ]

    @cached_property
    def _scan(self) -> Scan:
        return scan(self.root)

    @cached_property
    def _bodies(self) -> list[Leaf]:
        return [leaf for leaf in self._scan.leaves if _is_body(leaf)]

    @cached_property
    def text(self) -> str:
        """The text parts, one version of each; made from HTML where there is no other."""
        return "\n".join(filter(None, (_readable(group) for group in self._versions())))

    def _versions(self) -> list[list[Part]]:
        """Group the bodies: those of one multipart/alternative say the same."""
        groups: dict[object, list[Part]] = {}
        for leaf in self._bodies:
            key = id(leaf) if leaf.alternative is None else ("alternative", leaf.alternative)
            groups.setdefault(key, []).append(leaf.part)
        return list(groups.values())

    @cached_property
    def html(self) -> str | None:
        """The HTML parts, None if there is none."""
        found = [_text_of(leaf.part) for leaf in self._bodies if _is_html(leaf.part)]
        return "\n".join(found) if found else None

    @cached_property
    def _others(self) -> list[Part]:
        bodies = {id(leaf) for leaf in self._bodies}
        return [leaf.part for leaf in self._scan.leaves if id(leaf) not in bodies]

    @cached_property
    def inline(self) -> list[Part]:
        """The parts that the HTML shows by their Content-ID (RFC 2392)."""
        candidates = [part for part in self._others if part.content_id]
        if not candidates or not self.html:
            return []
        shown = {unquote(cid) for cid in _CID.findall(self.html)}
        return [part for part in candidates if part.content_id in shown]

    @cached_property
    def attachments(self) -> list[Part]:
        """Every part that is neither a body nor inline."""
        inline = {id(part) for part in self.inline}
        return [part for part in self._others if id(part) not in inline]

    @cached_property
    def defects(self) -> tuple[str, ...]:
        """What is wrong with the message, each once; decodes every part to find out."""
        found = list(self._scan.defects)
        for leaf in self._scan.leaves:
            part = leaf.part
            if not part.decode()[1]:
                found.append(
                    f"damaged or unknown transfer encoding in a part of type {part.content_type}"
                )
            charset = part.parameters.get("charset")
            if charset and known_charset(charset) is None:
                found.append(f"unknown charset {charset[:40]}")
        return tuple(dict.fromkeys(found))


def _is_body(leaf: Leaf) -> bool:
    part = leaf.part
    if leaf.root and part.content_type.startswith("multipart/"):
        return True  # its boundary is lost: better all of it than nothing
    if part.content_type not in _BODIES or part.disposition == "attachment":
        return False
    return leaf.root or not part.filename


def _is_html(part: Part) -> bool:
    return part.content_type == "text/html"


def _readable(versions: list[Part]) -> str:
    for part in versions:
        if not _is_html(part):
            text = _text_of(part)
            if text.strip():
                return text
    pages = [_text_of(part) for part in versions if _is_html(part)]
    return "\n".join(html_to_text(page) for page in pages)


def _text_of(part: Part) -> str:
    data = part.decode()[0]
    charset = part.parameters.get("charset")
    if not charset and _is_html(part) and (meta := _META_CHARSET.search(data[:4096])):
        charset = meta[1].decode("ascii", "replace")
    return decode_text(data, charset).replace("\r\n", "\n").replace("\r", "\n")
