"""The laboratory: Postfix and its sink mailbox, the long line, and a sink for great numbers."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import mailoauth
from tests.benchmarks.common import runs
from tests.benchmarks.common.job import Job
from tests.benchmarks.common.line import LongLine
from tests.benchmarks.sending.contenders import table
from tests.benchmarks.sending.contenders.table import CONTENDERS
from tests.benchmarks.sending.letters import SINK
from tests.benchmarks.sending.proof import proof_of

if TYPE_CHECKING:
    from types import TracebackType

    from tests.benchmarks.common.runs import Run
    from tests.benchmarks.sending.works import Work
    from tests.real.servers import RealServers

_USER: Final = "ada@example.com"
#: Seconds each way.
_DELAY: Final = 0.020
#: Seconds within which what Postfix has taken must lie in the mailbox.
_DELIVERY: Final = 60.0
_ROOT: Final = Path(__file__).parents[3]


class Lab:
    """Lets contenders do works, and counts what arrived; a context manager."""

    def __init__(self, servers: RealServers) -> None:
        self._servers = servers
        self._stack = ExitStack()
        self._line = LongLine(servers.smtp_direct.port, _DELAY)
        self._home = Path()
        self._sink: subprocess.Popen[str]
        self._ports: dict[str, int] = {}
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._line)
            self._home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._sink = stack.enter_context(self._start_sink())
            self._ports = {
                "near": self._servers.smtp_direct.port,
                "far": self._line.port,
                "sink": int(self._sink_line()),
            }
            self._environment = {
                "MAILOAUTH_HOME": str(self._home),
                "MAILOAUTH_KEY": base64.b64encode(os.urandom(32)).decode(),
                # For the scripts that are run as files: as if the checkout was installed.
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", "")))
                ),
            }
            self._servers.add_user(_USER)
            self._sign_in()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._sink.stdin is not None
        self._sink.stdin.close()
        self._stack.close()

    def run(self, contender: str, work: Work) -> Run:
        """Let a contender do the work, and prove that all arrived, once."""
        if work.server != "sink":
            self._servers.clear(SINK)
        job = Job(
            port=self._ports[work.server],
            user=_USER,
            token=self._servers.issue_token(_USER),
            ca_file=str(self._servers.ca_file),
            folder=str(self._home),
            count=work.count,
        )
        who = CONTENDERS[contender]
        command = who.command(table.__name__, contender, work.verb)
        run = runs.run(command, who.told(job), self._environment)
        if run.done.count != work.count:
            raise runs.RunFailed(f"did {run.done.count} of {work.count}")
        proof = self._ask_sink(work) if work.server == "sink" else self._look(work)
        return replace(run, done=replace(run.done, proof=proof))

    def _look(self, work: Work) -> str:
        """Wait for the last message, and return a checksum of all."""
        limit = time.monotonic() + _DELIVERY
        while len(found := self._servers.messages(SINK)) < work.count:
            if time.monotonic() > limit:
                raise runs.RunFailed(f"{len(found)} of {work.count} were delivered")
            time.sleep(0.1)
        if len(found) != work.count:
            raise runs.RunFailed(f"{len(found)} messages arrived, not {work.count}")
        return proof_of(message.raw for message in found) if work.verb else ""

    def _start_sink(self) -> subprocess.Popen[str]:
        files = (self._servers.certificates.chain_file, self._servers.certificates.key_file)
        return subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.sending.sink", *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )

    def _ask_sink(self, work: Work) -> str:
        assert self._sink.stdin is not None
        self._sink.stdin.write("how many?\n")
        self._sink.stdin.flush()
        told = self._sink_line()
        if told.split() != [str(work.count)] * 2:
            raise runs.RunFailed(f"the sink has taken (messages, different ones) {told}")
        return "all"

    def _sink_line(self) -> str:
        assert self._sink.stdout is not None
        return self._sink.stdout.readline()

    def _sign_in(self) -> None:
        """Store an account and a token for the scripts that are given neither."""
        ours = ("MAILOAUTH_HOME", "MAILOAUTH_KEY")
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update({name: self._environment[name] for name in ours})
        try:
            account = self._servers.account(_USER, smtp=self._servers.smtp_direct)
            mailoauth.sign_in(account, open_url=self._servers.browser)
            mailoauth.save_account(account)
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
