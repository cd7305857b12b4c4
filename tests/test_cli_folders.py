"""`mailoauth folders`: what is shown of each folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.cli import folders, screen, shapes
from mailoauth.emulator import OutlookEmulator
from mailoauth.mail.folders import Folder
from tests.cli_world import ADA, World

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = [
    "name",
    "special_use",
    "messages",
    "unseen",
    "flags",
    "selectable",
    "delimiter",
    "subscribed",
]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def folder(name: str, **changes: object) -> Folder:
    usual = {
        "special_use": "",
        "delimiter": "/",
        "flags": ("\\HasNoChildren",),
        "messages": 3,
        "unseen": 1,
        "selectable": True,
        "subscribed": None,
    }
    return Folder(name=name, **(usual | changes))  # type: ignore[arg-type]  # of many types


def test_a_row_has_the_name_the_counts_and_the_use() -> None:
    shown = folders.rows(
        [
            folder("INBOX", special_use="inbox"),
            folder("Top", messages=None, unseen=None, selectable=False),
            folder("Empty", messages=0, unseen=0),
        ]
    )
    assert shown == [
        ("INBOX", "1", "3", "inbox"),
        ("Top", "-", "-", "-"),
        ("Empty", "0", "0", "-"),
    ]


def test_an_object_has_the_documented_keys() -> None:
    assert list(shapes.of_folder(folder("INBOX"))) == KEYS
    assert shapes.of_folder(folder("A", subscribed=True))["flags"] == ["\\HasNoChildren"]


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = folder("a\x1b]0;owned\x07\u202eb")
    screen.show_table(("FOLDER",), folders.rows([hostile]))
    screen.put_json(shapes.of_folder(hostile))
    assert not {"\x1b", "\x07", "\u202e"} & set(capsys.readouterr().out)


def test_folders_lists_what_the_mailbox_has_between_tabs(world: World) -> None:
    for name in ("INBOX", "INBOX", "Grüße 数/Zwei"):
        world.emulator.deliver(ADA, b"Subject: one\r\n\r\nHi\r\n", name)
    assert world.run("fetch", ADA, "--mark-seen", "--limit", "1").code == 0
    done = world.run("folders", ADA)
    assert (done.code, done.err) == (0, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert ["INBOX", "1", "2", "inbox"] in rows
    assert ["Grüße 数/Zwei", "1", "1", "-"] in rows
    assert "sent" in {row[3] for row in rows}


def test_a_name_comes_out_so_that_it_can_be_used_again(world: World) -> None:
    name = "two  blanks"
    world.emulator.deliver(ADA, b"Subject: one\r\n\r\nHi\r\n", name)
    names = [line.split("\t")[0] for line in world.run("folders", ADA).out.splitlines()]
    assert name in names
    assert world.run("fetch", ADA, "--folder", name).out.endswith("one\n")


def test_blanks_that_would_break_the_table_are_written_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen.show_table(("FOLDER",), [("a\tb\nc\x1bd  e ",)])
    assert capsys.readouterr().out == "a\\x09b\\x0ac\\x1bd  e \n"


def test_folders_prints_the_documented_objects(world: World) -> None:
    world.emulator.deliver(ADA, b"Subject: one\r\n\r\nHi\r\n")
    done = world.run("folders", ADA, "--json")
    assert done.code == 0
    assert all(list(each) == KEYS for each in done.objects)
    (inbox,) = [each for each in done.objects if each["name"] == "INBOX"]
    assert (inbox["messages"], inbox["unseen"], inbox["selectable"]) == (1, 1, True)


def test_an_account_that_is_not_there_is_wrong_use(world: World) -> None:
    assert world.run("folders", "nobody@example.com").code == 2
    assert world.run("folders", ADA, "--mailbox", "a\nb@example.com").code == 2
