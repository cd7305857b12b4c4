"""The command; see the package's docstring."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace

import tests.benchmarks.reading
from tests.benchmarks.common.versions import versions
from tests.benchmarks.reading import report
from tests.benchmarks.reading.lab import Lab
from tests.benchmarks.reading.works import Sizes, works
from tests.real import dovecot
from tests.real.servers import RealServers, missing

_PACKAGES = ("imapclient", "imap-tools", "aioimaplib")


def main() -> int:
    """Run what the command line says; return the exit code."""
    names = list(works(Sizes()))
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.reading",
        description=tests.benchmarks.reading.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", nargs="*", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="how often (default: 5)")
    parser.add_argument("--full", action="store_true", help="scale with 100,000 messages too")
    chosen = parser.parse_args()
    if unknown := set(chosen.work) - set(names):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    sizes = Sizes()
    if chosen.full:
        sizes = replace(sizes, scale=(*sizes.scale, 100_000))
    with RealServers(token_life=86400) as servers, Lab(servers, sizes) as lab:
        for name in chosen.work or names:
            for work in works(sizes)[name]:
                rows = report.compete(lab, work, chosen.runs)
                print("\n".join(report.table(work, rows, chosen.runs)), end="\n\n", flush=True)
    answer = subprocess.run(
        [dovecot.program() or "dovecot", "--version"], capture_output=True, text=True, check=False
    )
    print(versions(f"Dovecot {answer.stdout.split()[0]}", packages=_PACKAGES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
