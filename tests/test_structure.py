"""BODYSTRUCTUREs, whole and broken, and which attachments they tell of."""

from __future__ import annotations

from typing import Any

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.structure import RemotePart, attached

Node = tuple[Any, ...]
BOUNDARY = (b"boundary", b"b")


def leaf(
    kind: str = "application/pdf",
    *,
    name: str | bytes | None = None,
    disposition: Any = None,
    content_id: bytes | None = None,
    encoding: bytes | None = b"base64",
    octets: int = 7800,
) -> Node:
    """Build the fields of a part as imapclient gives them."""
    major, minor = kind.upper().encode().split(b"/")
    text = name.encode() if isinstance(name, str) else name
    parameters = None if text is None else (b"name", text)
    fields: Node = (major, minor, parameters, content_id, None, encoding, octets)
    if major == b"TEXT":
        fields += (7,)
    if (major, minor) == (b"MESSAGE", b"RFC822"):
        envelope = (None,) * 10
        fields += (envelope, (b"TEXT", b"PLAIN", None, None, None, b"7BIT", 2, 1), 7)
    return (*fields, None, disposition, None, None)


def multipart(*parts: Node, kind: bytes = b"MIXED") -> Node:
    return (list(parts), kind, BOUNDARY, None, None, None)


TEXT = leaf("text/plain", encoding=None)
HTML = leaf("text/html", encoding=b"quoted-printable")
PDF = leaf(name="a.pdf", disposition=(b"attachment", (b"filename", b"b.pdf")))


def listed(structure: Any) -> list[tuple[str, str, str]]:
    parts = attached(structure)
    assert parts is not None
    return [(part.section, part.content_type, part.filename) for part in parts]


def test_bodies_are_no_attachments_and_everything_else_is() -> None:
    bodies = multipart(TEXT, HTML, leaf("text/calendar"), kind=b"ALTERNATIVE")
    structure = multipart(bodies, PDF, leaf("text/plain", name="notes.txt"), leaf("message/rfc822"))
    assert listed(structure) == [
        ("1.3", "text/calendar", ""),
        ("2", "application/pdf", "b.pdf"),
        ("3", "text/plain", "notes.txt"),
        ("4", "message/rfc822", ""),
    ]


def test_a_text_that_is_said_to_be_attached_is() -> None:
    structure = multipart(TEXT, leaf("text/html", disposition=(b"ATTACHMENT", None)))
    assert listed(structure) == [("2", "text/html", "")]


def test_a_message_of_one_part_is_its_own_section() -> None:
    assert listed(PDF) == [("1", "application/pdf", "b.pdf")]
    assert listed(leaf("text/plain", name="notes.txt")) == [], "the whole message is its text"
    assert listed(leaf("message/rfc822")) == [("TEXT", "message/rfc822", "")]


def test_parts_are_numbered_by_level() -> None:
    inner = multipart(TEXT, multipart(PDF, PDF), kind=b"RELATED")
    assert [section for section, *_ in listed(multipart(TEXT, inner, PDF))] == [
        "2.2.1",
        "2.2.2",
        "3",
    ]


def test_pictures_beside_html_are_shown_by_it() -> None:
    picture = leaf("image/png", content_id=b"<1>")
    icon = leaf("application/x", content_id=b"<2>", disposition=(b"inline", None))
    document = leaf(content_id=b"<3>")
    page = multipart(HTML, picture, icon, document, leaf("image/png"), kind=b"RELATED")
    assert [section for section, *_ in listed(page)] == ["4", "5"]
    other = multipart(TEXT, picture, kind=b"RELATED")
    assert [section for section, *_ in listed(other)] == ["2"], "there is no HTML to show it"
    invoice = leaf(content_id=b"<1>", disposition=(b"inline", (b"filename", b"a.pdf")))
    mixed = multipart(HTML, picture, invoice)
    assert [section for section, *_ in listed(mixed)] == ["2", "3"], "not made to go together"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((b"filename", b"a b.pdf"), "a b.pdf"),
        ((b"FILENAME*", b"utf-8''%E2%82%AC.pdf"), "€.pdf"),
        ((b"filename*1*", b"%AC.pdf", b"filename*0*", b"utf-8''%E2%82"), "€.pdf"),
        ((b"filename", b"=?utf-8?B?4oKsLnBkZg==?="), "€.pdf"),
        ((b"filename", "Größe.pdf".encode("latin-1")), "Größe.pdf"),
        ((b"filename", b'a"; filename*="b.exe'), "a_; filename_=_b.exe"),
        ((b"filename", b"../../etc/passwd"), "passwd"),
        ((b"filename", b"gpj.\xe2\x80\xaeexe"), "gpj.exe"),
        ((b"filename", b"CON"), "_CON"),
        ((b"filename", b"..."), "attachment"),
        ((b"filename", b"x" * 10_000), "x" * 200),
        ((b"filename", 2026), "2026"),
        ((b"filename", None), "fallback.pdf"),
        ((b"filename",), "fallback.pdf"),
        ((b'x"; filename="', b"evil.exe"), "fallback.pdf"),
        ((None, b"a.pdf"), "fallback.pdf"),
        (None, "fallback.pdf"),
    ],
)  # fmt: skip
def test_names_are_decoded_as_in_a_header_and_made_safe(parameters: Any, name: str) -> None:
    part = leaf(name="fallback.pdf", disposition=(b"attachment", parameters))
    ((_, _, found),) = listed(multipart(TEXT, part))
    assert found == name


