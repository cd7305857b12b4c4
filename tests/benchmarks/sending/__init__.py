"""What sending mail costs: mailoauth beside what people use today, on this machine.

Run it from the checkout, where Dovecot and Postfix are installed (apt-get install
dovecot-imapd dovecot-submissiond dovecot-lmtpd postfix)::

    pip install -e '.[test,benchmark]'
    npm install --prefix FOLDER nodemailer; export NODE_PATH=FOLDER/node_modules   # if you like
    python -m tests.benchmarks.sending                    # every work, five runs each
    python -m tests.benchmarks.sending many one --runs 3
    python -m tests.benchmarks.sending memory --full      # 100,000 messages, not 10,000

It starts the servers and lets every contender do each work in a fresh process, in a new
order every round. A table has medians. "whole" is what a cron job pays: interpreter,
imports, TLS, sign-in, work, goodbye. "work" begins before connecting and ends when the
last message is accepted and the connection closed; of "one" it is all from the start of
the process up to the receipt. Both are also given as multiples of the floor (a raw socket
that writes ready-made mails and sends ahead what RFC 2920 allows: a round trip a message)
and of smtplib on one connection. CPU and peak memory are the process's own.

Everybody builds the mail with its own usual means from the same text and HTML, and what
lies in the receiving mailbox afterwards is parsed: all must have put in the same, each
letter once. The next begins when the last one's mail is delivered.

"delayed" goes through a line of 20 ms each way, where setting up a TCP connection costs no
round trip. "memory" goes to a sink of the benchmark's own, as Postfix would take minutes.
"""
