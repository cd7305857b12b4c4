"""What a message says to a person: its text, its HTML and what is attached to it."""

from __future__ import annotations

import re

from mailoauth.mail.decoding import decode_header, decode_text
from mailoauth.mail.once import once
from mailoauth.mail.parts import Leaf, Part, scan

_BODIES = frozenset({"text/plain", "text/html"})
# Compiled when first needed.
_CID = r"""(?i)\bcid:([^"'\s<>)]+)"""
_META_CHARSET = rb"""(?i)<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})"""


class View:
    """Reads the parts of one message when they are asked for, each once."""

    def __init__(self, raw: bytes) -> None:
        self.root = Part(raw, 0, len(raw))

    def header(self, name: bytes) -> str:
        """Return the decoded first header of a name given in lower case, "" if there is none."""
        return decode_header(self.root.header(name))

    def headers(self) -> list[tuple[str, str]]:
        """Return names and decoded values in order; reads nothing but the header block."""
        return [
            (name.decode("ascii", "replace"), decode_header(value))
            for name, value in self.root.fields
        ]

    @once
    def _found(self) -> _Found:
        return _Found(self.root)

    @once
    def text(self) -> str:
        """Text parts, one version of each; made from HTML where there is no other."""
        versions = map(_readable, _versions(self._found.bodies))
        return "\n".join([text for text in versions if text])

    @once
    def html(self) -> str | None:
        """HTML parts, None if there is none."""
        pages = [_text_of(leaf.part) for leaf in self._found.bodies if _is_html(leaf.part)]
        return "\n".join(pages) if pages else None

    @once
    def inline(self) -> list[Part]:
        """Parts that the HTML shows by their Content-ID (RFC 2392)."""
        candidates = [part for part in self._found.others if part.content_id]
        if not candidates or not self.html:
            return []
        from urllib.parse import unquote  # noqa: PLC0415 - slow to import, and rarely needed

        shown = {unquote(cid) for cid in re.findall(_CID, self.html)}
        return [part for part in candidates if part.content_id in shown]

    @once
    def attachments(self) -> list[Part]:
        """Every part that is neither a body nor inline."""
        inline = {id(part) for part in self.inline}
        return [part for part in self._found.others if id(part) not in inline]

    @property
    def header_defects(self) -> tuple[str, ...]:
        """What is wrong with its header block, each once."""
        from mailoauth.mail.defects import header_defects  # noqa: PLC0415 - asked for rarely

        return tuple(dict.fromkeys(header_defects(self.root)))

    @property
    def defects(self) -> tuple[str, ...]:
        """What is wrong with the message, each once; decodes every part to find out."""
        from mailoauth.mail.defects import part_defects  # noqa: PLC0415 - asked for rarely

        found = [*self.header_defects, *self._found.defects]
        for leaf in self._found.leaves:
            found += part_defects(leaf.part)
        return tuple(dict.fromkeys(found))


class _Found:
    """The leaves of a message, told apart: bodies are read, the others are files."""

    __slots__ = ("bodies", "defects", "leaves", "others")

    def __init__(self, root: Part) -> None:
        self.leaves, self.defects = scan(root)
        self.bodies: list[Leaf] = []
        self.others: list[Part] = []
        for leaf in self.leaves:
            if _is_body(leaf):
                self.bodies.append(leaf)
            else:
                self.others.append(leaf.part)


def _is_body(leaf: Leaf) -> bool:
    part = leaf.part
    if leaf.root and part.content_type.startswith("multipart/"):
        return True  # its boundary is lost: better all of it than nothing
    if part.content_type not in _BODIES or part.disposition == "attachment":
        return False
    return leaf.root or not part.filename


def _is_html(part: Part) -> bool:
    return part.content_type == "text/html"


def _versions(bodies: list[Leaf]) -> list[list[Part]]:
    """Group the bodies: those of one multipart/alternative say the same."""
    groups: list[list[Part]] = []
    alternatives: dict[int, list[Part]] = {}
    for leaf in bodies:
        group = alternatives.get(leaf.alternative) if leaf.alternative is not None else None
        if group is None:
            group = []
            groups.append(group)
            if leaf.alternative is not None:
                alternatives[leaf.alternative] = group
        group.append(leaf.part)
    return groups


def _readable(versions: list[Part]) -> str:
    for part in versions:
        if not _is_html(part):
            text = _text_of(part)
            if text and not text.isspace():
                return text
    pages = [_text_of(part) for part in versions if _is_html(part)]
    if not pages:
        return ""
    from mailoauth.mail.text import html_to_text  # noqa: PLC0415 - needed by a part of all mail

    return "\n".join(map(html_to_text, pages))


def _text_of(part: Part) -> str:
    data = part.decode()[0]
    charset = part.parameters.get("charset")
    if not charset and _is_html(part) and (meta := re.search(_META_CHARSET, data[:4096])):
        charset = meta[1].decode("ascii", "replace")
    return decode_text(data, charset).replace("\r\n", "\n").replace("\r", "\n")
