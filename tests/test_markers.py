"""No secret and no mail in anything that the program produces besides what it was asked for.

``tests/endings/told.py`` lives through the main story with every logger at DEBUG, in a
process of its own. The secrets are the real ones, from the identity service's side. They
are looked for whole, in parts, in base64 and URL-encoded.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mailoauth.emulator import OutlookEmulator
from mailoauth.emulator.identity_grants import Grants
from tests.endings.knowing import ADA, WORDS, World

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not Path("/proc/self/cmdline").exists(), reason="reads Linux's process list"
    ),
]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with OutlookEmulator() as emulator:
        emulator.add_user(ADA)
        known = World(emulator)
        answer = Grants.answer

        def noted(grants: Grants, asked: Any) -> dict[str, Any]:
            known.note_form(dict(asked.form))
            reply = answer(grants, asked)
            known.note_reply(reply)
            return reply

        monkeypatch.setattr(Grants, "answer", noted)
        yield known


class Told:
    """The program and everything that came of it."""

    def __init__(self, world: World, folder: Path, *, leaking: bool = False) -> None:
        self.world = world
        self.folder = folder
        home = Path(os.environ["MAILOAUTH_HOME"])
        asked, ask = os.pipe()
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-X", "dev", "-m", "tests.endings.told", str(folder), str(ask)],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                env=self._environment(leaking=leaking),
                cwd=ROOT,
                pass_fds=[ask],
            )
        os.close(ask)
        world.pid = process.pid
        assert process.stdin is not None
        with os.fdopen(asked, encoding="utf-8") as questions, process.stdin as answers:
            for question in questions:
                answers.write(world.answer(*json.loads(question)).encode() + b"\n")
                answers.flush()
        self.code = process.wait(30)
        self.places = {path.name: path for path in folder.iterdir()}
        self.places |= {f"home/{path.name}": path for path in home.rglob("*") if path.is_file()}

    def _environment(self, *, leaking: bool) -> dict[str, str]:
        provider = self.world.emulator.account(ADA).provider
        emulator = self.world.emulator
        described = {
            "authority": provider.authority,
            "scopes": provider.scopes,
            "client_id": provider.client_id,
            "imap": [emulator.imap.host, emulator.imap.port, emulator.imap.tls],
            "smtp": [emulator.smtp.host, emulator.smtp.port, emulator.smtp.tls],
            "ca_file": str(emulator.ca_file),
        }
        return os.environ | {
            "ENDINGS_WORLD": json.dumps(described),
            "TOLD_WORDS": json.dumps(WORDS),
            "TOLD_LEAKING": "yes" if leaking else "",
            "PYTHONPATH": str(ROOT),
        }

    def found(self) -> dict[str, set[str]]:
        """Return where a marker is, and which kind of marker."""
        needles = dict.fromkeys(secret_needles(self.world.secrets | keys()), "secret")
        needles |= dict.fromkeys(mail_needles(), "mail")
        texts = {name: path.read_bytes() for name, path in self.places.items()}
        texts["command line"] = b"\n".join(self.world.command_lines)
        found: dict[str, set[str]] = {}
        for name, text in texts.items():
            for needle, kind in needles.items():
                if needle in text:
                    found.setdefault(name, set()).add(kind)
        return found


def keys() -> set[str]:
    return {os.environ["MAILOAUTH_KEY"], WORDS["other_key"], WORDS["short_key"]}


def secret_needles(secrets: set[str]) -> Iterator[bytes]:
    for secret in secrets:
        assert len(secret) >= 16, "too short to be looked for"
        for form in (secret, urllib.parse.quote(secret, safe="")):
            # A piece of it is as bad: its beginning, its middle.
            yield form[:24].encode()
            yield form[len(form) // 2 :][:24].encode()
        for shift in range(3):
            encoded = base64.b64encode(b"=" * shift + secret.encode()).decode()
            yield encoded[len(encoded) // 2 - 12 :][:24].encode()
    for key in keys():
        with contextlib.suppress(ValueError):
            raw = base64.b64decode(key)
            yield raw
            yield raw.hex().encode()
            yield repr(raw)[2:-1].encode()


def mail_needles() -> Iterator[bytes]:
    for name in ("subject", "body", "attachment", "correspondent"):
        word = max(WORDS[name].replace("@", ".").split(), key=len)
        for part in (WORDS[name], word):
            yield part.encode()
            yield base64.b64encode(part.encode())[:20]
    yield from (b"kumquat", b"persimmon", b"loganberry", b"quince")


def test_the_story_leaves_no_secret_and_no_mail_anywhere(world: World, tmp_path: Path) -> None:
    told = Told(world, tmp_path)
    assert told.code == 0, (tmp_path / "stderr").read_text()
    assert (tmp_path / "outcomes.txt").read_text().endswith("end\n")
    # All kinds of secrets took part, and each place was written to.
    assert len(world.secrets) > 20
    written = {name for name, path in told.places.items() if path.stat().st_size}
    assert {"all.log", "errors.txt", "reprs.txt", "outcomes.txt"} <= written
    assert sum(name.endswith(".pickle") for name in written) > 10
    assert any(name.startswith("home/") for name in written)
    assert b"told" in b"".join(world.command_lines)
    log = (tmp_path / "all.log").read_text()
    assert all(f":{name}" in log for name in ("mailoauth.tokens", "mailoauth.mail", "asyncio"))
    assert ADA in log
    assert told.found() == {}


def test_leaks_on_purpose_are_found(world: World, tmp_path: Path) -> None:
    told = Told(world, tmp_path, leaking=True)
    assert told.code == 0, (tmp_path / "stderr").read_text()
    found = told.found()
    assert {name for name, kinds in found.items() if "secret" in kinds} - pickles(found) == {
        "all.log",
        "errors.txt",
        "reprs.txt",
        "stdout",
        "home/leak.json",
        "command line",
    }
    assert len(pickles(found)) == 1
    assert [name for name, kinds in found.items() if "mail" in kinds] == ["stderr"]


def pickles(found: dict[str, set[str]]) -> set[str]:
    return {name for name in found if name.endswith(".pickle")}
