"""What `mailoauth-sendmail` says where an author is refused or an alias is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailoauth.emulator import OutlookEmulator
from tests.cli_world import ADA, World
from tests.sendmail_world import BOB, run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


def test_a_refused_author_is_named_with_the_option_that_changes_it(world: World) -> None:
    letter = f"From: Eve <eve@example.com>\nTo: {BOB}\nSubject: x\n\nHi\n".encode()
    done = run(BOB, message=letter)
    said = " ".join(done.err.split())
    assert (done.code != 0, world.emulator.sent) == (True, [])
    assert "The message is from eve@example.com." in said
    assert f"With --rewrite-from the mail goes out from {ADA}, and answers go to eve@" in said
    assert run("--rewrite-from", BOB, message=letter).code == 0


@pytest.mark.parametrize("aliases", ["root=ada@example.com; www=bob@example.org", "root=ada"])
def test_a_wrong_alias_names_the_variable(world: World, aliases: str) -> None:
    done = run("root", MAILOAUTH_SENDMAIL_ALIASES=aliases)
    assert (done.code, world.emulator.sent) == (64, [])
    assert f"MAILOAUTH_SENDMAIL_ALIASES has '{aliases}'; write it like" in done.err
    assert "Commas separate several." in done.err
