"""Readable text from HTML, without a browser: linear, and happy with any input."""

from __future__ import annotations

import html as entities
import re

# Upper bounds on the attributes of one tag keep hostile input from costing squares.
_TAG = re.compile(
    r"""</?([a-zA-Z][a-zA-Z0-9:_-]{0,40})((?:[^"'<>]++|"[^"<]{0,9000}+"|'[^'<]{0,9000}+'){0,200}+)>"""
)
_LOOSE_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:_-]{0,40})")
_ATTRIBUTE = re.compile(
    r"""\b(href|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
_SPACES = re.compile(r"[ \t\r\n\f\xa0\u200b\ufeff]+")
_INVISIBLE = frozenset({"script", "style", "title", "noscript", "template"})
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"}
)
_LINES = frozenset(
    {"br", "div", "tr", "li", "dt", "dd", "hr", "section", "article", "header", "footer", "form"}
    | {"center", "address", "figure", "body", "head", "html", "main", "nav", "option"}
)


def html_to_text(html: str) -> str:
    """Turn HTML into text that a person can read: paragraphs, lists, links, pictures' names."""
    writer = _Writer()
    position = 0
    while True:
        start = html.find("<", position)
        if start < 0:
            writer.text(html[position:])
            return writer.result()
        writer.text(html[position:start])
        position = _read_markup(html, start, writer)


def _read_markup(html: str, start: int, writer: _Writer) -> int:
    """Act on what begins with "<" and return where to go on."""
    if html.startswith(("<!", "<?"), start):
        closing = "-->" if html.startswith("<!--", start) else ">"
        return _after(html, closing, start)
    whole = _TAG.match(html, start)
    tag = whole or _LOOSE_TAG.match(html, start)
    if tag is None:
        writer.text("<")
        return start + 1
    end = whole.end() if whole else _after(html, ">", start)
    name = tag[1].lower()
    closes = html.startswith("/", start + 1)
    if name in _INVISIBLE and not closes:
        return _after_element(html, name, end)
    writer.tag(name, html[tag.end(1) : end], closes=closes)
    return end


def _after(html: str, closing: str, start: int) -> int:
    found = html.find(closing, start)
    return len(html) if found < 0 else found + len(closing)


def _after_element(html: str, name: str, start: int) -> int:
    """Skip an element whose content is not for reading; to the end where it is not closed."""
    closing = re.compile(f"</{name}\\b", re.IGNORECASE).search(html, start)
    return _after(html, ">", closing.start()) if closing else len(html)


class _Writer:
    """Lays text out in lines, white space collapsed as browsers do."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._breaks = 2  # line breaks that the output ends with: none are wanted at the top
        self._space = False  # white space is due before the next word
        self._preformatted = 0
        self._target = ""
        self._label_start = 0  # where in the output the link's label begins

    def text(self, raw: str) -> None:
        if not raw:
            return
        text = entities.unescape(raw)
        if self._preformatted:
            self._put(text.replace("\r\n", "\n"))
            return
        text = _SPACES.sub(" ", text)
        self._space = self._space or text.startswith(" ")
        words = text.strip(" ")
        if words:
            self._put((" " if self._space and not self._breaks else "") + words)
            self._space = text.endswith(" ")

    def tag(self, name: str, attributes: str, *, closes: bool) -> None:
        if name in _PARAGRAPHS:
            self._break(2)
        elif name in _LINES:
            self._break(1, again=name == "br")
        elif name in {"td", "th"}:
            self._space = True
        if name == "pre":
            self._preformatted = max(0, self._preformatted + (-1 if closes else 1))
        elif name == "a":
            self._link(_attribute(attributes, "href"), closes=closes)
        elif name == "li" and not closes:
            self._put("- ")
            self._breaks = 2  # a paragraph in the item begins behind the dash
        elif name == "img":
            self.text(_attribute(attributes, "alt"))

    def result(self) -> str:
        lines = "".join(self._out).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip()

    def _put(self, text: str) -> None:
        self._out.append(text)
        self._breaks = 0
        self._space = False

    def _break(self, wanted: int, *, again: bool = False) -> None:
        count = 1 if again and self._breaks < 2 else wanted - self._breaks  # noqa: PLR2004 - one empty line at most
        if count > 0:
            self._out.append("\n" * count)
            self._breaks += count
        self._space = False

    def _link(self, target: str, *, closes: bool) -> None:
        if not closes:  # links do not nest in HTML: a second one replaces the first
            self._target, self._label_start = target, len(self._out)
            return
        target, self._target = self._target, ""
        if not target.startswith(("http:", "https:", "mailto:")):
            return  # nor is the label looked at: thousands of "</a>" would have the same one
        label = "".join(self._out[self._label_start :]).strip()
        shown = target.removeprefix("mailto:").rstrip("/")
        if label.rstrip("/") != shown:
            self.text(f" <{entities.escape(target.removeprefix('mailto:'))}> ")


def _attribute(attributes: str, name: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name:
            return entities.unescape(match[2] or match[3] or match[4] or "").strip()
    return ""
