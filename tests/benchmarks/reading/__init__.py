"""What reading mail costs: mailoauth beside what people use today, on this machine.

Run it from the checkout, where Dovecot and Postfix are installed (apt-get install
dovecot-imapd dovecot-submissiond dovecot-lmtpd postfix)::

    pip install -e '.[test,benchmark]'
    python -m tests.benchmarks.reading                    # every work, five runs each
    python -m tests.benchmarks.reading small large --runs 3
    python -m tests.benchmarks.reading scale --full       # 100,000 messages too

It starts the servers, fills mailboxes with generated mail (always the same), and lets
every contender do each work in a fresh process, in turn: A B C A B C. A table has
medians. "whole process" is what a cron job pays: interpreter, imports, TLS, sign-in,
work. "work" begins before connecting and ends when the last message is done. Both
are also given as multiples of the raw socket (the floor: it sends its commands ahead
and counts bytes, parses nothing) and of imap_tools with bulk=True. CPU and peak memory
are the process's own. The contenders that decode something must agree on a checksum of it.

"headers" and "small-far" go through a line of 20 ms each way. Two things are in the rivals' favour:
they trust the test's root certificate alone, where mailoauth loads the system's as well
(20 ms), and setting up a TCP connection costs no round trip on that line.
"""
