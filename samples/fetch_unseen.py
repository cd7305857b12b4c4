"""Print what is unseen and save the attachments; a message is marked once it is done with.

Sign in once with `mailoauth login ADDRESS`, then from anywhere, cron too:

    MAILOAUTH_ADDRESS=ada@example.com SAVE_TO=inbox python fetch_unseen.py
"""

import os

from mailoauth import MailSession

address = os.environ["MAILOAUTH_ADDRESS"]
folder = os.environ.get("SAVE_TO", "inbox")

with MailSession(address) as mail:
    for message in mail.unseen(mark_seen=True):
        sender = message.sender.address if message.sender else "nobody"
        print(f"{message.date}  {sender}  {message.subject}")
        for attachment in message.attachments:
            print("  saved", attachment.save(f"{folder}/"))
