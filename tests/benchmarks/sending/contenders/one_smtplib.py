"""One message by smtplib, as a script that is handed its token: run as a file, no package."""

from __future__ import annotations

import smtplib
import ssl
import sys
from email.message import EmailMessage
from pathlib import Path

port, user, token, ca_file, recipient = sys.stdin.read().split()
message = EmailMessage()
message["From"], message["To"], message["Subject"] = user, recipient, "One message"
message.set_content("It says nothing.\n")
proof = f"user={user}\1auth=Bearer {token}\1\1"
with smtplib.SMTP("localhost", int(port)) as client:
    client.starttls(context=ssl.create_default_context(cafile=ca_file))
    client.ehlo()
    client.auth("XOAUTH2", lambda challenge=None: "" if challenge else proof)
    client.send_message(message)
    print('{"done": {"count": 1}}', flush=True)

# What wait4 tells of a child's memory begins with its parent's.
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
for peak in (line.split()[1] for line in lines if line.startswith("VmHWM")):
    print(f'{{"peak": {peak}}}')
