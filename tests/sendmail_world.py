"""What the tests of `mailoauth-sendmail` share: a process of it, and messages that it gets."""

from __future__ import annotations

import subprocess
import sys

from tests.cli_world import ADA, environment_of

BOB = "bob@example.com"
#: What Debian's cron pipes to `sendmail -FCronDaemon -i -B8BITMIME -oem root`.
CRON = (
    "From: root (Cron Daemon)\n"
    "To: root\n"
    "Subject: Cron <root@host> /usr/local/bin/nightly\n"
    "MIME-Version: 1.0\n"
    "Content-Type: text/plain; charset=UTF-8\n"
    "Content-Transfer-Encoding: 8bit\n"
    "X-Cron-Env: <LANG=C.UTF-8>\n"
    "X-Cron-Env: <LOGNAME=root>\n"
    "\n"
    "Rücksicherung fehlgeschlagen\n"
    ".\n"
    "bis hier\n"
).encode()
CRON_OPTIONS = ("-FCronDaemon", "-i", "-B8BITMIME", "-oem")
LETTER = f"From: {ADA}\nTo: {BOB}\nSubject: Hello\n\nHello, Bob.\n".encode()


class Done:
    """What a run came to."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err.decode()

    def __repr__(self) -> str:
        return f"Done({self.code}, {self.out!r}, {self.err!r})"


def program(*arguments: str) -> list[str]:
    code = "import sys\nfrom mailoauth.cli.sendmail import main\nsys.exit(main())"
    return [sys.executable, "-c", code, *arguments]


def run(*arguments: str, message: bytes = LETTER, **settings: str | None) -> Done:
    done = subprocess.run(
        program(*arguments),
        input=message,
        env=environment_of(dict(settings)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
