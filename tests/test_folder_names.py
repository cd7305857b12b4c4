"""Names of folders, lines of LIST and STATUS, and which folder is for what: no socket."""

from __future__ import annotations

import random

import pytest

from mailoauth.errors import ConfigError
from mailoauth.mail.folder_names import NAMES, decode_name, encode_name, use_by_name, wire_name
from mailoauth.mail.folders import Folder, merged, parse_list, parse_status, special


def said(text: bytes, *more: bytes) -> list[bytes]:
    """Return a response as the wire gives it."""
    return [b"* " + text, *more]


def listed(text: bytes, *more: bytes) -> Folder:
    folder = parse_list(said(text, *more))
    assert folder is not None
    return folder


# Names on the wire.


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("INBOX", b"INBOX"),
        ("R&D", b"R&-D"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("台北", b"&U,BTFw-"),
        ("台北/日本語", b"&U,BTFw-/&ZeVnLIqe-"),
        ("😀", b"&2D3eAA-"),
        ("&", b"&-"),
        ("a-b", b"a-b"),
    ],
)
def test_names_are_written_in_modified_utf_7(name: str, raw: bytes) -> None:
    assert encode_name(name) == raw
    assert decode_name(raw) == name


def test_every_name_that_can_be_written_is_read_back() -> None:
    chance = random.Random(1)
    letters = 'aZ09&-+,/~ "\\%*.(){}[]üéßŁ€台😀\u202e\ufeff'
    for _ in range(5000):
        name = "".join(chance.choices(letters, k=chance.randrange(12)))
        assert decode_name(encode_name(name)) == name


def test_every_name_that_a_server_sends_is_sent_back_as_it_came() -> None:
    chance = random.Random(2)
    octets = b'aZ09&&&&----+,,/ AOQ"\\\t\x01\x7f\xc3\xbc\xff'
    for _ in range(20000):
        raw = bytes(chance.choices(octets, k=chance.randrange(1, 12)))
        name = decode_name(raw)
        assert encode_name(name) == raw
        quoted = wire_name(name)  # nor is it refused
        assert quoted[:1] + quoted[-1:] == b'""'


@pytest.mark.parametrize(
    "raw",
    [b"R&D", b"&&", b"a\tb", b"Entw\xc3\xbcrfe", b"&AGE-", b"&AA0-", b"&2D0-", b"&A-", b"\x7f"],
)
def test_a_name_that_is_no_modified_utf_7_stays_what_it_is(raw: bytes) -> None:
    assert encode_name(decode_name(raw)) == raw
    assert decode_name(raw).isascii() is False
    assert encode_name(decode_name(raw) + "/Entwürfe & mehr") == raw + b"/Entw&APw-rfe &- mehr"


def test_no_name_of_a_folder_ends_a_command() -> None:
    for hostile in (b"a\r\nA1 DELETE b", b"a\nb", b"a\0b"):
        name = decode_name(hostile)
        with pytest.raises(ConfigError, match="line break or a NUL"):
            wire_name(name)
    for name in ("a\r\nb", "a\nb", "a\0b", "", "\ud800"):
        with pytest.raises(ConfigError, match="folder is"):
            wire_name(name)
    assert wire_name('a"b\\c') == b'"a\\"b\\\\c"'


# What servers say.


def test_an_ordinary_line_of_list_is_read() -> None:
    assert listed(b'LIST (\\HasNoChildren \\Sent) "/" "Sent Items"\r\n') == Folder(
        "Sent Items", "sent", "/", ("\\HasNoChildren", "\\Sent")
    )


