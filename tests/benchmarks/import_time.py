"""What `import mailoauth` costs, beside `import email.message` and an empty interpreter.

Run it: python tests/benchmarks/import_time.py [ROUNDS]
Each round starts every interpreter once, in turn; medians of the wall time are printed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LINES = {
    "nothing": "pass",
    "import email.message": "import email.message",
    "import mailoauth": "import mailoauth",
    "import mailoauth; MailSession": "from mailoauth import MailSession",
    "import msal": "import msal",
}


def seconds(line: str) -> float:
    """Return how long a fresh interpreter takes for the line."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", line], check=True)
    return time.perf_counter() - start


def main(rounds: int = 20) -> None:
    """Measure and print the table."""
    times: dict[str, list[float]] = {name: [] for name in LINES}
    for _ in range(rounds):
        for name, line in LINES.items():
            times[name].append(seconds(line))
    base = statistics.median(times["import email.message"])
    print(f"{'':32}{'median':>10}{'x email.message':>18}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32}{median * 1000:8.1f}ms{median / base:18.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
