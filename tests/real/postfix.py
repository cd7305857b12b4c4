"""Postfix 3.7 (submission and local delivery) from a configuration in a temporary folder."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.real.process import ServerProcess, free_port

if TYPE_CHECKING:
    from types import TracebackType

_DAEMONS = (Path("/usr/lib/postfix/sbin"), Path("/usr/libexec/postfix"))

_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming")
_OTHER_FOLDERS = ("maildrop", "pid", "private", "public", "saved", "trace")


def _daemon_folder() -> Path | None:
    return next((folder for folder in _DAEMONS if (folder / "master").exists()), None)


def missing() -> str | None:
    """Return what Postfix lacks on this machine, None if it can be started."""
    if os.name != "posix" or _daemon_folder() is None:
        return "Postfix is not installed (apt-get install postfix)"
    if os.getuid() != 0:
        return "Postfix starts for root only"
    return None


class Postfix:
    """A running Postfix: ``submission_port`` (STARTTLS, then SASL), and a relay for Dovecot.

    Mail for the mailboxes of ``domains`` that the lookup table ``directory`` knows
    (see directory.py) goes to ``delivery_socket`` by LMTP; any other recipient is
    refused. ``relay_port`` takes mail from this machine
    without a sign-in, as a mail server behind Dovecot submission does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        relay_port: int,
        chain_file: Path,
        key_file: Path,
        auth_socket: Path,
        delivery_socket: Path,
        directory: str,
        domains: tuple[str, ...],
    ) -> None:
        self.folder = folder
        self.submission_port = free_port()
        self.relay_port = relay_port
        self.log = folder / "postfix.log"
        self._delivery_socket = delivery_socket
        self._chain_file = chain_file
        self._key_file = key_file
        self._auth_socket = auth_socket
        self._directory = directory
        self._domains = domains
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._make_folders()
        self._write_configuration()
        # The ports are tried against Dovecot's auth socket, so Dovecot comes first.
        process = ServerProcess(
            [str(self._daemons / "master"), "-c", str(self.folder / "conf"), "-s"],
            ports=[self.submission_port, self.relay_port],
            log=self.log,
            environment={"MAIL_CONFIG": str(self.folder / "conf"), "MAIL_LOGTAG": "postfix"}
            | self._log_environment,
        )
        self._stack.enter_context(process)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def _daemons(self) -> Path:
        return _daemon_folder() or _DAEMONS[0]

    @property
    def _log_environment(self) -> dict[str, str]:
        # What the `postfix` command, which is not used here, tells its children.
        return {"POSTLOG_SERVICE": "postlog", "POSTLOG_HOSTNAME": "localhost"}

    def _make_folders(self) -> None:
        """Make what `postfix post-install create-missing` makes, without its second of time."""
        queue, data = self.folder / "queue", self.folder / "data"
        for folder in (self.folder, self.folder / "conf", queue):
            folder.mkdir(mode=0o755, exist_ok=True)
        for name in (*_QUEUES, *_OTHER_FOLDERS):
            folder = queue / name
            folder.mkdir(mode=0o700)
            if name != "pid":
                shutil.chown(folder, "postfix", "postdrop" if name in _DROPS else None)
        for name, mode in _DROPS.items():
            (queue / name).chmod(mode)
        (queue / "pid").chmod(0o755)
        data.mkdir(mode=0o700)
        shutil.chown(data, "postfix")

    def _write_configuration(self) -> None:
        main = _MAIN.format(
            folder=self.folder,
            daemons=self._daemons,
            delivery_socket=self._delivery_socket,
            chain_file=self._chain_file,
            key_file=self._key_file,
            auth_socket=self._auth_socket,
            directory=self._directory,
            domains=", ".join(self._domains),
        )
        master = _MASTER.format(submission_port=self.submission_port, relay_port=self.relay_port)
        for name, text in (("main.cf", main), ("master.cf", master)):
            file = self.folder / "conf" / name
            file.write_text(text)
            # Postfix waits for up to two seconds until a file is not new any more.
            os.utime(file, (0, 0))


_DROPS = {"maildrop": 0o1730, "public": 0o2710}

# smtpd_delay_reject is left on, as shipped: a foreign sender is refused at RCPT.
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}

myhostname = localhost
mydomain = localdomain
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
biff = no
append_dot_mydomain = no

virtual_mailbox_domains = {domains}
virtual_mailbox_maps = {directory}:mailbox
virtual_alias_maps = {directory}:alias
virtual_transport = lmtp:unix:{delivery_socket}
lmtp_connection_cache_on_demand = no
default_transport = error:5.1.2 mail leaves this machine nowhere

smtpd_tls_chain_files = {key_file}, {chain_file}
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
tls_random_source = dev:/dev/urandom
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_security_options = noanonymous
smtpd_sender_login_maps = {directory}:owner
smtpd_client_connection_rate_limit = 0
message_size_limit = 52428800
"""

_MASTER = """\
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{relay_port} inet n - n - - smtpd
  -o syslog_name=postfix/relay
  -o smtpd_relay_restrictions=permit_mynetworks,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