@pytest.mark.parametrize(
    ("line", "name", "delimiter"),
    [
        (b'LIST () "/" inbox\r\n', "INBOX", "/"),
        (b'LIST () NIL "x"\r\n', "x", ""),
        (b'LIST () "" x\r\n', "x", ""),
        (b'LIST () "\\\\" "a\\\\b"\r\n', "a\\b", "\\"),
        (b'LIST () "\\" "a"\r\n', "a", "\\"),
        (b'LIST () "/" "say \\"hi\\""\r\n', 'say "hi"', "/"),
        (b'LIST () "/" "say "hi""\r\n', 'say "hi"', "/"),
        (b'LIST () "/" a b c\r\n', "a b c", "/"),
        (b'LIST () "/" NIL\r\n', "NIL", "/"),
        (b'LIST () "/" 2026\r\n', "2026", "/"),
        (b'LIST () "/" "Entw&APw-rfe"\r\n', "Entwürfe", "/"),
        (b'LIST () "." INBOX.Sent\r\n', "INBOX.Sent", "."),
        (b'LIST () "/" "a" ("CHILDINFO" ("SUBSCRIBED"))\r\n', "a", "/"),
        (b'LIST () "/" a (CHILDINFO ("SUBSCRIBED"))\r\n', "a", "/"),
        (b'LIST () "/" a (b)\r\n', "a (b)", "/"),
        (b'XLIST () "/" a\r\n', "a", "/"),
        (b'list () "/" a\r\n', "a", "/"),
        (b'LIST ()  "/" a\r\n', "a", "/"),
    ],
)
def test_odd_lines_of_list_are_read(line: bytes, name: str, delimiter: str) -> None:
    folder = listed(line)
    assert (folder.name, folder.delimiter) == (name, delimiter)


def test_a_name_with_a_tab_that_outlook_sends_unquoted_can_be_asked_for() -> None:
    folder = listed(b'LIST (\\HasNoChildren) "/" Mails\tof 2020\r\n')
    assert wire_name(folder.name) == b'"Mails\tof 2020"'


def test_a_name_that_comes_as_a_literal_is_read() -> None:
    folder = listed(b'LIST () "/" {8}\r\n', b'a"b\\c{5}', b"\r\n")
    assert folder.name == 'a"b\\c{5}'
    assert parse_status(said(b"STATUS {3}\r\n", b"a b", b" (MESSAGES 3)\r\n")) == (
        "a b",
        {"MESSAGES": 3},
    )


@pytest.mark.parametrize(
    "line",
    [
        b"LIST\r\n",
        b"LIST nonsense\r\n",
        b'LIST (\\X "/" a\r\n',
        b'LIST () "/" \r\n',
        b'LIST () "/" ""\r\n',
        b"OK LIST\r\n",
        b"SEARCH 1 2\r\n",
    ],
)
def test_lines_that_name_no_folder_are_passed_over(line: bytes) -> None:
    assert parse_list(said(line)) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'STATUS "Sent Items" (MESSAGES 5 UNSEEN 2)\r\n', ("Sent Items", (5, 2))),
        (b"STATUS inbox (messages 5 unseen 2) \r\n", ("INBOX", (5, 2))),
        (b"STATUS a b (UNSEEN 2 MESSAGES 5)\r\n", ("a b", (5, 2))),
        (b'STATUS "a (b)" (MESSAGES 5 UNSEEN 2)\r\n', ("a (b)", (5, 2))),
        (b"STATUS a ()\r\n", ("a", (None, None))),
        (b"STATUS a (MESSAGES NIL UNSEEN 2)\r\n", ("a", (None, 2))),
    ],
)
def test_odd_lines_of_status_are_read(
    line: bytes, expected: tuple[str, tuple[int | None, int | None]]
) -> None:
    status = parse_status(said(line))
    assert status is not None
    assert (status[0], (status[1].get("MESSAGES"), status[1].get("UNSEEN"))) == expected


def test_a_folder_that_only_holds_others_is_not_selectable() -> None:
    assert listed(b'LIST (\\Noselect) "/" a\r\n').selectable is False
    assert listed(b'LIST (\\NONEXISTENT) "/" a\r\n').selectable is False
    assert listed(b'LIST (\\Marked) "/" a\r\n').selectable is True


