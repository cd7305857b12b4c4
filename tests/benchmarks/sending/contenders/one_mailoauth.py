"""One message by mailoauth, as a script with a stored token: run as a file."""

from __future__ import annotations

import sys
from pathlib import Path

from mailoauth import Mailer

_, user, _, _, recipient = sys.stdin.read().split()
with Mailer(user) as mailer:
    mailer.send(to=recipient, subject="One message", text="It says nothing.\n")
    print('{"done": {"count": 1}}', flush=True)

# What wait4 tells of a child's memory begins with its parent's.
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
for peak in (line.split()[1] for line in lines if line.startswith("VmHWM")):
    print(f'{{"peak": {peak}}}')
