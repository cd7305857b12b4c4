"""The command; see the package's docstring."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace

import tests.benchmarks.sending
from tests.benchmarks.common.versions import versions
from tests.benchmarks.sending import report
from tests.benchmarks.sending.lab import Lab
from tests.benchmarks.sending.works import Sizes, works
from tests.real.servers import RealServers, missing

#: Whole in one AUTH line: Postfix takes none over 2,047 octets, and nodemailer knows no other way.
TOKEN_SIZE = 1200


def main() -> int:
    """Run what the command line says; return the exit code."""
    names = list(works(Sizes()))
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sending",
        description=tests.benchmarks.sending.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", nargs="*", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="how often (default: 5)")
    parser.add_argument("--full", action="store_true", help="memory with 100,000 messages")
    chosen = parser.parse_args()
    if unknown := set(chosen.work) - set(names):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    sizes = Sizes()
    if chosen.full:
        sizes = replace(sizes, memory=100_000)
    with RealServers(token_life=86400, token_size=TOKEN_SIZE) as servers, Lab(servers) as lab:
        for name in chosen.work or names:
            work = works(sizes)[name]
            rows = report.compete(lab, work, chosen.runs)
            print("\n".join(report.table(work, rows, chosen.runs)), end="\n\n", flush=True)
    postfix = _said("postconf", "-d", "-h", "mail_version")
    print(versions(f"Postfix {postfix}", f"node {_said('node', '--version')}", packages=_PACKAGES))
    return 0


_PACKAGES = ("aiosmtplib", "redmail")


def _said(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "missing"
    return answer.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
