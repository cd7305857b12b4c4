"""The journal of messages whose keys are no plain text."""

from __future__ import annotations

from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from tests.many_world import FakeMailer, note, notes, raw, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mailing.journal"


@pytest.mark.parametrize("parsed", [False, True])
def test_a_message_id_that_is_not_ascii_is_kept(path: Path, parsed: bool) -> None:
    octets = raw(2).replace(b"Subject", b"Message-ID: <\xe4@example.com>\r\nSubject")
    messages: list[Any] = [note(1), message_from_bytes(octets) if parsed else octets, note(3)]
    first, second = FakeMailer(), FakeMailer()
    assert len(run(first, messages, journal=path)) == 3
    assert len(first.accepted) == 3
    assert run(second, messages, journal=path) == []


def test_a_key_that_is_not_all_text_is_kept(path: Path) -> None:
    keys = ["one", "\udce4", "three"]
    messages = notes(3)

    def key(message: Any) -> str:
        return keys[int(message["subject"][-1]) - 1]

    mailer = FakeMailer()
    receipts = run(mailer, messages, journal=path, key=key)
    assert sorted(receipt.key for receipt in receipts) == ["\\udce4", "one", "three"]
    assert run(FakeMailer(), messages, journal=path, key=key) == []
