"""What the tests of `mailoauth send-many` share: a list, a template, and what arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth import Message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli_world import World

TEMPLATE = """\
To: {{ name }} <{{ email }}>
Subject: Invoice {{ number }}

Dear {{ name }},
your invoice is {{ number }}.
"""
LIST = "email,name,number\nbob@example.org,Bob,17\ncy@example.org,Cy,18\ndi@example.org,Di,19\n"


def sent(world: World) -> dict[str, Message]:
    """What arrived at the server, by recipient."""
    found = {each.recipients[0]: Message.from_bytes(each.raw) for each in world.emulator.sent}
    assert len(found) == len(world.emulator.sent)
    return found


def smtp_connections(world: World) -> int:
    return sum(each.protocol == "smtp" for each in world.emulator.connections)


def write_files(folder: Path) -> None:
    """Write the list and the template."""
    (folder / "template.txt").write_text(TEMPLATE)
    (folder / "list.csv").write_text(LIST)
