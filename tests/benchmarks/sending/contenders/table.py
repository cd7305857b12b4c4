"""Who takes part, and how each is started."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.common.contender import Contender
from tests.benchmarks.sending.letters import HTML, SINK, SUBJECT, TEXT

if TYPE_CHECKING:
    from tests.benchmarks.common.job import Job

_HERE: Final = "tests.benchmarks.sending.contenders"
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Script(Contender):
    """A file that is run by itself, so that nothing but its own imports counts."""

    def command(self, table: str, name: str, work: str) -> list[str]:
        return [sys.executable, str(_FOLDER / self.module)]

    def told(self, job: Job) -> str:
        return "\n".join((str(job.port), job.user, job.token, job.ca_file, SINK))


@dataclass(frozen=True, slots=True)
class NodeScript(Contender):
    """A file for node, with a package found where NODE_PATH says."""

    @property
    def missing(self) -> str:
        node = shutil.which("node")
        if node is None:
            return "node is not installed"
        asked = [node, "-e", f"require.resolve({self.package!r})"]
        found = subprocess.run(asked, capture_output=True, check=False).returncode == 0
        return "" if found else f"{self.package} is not where NODE_PATH says"

    def command(self, table: str, name: str, work: str) -> list[str]:
        return ["node", str(_FOLDER / self.module), str(self.options["connections"])]

    def told(self, job: Job) -> str:
        letters = {"subject": SUBJECT, "text": TEXT, "html": HTML}
        return json.dumps({"job": asdict(job), "sink": SINK, "letters": letters})


FLOOR: Final = "floor"
SMTPLIB: Final = "smtplib"
AGAIN: Final = "smtplib_again"
ONE_SMTPLIB: Final = "one_smtplib"

_ONE: Final = {"connections": 1}
_THREE: Final = {"connections": 3}
_AIOSMTPLIB: Final = f"{_HERE}.aiosmtplib_email"
_MAILOAUTH: Final = f"{_HERE}.mailoauth_mailer"

CONTENDERS: Final[dict[str, Contender]] = {
    FLOOR: Contender("raw socket, ready-made", f"{_HERE}.raw_socket"),
    "mailoauth_3": Contender("mailoauth, three", _MAILOAUTH, options=_THREE),
    "mailoauth_8": Contender("mailoauth, eight", _MAILOAUTH, options={"connections": 8}),
    "mailoauth_1": Contender("mailoauth, one", _MAILOAUTH, options=_ONE),
    SMTPLIB: Contender("smtplib, one", f"{_HERE}.smtplib_email"),
    AGAIN: Contender("smtplib, one a message", f"{_HERE}.smtplib_email", options={"again": True}),
    "aiosmtplib_1": Contender("aiosmtplib, one", _AIOSMTPLIB, options=_ONE),
    "aiosmtplib_3": Contender("aiosmtplib, three", _AIOSMTPLIB, options=_THREE),
    "redmail": Contender("redmail, one", f"{_HERE}.redmail_sender", "redmail"),
    "nodemailer": NodeScript(
        "nodemailer's pool, three", "nodemailer_pool.js", "nodemailer", _THREE
    ),
    ONE_SMTPLIB: Script("smtplib, given the token", "one_smtplib.py"),
    "one_mailoauth": Script("mailoauth, stored token", "one_mailoauth.py"),
}
