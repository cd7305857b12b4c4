"""`mailoauth fetch --limit`: run again it goes on behind what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.cli import fetch_options
from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, World
from tests.test_cli_fetch_files import FORMATS, contents, deliver_many, fetch, seen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def count_of(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


@pytest.mark.parametrize("options", [(), ("--all",), ("--newest-first",), ("--mark-seen",)])
@pytest.mark.parametrize("format_", FORMATS)
def test_the_next_run_takes_the_next_ones(
    world: World, tmp_path: Path, format_: str, options: tuple[str, ...]
) -> None:
    many = deliver_many(world, 7)
    for count in (3, 6, 7, 7):
        assert fetch(world, format_, tmp_path / "out", "--limit", "3", *options).code == 0
        assert len(contents(format_, tmp_path / "out")) == count
    assert sorted(contents(format_, tmp_path / "out")) == sorted(
        raw.replace(b"\r\n", b"\n") for raw in many
    )


def test_the_files_of_messages_that_are_there_do_not_count(world: World, tmp_path: Path) -> None:
    deliver_many(world, 5)
    options = ("--limit", "2", "--attachments", str(tmp_path / "files"))
    for count in (2, 4, 5):
        assert fetch(world, "eml", tmp_path / "out", *options).code == 0
        assert count_of(tmp_path / "out") == count


def test_messages_that_are_there_and_unmarked_do_not_count(world: World, tmp_path: Path) -> None:
    deliver_many(world, 6)
    assert fetch(world, "eml", tmp_path / "out", "--limit", "3").code == 0
    assert fetch(world, "eml", tmp_path / "out", "--limit", "2", "--mark-seen").code == 0
    assert count_of(tmp_path / "out") == 5
    assert seen(world) == [True] * 5 + [False]


def test_more_numbers_than_a_command_holds_are_left_out_all_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_many(world, 9)
    assert fetch(world, "eml", tmp_path / "out").code == 0
    for path in sorted((tmp_path / "out").iterdir())[::2]:
        path.unlink()
    monkeypatch.setattr(fetch_options, "_LONGEST_SEQUENCE", 5)
    for count in (6, 8, 9):
        assert fetch(world, "eml", tmp_path / "out", "--limit", "2").code == 0
        assert count_of(tmp_path / "out") == count


def test_what_is_printed_is_limited_by_what_is_found(world: World) -> None:
    deliver_many(world, 5)

    def uids(*options: str) -> list[int]:
        return [each["uid"] for each in world.run("fetch", ADA, "--json", *options).objects]

    assert uids("--limit", "2") == uids("--limit", "2") == [1, 2]
    assert uids("--limit", "2", "--mark-seen") == [1, 2]
    assert uids("--limit", "2", "--mark-seen") == [3, 4]
