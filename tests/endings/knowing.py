"""The servers' side of the story of ``told.py``: does what the story asks, knows every secret."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailoauth.emulator.faults import Cut, Reply
from tests.judges import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.emulator import OutlookEmulator

ADA = "ada@example.com"

WORDS = {
    "subject": "Marker subject kumquat-7731 rhubarb",
    "body": "Marker body persimmon-4415 salsify in a sentence of its own.",
    "attachment": "marker-attachment-loganberry-9023.txt",
    "correspondent": "marker.correspondent.quince@example.org",
    "other_key": base64.b64encode(b"marker key of another machine 32").decode(),
    "short_key": base64.b64encode(b"marker key that is short").decode(),
}


class World:
    """The servers' side: does what the story asks, and knows every secret."""

    def __init__(self, emulator: OutlookEmulator) -> None:
        self.emulator = emulator
        self.secrets: set[str] = set()
        self.latest = ""
        self.echoing: Any = None
        self.pid = 0
        self.command_lines: set[bytes] = set()

    def note_form(self, form: dict[str, str]) -> None:
        names = ("code", "code_verifier", "refresh_token", "client_secret", "device_code")
        self.secrets |= {form[name] for name in names if form.get(name)}

    def note_reply(self, reply: dict[str, Any]) -> None:
        names = ("access_token", "refresh_token", "device_code", "id_token")
        self.secrets |= {str(reply[name]) for name in names if reply.get(name)}
        self.latest = str(reply.get("access_token") or self.latest)
        if self.echoing and "access_token" in reply:
            self._refuse_with(self.latest)
            self.echoing = None

    def answer(self, step: str, *words: str) -> str:
        self.look()
        verb: Callable[..., str | None] = getattr(self, "do_" + step.replace(" ", "_"))
        return verb(*words) or ""

    def look(self) -> None:
        """Keep the command lines of the program and of its children."""
        parents: dict[int, int] = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # The name before the parent's number may hold anything, a ")" too.
                parents[int(status.parent.name)] = int(
                    status.read_text().rpartition(")")[2].split()[1]
                )
        family = {self.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        for pid in family:
            with contextlib.suppress(OSError):
                self.command_lines.add(Path(f"/proc/{pid}/cmdline").read_bytes())

    # What the story asks for.

    def do_look(self) -> None:
        """Nothing but that."""

    def do_browser(self, url: str) -> None:
        self._note_url(url)
        self.emulator.browser(url)

    def do_deny(self, url: str) -> None:
        self._note_url(url)
        self.emulator.identity.denying_browser(url)

    def do_forge(self, url: str) -> None:
        """Come back with a good code and a state that is not the one sent."""
        self._note_url(url)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        self.forged = "a-forged-code-" + "y" * 40
        self.secrets.add(self.forged)
        back = {"code": self.forged, "state": "a-forged-state-" + "z" * 30}
        self.secrets.add(back["state"])
        form = urllib.parse.urlencode(back).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for data, address in (
            (form, query["redirect_uri"][0]),
            (None, f"{query['redirect_uri'][0]}?{form.decode()}"),
        ):
            with contextlib.suppress(OSError), opener.open(address, data, 5) as page:
                page.read()

    def do_forged_outcome(self) -> str:
        return "SignInFailed"

    def do_approve(self, user_code: str) -> None:
        self.emulator.identity.approve_device(user_code, ADA)

    def do_expire(self) -> None:
        self.emulator.expire_tokens()

    def do_deliver_many(self) -> None:
        for number in range(60):
            message = note(f"{WORDS['subject']} {number}")
            self.emulator.deliver(ADA, message.replace(b"bob@example.com", sender()))

    def do_bye(self) -> None:
        self.emulator.bye_after_messages(20)

    def do_cut(self, protocol: Any, command: str) -> None:
        self.emulator.on(protocol, command, Cut())

    def do_reply(self, protocol: Any, command: str, reply: str) -> None:
        self.emulator.on(protocol, command, Reply(reply))

    def do_smtp(self, command: str, reply: str) -> None:
        action = Reply(reply) if reply else Cut()
        self.emulator.on("smtp", command.removeprefix("cut "), action)

    def do_echo(self, protocol: Any) -> None:
        """Refuse two sign-ins and repeat what the client said, as a bad server may."""
        self.emulator.expire_tokens()
        self.echoing = protocol
        self._refuse_with(self.latest)

    def _refuse_with(self, token: str) -> None:
        line = base64.b64encode(f"user={ADA}\1auth=Bearer {token}\1\1".encode()).decode()
        tagged = "NO" if self.echoing == "imap" else "535 5.7.3"
        # Whole, cut off, and decoded: what careless servers do.
        said = f"{tagged} I do not like {line} nor AUTH {line[:300]} nor {token} nor {token[:100]}"
        self.emulator.refuse(self.echoing, said)

    def do_identity_echo(self, kind: str) -> None:
        """Let the identity service repeat in its refusal all that it knows."""
        known = " ".join(sorted(self.secrets, key=len)[-6:])
        identity = self.emulator.identity
        identity.forget_failures()
        if kind in {"code", "grant"}:
            text = f"AADSTS70000: The provided value {known} is not valid."
            identity.fail_next(error={"error": "invalid_grant", "error_description": text})
        elif kind == "client":
            text = f"AADSTS7000215: Invalid client secret provided: {known}."
            identity.fail_next(
                error={"error": "invalid_client", "error_description": text}, status=401
            )
        elif kind == "body":
            identity.fail_next(body=f"<html>{known}</html>", times=3)
        elif kind == "json":
            identity.fail_next(body=json.dumps({"access_token": {"a": known}, "x": known}), times=3)
        elif kind == "status":
            identity.fail_next(body=known, status=500, times=3)
        else:
            identity.fail_next(body=known, status=429, retry_after=1, times=3)

    def do_app(self) -> str:
        self.emulator.identity.forget_failures()
        app = self.emulator.app_account()
        assert app.client_secret_file is not None
        self.secrets.add(app.client_secret_file.read_text())
        return json.dumps(
            {
                "name": app.name,
                "client_id": app.client_id,
                "tenant": app.tenant,
                "client_secret_file": str(app.client_secret_file),
                "authority": app.provider.authority,
            }
        )

    def _note_url(self, url: str) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
        self.secrets |= {query[name][0] for name in ("state", "nonce") if name in query}


def sender() -> bytes:
    return WORDS["correspondent"].encode()