@pytest.mark.parametrize(
    "disposition",
    [b"attachment", b"ATTACHMENT", (b"attachment",), (b"attachment", None), (b"Attachment", ())],
)
def test_a_disposition_is_known_however_exchange_writes_it(disposition: Any) -> None:
    part = leaf("text/plain", disposition=disposition)
    assert len(listed(multipart(TEXT, part))) == 1


@pytest.mark.parametrize("disposition", [(None, None), None, (), b"", (b"en", b"de"), 7])
def test_what_is_no_disposition_is_none(disposition: Any) -> None:
    assert listed(multipart(TEXT, leaf("text/plain", disposition=disposition))) == []


def test_a_disposition_may_be_the_header_itself() -> None:
    part = leaf("text/plain", disposition=b'ATTACHMENT; filename="../a b.pdf"')
    assert listed(multipart(TEXT, part)) == [("2", "text/plain", "a b.pdf")]


def test_a_disposition_is_found_where_fields_before_it_are_missing() -> None:
    short = (b"MESSAGE", b"RFC822", None, None, None, b"7BIT", 100, None, (b"attachment", None))
    structure = multipart(TEXT, (*leaf("text/plain")[:7], (b"attachment", None)), short)
    assert [section for section, *_ in listed(structure)] == ["2", "3"]


def test_text_after_a_multipart_is_passed_over() -> None:
    structure = ([TEXT, PDF], b"MIXED", b"stray", (b"boundary", b"b"), b"stray", None)
    assert len(listed(structure)) == 1
    assert len(listed((TEXT, PDF, b"MIXED"))) == 1, "parts as tuples, as they are further in"


@pytest.mark.parametrize(
    "structure",
    [
        None, (), b"TEXT", 7, (None,) * 11, (None, None, None, None, None, b"7BIT", 0, None, None, None, None),
        (b"TEXT", b"PLAIN"), (b"TEXT", b"PLAIN", None, None, None, b"7BIT", None), (b"TEXT", b"PLAIN", None, None, b"7BIT", 2, 1),
        ([], b"MIXED"), ([TEXT, PDF],), ([TEXT, PDF], None), ([TEXT, None], b"MIXED"), ([TEXT, ()], b"MIXED"), ([TEXT], b"MIXED", None, None),
        ([TEXT], b"MIXED", (b"charset", b"utf-8"), None),
        ([TEXT], b"stray", PDF, b"MIXED", BOUNDARY), ([TEXT], b"stray", [PDF], b"MIXED", BOUNDARY), (TEXT, PDF), (b"APPLICATION", b"", None, None, None, None, 2),
        (b"MULTIPART", b"MIXED", None, None, None, None, 2), (b"a b", b"c", None, None, None, None, 2), ([TEXT, (None,) * 7], b"MIXED"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_not_clear_is_not_guessed(structure: Any) -> None:
    assert attached(structure) is None


def test_neither_depth_nor_number_is_without_bounds() -> None:
    deep = PDF
    for _ in range(2000):
        deep = multipart(deep)
    assert attached(deep) is None
    assert attached(multipart(*[PDF] * 6_000)) is None
    assert len(listed(multipart(*[PDF] * 4_000))) == 4_000


@pytest.mark.parametrize(
    ("encoding", "octets", "size"),
    [
        (b"BASE64", 78 * 1000, 57_000),
        (b"base64", 8, 6),
        (b"quoted-printable", 100, 100),
        (b"x-uuencode", 63 * 10, 450),
        (None, 100, 100),
        (b"8bit", 0, 0),
    ],
)
def test_sizes_are_those_of_the_content(encoding: bytes | None, octets: int, size: int) -> None:
    (part,) = attached(leaf(encoding=encoding, octets=octets)) or []
    assert part.size == size


def test_a_part_at_the_server_has_no_content_and_shows_no_names() -> None:
    (part,) = attached(PDF, "somewhere") or []
    assert isinstance(part, RemotePart)
    assert part.message == "somewhere"
    assert "b.pdf" not in repr(part)
    with pytest.raises(ConfigError, match="save_attachment"):
        part.decode()
