"""Take the reports out of the mailbox: save what is attached, file each mail away.

Sign in once with `mailoauth login ADDRESS`, then:

    MAILOAUTH_ADDRESS=ada@example.com REPORTS_FROM=ann@example.org python file_reports.py
"""

import os

from mailoauth import MailSession

address = os.environ["MAILOAUTH_ADDRESS"]
sender = os.environ["REPORTS_FROM"]
done = os.environ.get("FILE_TO", "Reports")

with MailSession(address) as mail:
    if done not in [folder.name for folder in mail.folders(counts=False)]:
        mail.create_folder(done)
    for message in mail.search(unseen=True, sender=sender, mark_seen=True):
        for attachment in message.attachments:
            print("saved", attachment.save("reports/"))
        mail.move(message, done)
