"""Dovecot 2.3 (IMAP and submission) from a configuration in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.real.process import ServerProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

#: The folders that everybody has, besides INBOX: Outlook's names, and their special use.
FOLDERS = {
    "Archive": "",
    "Deleted Items": "\\Trash",
    "Drafts": "\\Drafts",
    "Junk Email": "\\Junk",
    "Sent Items": "\\Sent",
}

_LIBRARIES = (Path("/usr/lib/dovecot"), Path("/usr/libexec/dovecot"))


@dataclass(frozen=True, slots=True)
class Person:
    """The system account that owns the mail, and the two that Dovecot's parts run as."""

    mail: str
    group: str
    internal: str
    login: str
    uid: int
    gid: int


def mail_person() -> Person:
    """Return the accounts to run as: Debian's own for root, else whoever runs the tests."""
    # These modules exist on POSIX only, and this one must import everywhere.
    import grp
    import pwd

    if os.getuid() == 0:
        entry = pwd.getpwnam("mail")
        return Person("mail", "mail", "dovecot", "dovenull", entry.pw_uid, entry.pw_gid)
    me = pwd.getpwuid(os.getuid())
    group = grp.getgrgid(os.getgid()).gr_name
    return Person(me.pw_name, group, me.pw_name, me.pw_name, os.getuid(), os.getgid())


def program() -> str | None:
    """Return the path of the dovecot program, None where it is not installed."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def missing() -> str | None:
    """Return what Dovecot lacks on this machine, None if it can be started."""
    found = program()
    if os.name != "posix" or found is None:
        return "Dovecot is not installed (apt-get install dovecot-core)"
    version = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=False
    ).stdout
    if not version.startswith("2.3."):
        return f"Dovecot {version.strip()} has another configuration language than 2.3"
    parts = {"imap": "dovecot-imapd", "submission": "dovecot-submissiond", "lmtp": "dovecot-lmtpd"}
    for part, package in parts.items():
        if not any((folder / part).exists() for folder in _LIBRARIES):
            return f"Dovecot's {part} part is not installed (apt-get install {package})"
    return None


class Dovecot:
    """A running Dovecot: ``imaps`` (implicit TLS), ``imap`` and ``submission`` (STARTTLS).

    ``auth_socket`` is where Postfix asks about sign-ins, ``delivery_socket`` where it
    delivers (LMTP). Mail lies in
    ``mail_folder/USER/Maildir``; a token is good if one of ``introspection_urls``
    names the USER who signs in; ``relay_port`` takes what submission accepts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mail_folder: Path,
        chain_file: Path,
        key_file: Path,
        introspection_urls: Sequence[str],
        relay_port: int,
    ) -> None:
        self.folder = folder
        self.mail_folder = mail_folder
        self.auth_socket = folder / "sign-in"
        self.delivery_socket = folder / "delivery"
        self.log = folder / "dovecot.log"
        self.imaps_port = self.imap_port = self.submission_port = 0
        self._chain_file = chain_file
        self._key_file = key_file
        self._introspection_urls = list(introspection_urls)
        self._relay_port = relay_port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for number, url in enumerate(self._introspection_urls):
            (self.folder / f"oauth2-{number}.conf").write_text(_OAUTH2.format(url=url))
        self.imaps_port, self.imap_port, self.submission_port = (free_port() for _ in range(3))
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(self._configuration())
        process = ServerProcess(
            [program() or "dovecot", "-F", "-c", str(configuration)],
            ports=[self.imaps_port, self.imap_port, self.submission_port],
            log=self.log,
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

    def _configuration(self) -> str:
        person = mail_person()
        text = _DOVECOT.format(
            folder=self.folder,
            mail_folder=self.mail_folder,
            chain_file=self._chain_file,
            key_file=self._key_file,
            imaps_port=self.imaps_port,
            imap_port=self.imap_port,
            submission_port=self.submission_port,
            relay_port=self._relay_port,
            auth_socket=self.auth_socket,
            delivery_socket=self.delivery_socket,
            person=person,
            folders="".join(_FOLDER.format(name=name, use=use) for name, use in FOLDERS.items()),
            judges="".join(
                _JUDGE.format(file=self.folder / f"oauth2-{number}.conf")
                for number in range(len(self._introspection_urls))
            ),
        )
        return text if os.getuid() == 0 else text + _UNPRIVILEGED


# active_attribute: an answer without it is refused. username_attribute must
# equal the user that the client named, else the sign-in is refused.
_OAUTH2 = """\
introspection_url = {url}
introspection_mode = post
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = username
scope = mail
openid_configuration_url = https://localhost/.well-known/openid-configuration
"""

_FOLDER = """
  mailbox "{name}" {{
    auto = subscribe
    special_use = {use}
  }}
"""

_JUDGE = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {file}
}}
"""

# service_count = 0 keeps one login process for many connections: the tests make
# hundreds. auth_failure_delay and the penalty would only slow them down.
_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = mailoauth-test
protocols = imap submission lmtp
listen = 127.0.0.1
hostname = localhost
default_internal_user = {person.internal}
default_internal_group = {person.group}
default_login_user = {person.login}
first_valid_uid = 1
first_valid_gid = 1

ssl = required
ssl_cert = <{chain_file}
ssl_key = <{key_file}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes

auth_mechanisms = xoauth2 oauthbearer
auth_failure_delay = 0
auth_verbose = yes
{judges}
userdb {{
  driver = static
  args = uid={person.uid} gid={person.gid} home={mail_folder}/%Lu allow_all_users=yes
}}

mail_location = maildir:~/Maildir:UTF-8
mail_fsync = never
mail_max_userip_connections = 100
namespace inbox {{
  inbox = yes
  separator = /
{folders}
}}

submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
submission_relay_trusted = yes

service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 1
}}
service submission-login {{
  inet_listener submission {{
    port = {submission_port}
  }}
  service_count = 0
}}
service auth {{
  unix_listener {auth_socket} {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener {delivery_socket} {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

# Only root may chroot.
_UNPRIVILEGED = """
service imap-login {
  chroot =
}
service submission-login {
  chroot =
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap-urlauth-login {
  chroot =
}
"""