def test_a_folder_that_is_listed_twice_is_one() -> None:
    twice = [
        listed(b'LIST (\\Marked) "/" INBOX\r\n'),
        listed(b'LIST () "/" a\r\n'),
        listed(b'LIST (\\HasChildren) "/" Inbox\r\n'),
    ]
    assert [(folder.name, folder.flags) for folder in merged(twice)] == [
        ("INBOX", ("\\Marked", "\\HasChildren")),
        ("a", ()),
    ]


# Which folder is for what.


def named(*names: str, delimiter: str = "/") -> list[Folder]:
    return merged(Folder(name, delimiter=delimiter) for name in names)


def name_for(use: str, folders: list[Folder]) -> str | None:
    found = special(folders, use)
    return found.name if found else None


def test_no_name_stands_for_two_uses_and_none_is_written_twice() -> None:
    names = [
        name.casefold() for lines in NAMES.values() for line in lines for name in line.split(" / ")
    ]
    assert len(names) == len(set(names)) > 200
    assert all(name == name.strip() != "" for name in names)


@pytest.mark.parametrize(
    ("use", "names"),
    [
        ("sent", "Sent Items/Gesendete Elemente/Éléments envoyés/Elementos enviados/Posta inviata"),
        ("sent", "Itens Enviados/Verzonden items/Elementy wysłane/Skickat/Sendt post/Lähetetyt"),
        ("sent", "Odeslaná pošta/Gönderilmiş Öğeler/Отправленные/送信済みアイテム/已发送邮件"),
        (
            "trash",
            "Deleted Items/Deleted/Trash/Bin/Gelöschte Elemente/Éléments supprimés/Corbeille",
        ),
        ("trash", "Posta eliminata/Itens Excluídos/Slettede elementer/Удаленные/已删除邮件"),
        ("junk", "Junk Email/Junk-E-Mail/Courrier indésirable/Correo no deseado/垃圾邮件/Spam"),
        ("drafts", "Drafts/Entwürfe/Brouillons/Borradores/Bozze/Rascunhos/Concepten/下書き"),
        ("archive", "Archive/Archiv/Archivo/Archivio/Archief/Arkiv/Архив/アーカイブ"),
    ],
)
def test_a_localised_name_says_what_a_folder_is_for(use: str, names: str) -> None:
    for name in names.split("/"):
        assert use_by_name(name.upper()) == use
        assert name_for(use, named("INBOX", name, "Other")) == name


def test_a_name_that_is_written_with_combining_accents_is_the_same_name() -> None:
    assert use_by_name("E\u0301le\u0301ments envoye\u0301s") == "sent"


def test_a_flag_wins_over_a_name() -> None:
    folders = merged([Folder("Sent"), Folder("Copies", "sent", flags=("\\Sent",))])
    assert name_for("sent", folders) == "Copies"
    assert [folder.special_use for folder in folders] == ["", "sent"]


def test_of_two_names_the_top_level_wins_and_then_the_commoner_one() -> None:
    assert name_for("sent", named("INBOX/Sent Items", "Sent", delimiter="/")) == "Sent"
    assert name_for("sent", named("Sent", "Sent Items")) == "Sent Items"


def test_of_two_flags_the_top_level_wins_and_then_the_first() -> None:
    folders = [Folder("a/b", "trash", "/"), Folder("c", "trash", "/"), Folder("d", "trash", "/")]
    assert name_for("trash", folders) == "c"


def test_a_name_counts_below_inbox_and_gmails_own_folder_and_nowhere_else() -> None:
    assert name_for("sent", named("INBOX.Sent", delimiter=".")) == "INBOX.Sent"
    assert name_for("all", named("[Gmail]/All Mail")) == "[Gmail]/All Mail"
    assert name_for("archive", named("Projects/Archive")) is None


def test_a_folder_that_cannot_be_opened_is_for_nothing() -> None:
    assert name_for("sent", merged([Folder("Sent", selectable=False)])) is None
    flagged = Folder("Old", "sent", selectable=False)
    assert name_for("sent", merged([flagged, Folder("Sent")])) == "Sent"
