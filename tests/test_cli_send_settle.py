"""`mailoauth send` and the Sent folder: what was lost is looked for, a copy is kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from mailoauth import save_account
from mailoauth.cli import send_options
from mailoauth.emulator import Cut, OutlookEmulator
from tests.cli_world import ADA, World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        world = World(emulator, capsys)
        world.sign_in()
        yield world


@pytest.mark.parametrize(("carried_out", "code"), [(True, 0), (False, 7)])
def test_settle_finds_out_whether_it_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, carried_out: bool, code: int
) -> None:
    monkeypatch.setattr(send_options, "SHORTEST_SETTLE", 0.0)
    world.emulator.on("smtp", ".", Cut(carried_out=carried_out))
    done = world.run(
        "send", ADA, "--to", "bob@example.org", "--text", "Hi", "--settle", "1s", "--json"
    )
    assert done.code == code, done
    assert len(world.emulator.sent) == int(carried_out)
    if carried_out:
        assert done.objects[0]["reply"] == "found in the Sent folder"
    else:
        assert "for 1 seconds it did not come into the Sent folder: it was not sent" in done.err


def test_settle_and_retry_send_it_exactly_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_options, "SHORTEST_SETTLE", 0.0)
    world.emulator.on("smtp", ".", Cut())
    done = world.run(
        "send",
        ADA,
        "--to",
        "bob@example.org",
        "--text",
        "Hi",
        "--settle",
        "1s",
        "--retry-for",
        "2m",
    )
    assert (done.code, len(world.emulator.sent)) == (0, 1)


def test_an_unknown_outcome_names_the_option_that_settles_it(world: World) -> None:
    world.emulator.on("smtp", ".", Cut())
    done = world.run("send", ADA, "--to", "bob@example.org", "--text", "Hi")
    assert done.code == 8
    assert "--settle" in done.err


def copies_kept_by(world: World, *, provider: bool) -> None:
    account = world.emulator.account(ADA)
    named = dataclasses.replace(account.provider, name="lab", saves_sent=provider)
    save_account(dataclasses.replace(account, provider=named))


def test_a_copy_is_kept_in_sent_where_the_provider_keeps_none(world: World) -> None:
    copies_kept_by(world, provider=False)
    before = len(world.emulator.messages(ADA, "Sent Items"))
    done = world.run(
        "send", ADA, "--to", "bob@example.org", "--bcc", "di@example.org", "--text", "Hi",
        "--save-sent", "--json",
    )  # fmt: skip
    assert done.code == 0, done
    assert done.objects[0]["saved"] is True
    # The emulator keeps a copy of its own, so ours is not put there a second time.
    assert len(world.emulator.messages(ADA, "Sent Items")) == before + 1


def test_settle_is_refused_where_the_sent_folder_tells_nothing(world: World) -> None:
    copies_kept_by(world, provider=False)
    done = world.run("send", ADA, "--to", "bob@example.org", "--text", "Hi", "--settle", "1s")
    assert (done.code, world.emulator.sent) == (2, [])
    assert "--settle looks in the Sent folder" in done.err
