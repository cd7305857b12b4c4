"""`mailoauth-sendmail` run by others: git send-email, and mail as cron pipes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailoauth import Message, save_account, sign_in
from mailoauth.mail.addresses import Address
from tests.cli_world import ADA, environment_of
from tests.sendmail_world import BOB, CRON, CRON_OPTIONS, run

if TYPE_CHECKING:
    from tests.judges import Judge


@pytest.fixture
def household(judge: Judge) -> Judge:
    """Ada's account, signed in, as the only one of this home."""
    account = judge.account(ADA)
    sign_in(account, open_url=judge.browser)
    save_account(account)
    return judge


def arrived(judge: Judge, count: int, address: str = ADA) -> list[bytes]:
    """Wait until so many messages are in the mailbox; Postfix delivers a moment after its 250."""
    limit = time.monotonic() + 10
    while len(found := judge.messages(address)) < count:
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert len(found) == count
    return [each.raw for each in found]


def test_what_cron_mails_to_root_arrives_in_the_accounts_mailbox(household: Judge) -> None:
    done = run(*CRON_OPTIONS, "root", message=CRON, MAILOAUTH_SENDMAIL_REWRITE_FROM="1")
    assert (done.code, done.out, done.err) == (0, b"", "")
    (raw,) = arrived(household, 1)
    message = Message.from_bytes(raw)
    assert message.sender == Address("Cron Daemon", ADA)
    assert message.to == (Address("", ADA),)
    assert message.reply_to == ()
    assert message.subject == "Cron <root@host> /usr/local/bin/nightly"
    assert message.headers.get_all("X-Cron-Env") == ["<LANG=C.UTF-8>", "<LOGNAME=root>"]
    assert message.text.split("\n")[:3] == ["Rücksicherung fehlgeschlagen", ".", "bis hier"]


def missing_git() -> str | None:
    git = shutil.which("git")
    if git is None:
        return "git is not installed"
    done = subprocess.run([git, "--exec-path"], capture_output=True, text=True, check=True)
    if not (Path(done.stdout.strip()) / "git-send-email").exists():
        return "git send-email is not installed (apt-get install git-email libmailtools-perl)"
    return None


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits; skipped where git send-email is missing, a failure in CI."""
    reason = missing_git()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run git send-email: {reason}")
    if reason:
        pytest.skip(reason)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text(f"[user]\nname = Ada Löve\nemail = {ADA}\n")
    folder = tmp_path / "repository"
    folder.mkdir()
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "root")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    for number in (1, 2):
        (folder / f"file{number}").write_text(f"Zeile {number}: größer\n.\nFrom here\n")
        subprocess.run(["git", "add", "."], cwd=folder, check=True)
        message = f"Add file {number}: größer\n\nBecause.\n"
        subprocess.run(["git", "commit", "-q", "-m", message], cwd=folder, check=True)
    return folder


def test_git_send_email_sends_a_series_through_it(
    household: Judge, git: Path, tmp_path: Path
) -> None:
    command = tmp_path / "sendmail"
    command.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c '
        "'import sys; from mailoauth.cli.sendmail import main; sys.exit(main())' \"$@\"\n"
    )
    command.chmod(0o755)
    done = subprocess.run(
        ["git", "send-email", f"--sendmail-cmd={command}", "--to", BOB, "--cc", ADA,
         "--suppress-cc=all", "--confirm=never", "--envelope-sender=auto", "-2"],
        cwd=git, env=environment_of(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    raws = sorted(arrived(household, 2), key=lambda raw: Message.from_bytes(raw).subject)
    first, second = map(Message.from_bytes, raws)
    assert first.subject == "[PATCH 1/2] Add file 1: größer"
    assert first.sender == Address("Ada Löve", ADA)
    assert [each.address for each in first.to] == [BOB]
    assert second.headers["In-Reply-To"] == first.message_id
    mbox = tmp_path / "series"
    mbox.write_bytes(b"".join(b"From x\n" + raw.replace(b"\r\n", b"\n") + b"\n" for raw in raws))
    subprocess.run(["git", "reset", "-q", "--hard", "HEAD~2"], cwd=git, check=True)
    subprocess.run(["git", "am", "-q", str(mbox)], cwd=git, check=True)
    assert (git / "file2").read_text() == "Zeile 2: größer\n.\nFrom here\n"
