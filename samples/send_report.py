"""Send a report with its file, and fail loudly where somebody did not get it.

Sign in once with `mailoauth login ADDRESS`, then from anywhere, cron too:

    MAILOAUTH_ADDRESS=ada@example.com REPORT_TO=bob@example.com python send_report.py report.csv
"""

import os
import sys
from datetime import datetime

from mailoauth import Mailer

with Mailer(os.environ["MAILOAUTH_ADDRESS"]) as mailer:
    receipt = mailer.send(
        to=os.environ["REPORT_TO"],
        subject=f"Report of {datetime.now().astimezone():%d %B %Y}",
        text="Dear all,\n\nthe report is attached.\n",
        attachments=sys.argv[1:],
    )

print(f"sent to {', '.join(receipt.accepted)}: {receipt.reply}")
for address, reply in receipt.refused.items():
    print(f"{address} was refused: {reply}", file=sys.stderr)
sys.exit(1 if receipt.refused else 0)
