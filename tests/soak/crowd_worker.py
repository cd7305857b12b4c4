"""One of the processes of a crowd: many threads that want a token in the same instant."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING

from mailoauth import token_source
from tests.soak.processes import read_account

if TYPE_CHECKING:
    from mailoauth.tokens.token import AccessToken


def main() -> None:
    threads, refused = int(sys.argv[1]), sys.argv[2] == "refused"
    source = token_source(read_account())
    rejected = source.get() if refused else None
    start = threading.Barrier(threads + 1)
    tokens: list[AccessToken] = []
    failures: list[str] = []

    def want() -> None:
        start.wait()
        try:
            tokens.append(source.get(rejected=rejected))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test counts it
            failures.append(repr(error))

    crowd = [threading.Thread(target=want) for _ in range(threads)]
    for one in crowd:
        one.start()
    os.write(1, b"ready\n")
    sys.stdin.readline()
    start.wait()
    for one in crowd:
        one.join()
    report = {
        "tokens": [(token.generation, token.value) for token in tokens],
        "failures": failures,
        "msal": "msal" in sys.modules,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
