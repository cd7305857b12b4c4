"""The three ways in which a person signs in, over one conversation with Entra; no MSAL."""

from __future__ import annotations

import secrets
import time
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from mailoauth.errors import ConnectionFailed, SignInFailed, Throttled
from mailoauth.network import Deadline
from mailoauth.tokens.loopback import parameters
from mailoauth.tokens.microsoft_answers import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailoauth.tokens.loopback import Loopback
    from mailoauth.tokens.microsoft import Conversation
    from mailoauth.tokens.token import Grant

PASTE_ATTEMPTS = 3
#: The longest pause between two polls, in seconds.
_MAX_INTERVAL = 60.0


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person needs to sign in on another device; ``expires_at`` is wall-clock time."""

    user_code: str
    verification_uri: str
    expires_at: float
    message: str

    def __str__(self) -> str:
        return self.message


def browser(
    talk: Conversation,
    page: Loopback,
    *,
    open_url: Callable[[str], object],
    on_url: Callable[[str], object] | None,
    timeout: float,
) -> Grant:
    """Open the sign-in page and wait for the browser to come back."""
    flow = _begin(talk, page.redirect_uri)
    page.expect(flow["state"])
    if on_url is not None:
        on_url(flow["auth_uri"])
    try:
        opened = open_url(flow["auth_uri"])
    except webbrowser.Error:
        opened = False
    # Only webbrowser's plain False: other callables may return anything.
    if opened is False and on_url is None:
        raise SignInFailed(
            "No browser could be opened on this computer.",
            remedy="Sign in with --no-browser (any browser, the address is pasted) or --device-code.",
            account=talk.account.name,
        )
    try:
        answer = page.wait(timeout)
    except SignInFailed as failure:
        failure.account = talk.account.name
        raise
    return _finish(talk, flow, answer)


def pasted(
    talk: Conversation,
    redirect_uri: str,
    *,
    show: Callable[[str], object],
    ask: Callable[[str], str],
) -> Grant:
    """Show the sign-in page's address and take the one that the browser ends at."""
    flow = _begin(talk, redirect_uri)
    show(flow["auth_uri"])
    question = "Paste the whole address that the browser ends at (http://localhost...): "
    mismatched = False
    for _ in range(PASTE_ATTEMPTS):
        answer = _query_of(ask(question))
        if answer is None:
            question = "That is not the address: it has code= in it. Paste it whole: "
            continue
        if secrets.compare_digest(answer.get("state", "").encode(), flow["state"].encode()):
            return _finish(talk, flow, answer)
        mismatched = True
        question = "That belongs to another sign-in. Paste the address of this one: "
    raise SignInFailed(
        "What was pasted is the answer to another sign-in."
        if mismatched
        else "What was pasted is not the address that a sign-in ends at.",
        reason="state_mismatch" if mismatched else "other",
        remedy="Sign in again, and copy the whole address from the browser's address bar.",
        account=talk.account.name,
    )


def device_code(
    talk: Conversation, *, show: Callable[[DeviceCode], object], timeout: float | None
) -> Grant:
    """Show a code and ask until somebody has entered it elsewhere."""
    flow = talk.ask(lambda app: app.initiate_device_flow(talk.scopes))
    if "error" in flow:
        return talk.signed_in(flow, device=True)
    code = _code_to_show(talk, flow)
    show(code)
    life = max(0.0, code.expires_at - time.time())
    deadline = Deadline(life if timeout is None else min(life, timeout))
    while True:
        answer, wait = _poll(talk, flow)
        if answer is not None:
            return talk.signed_in(answer, device=True)
        left = deadline.remaining() or 0.0
        time.sleep(min(wait, left))
        if deadline.passed:
            raise SignInFailed(
                "Nobody entered the code in time.",
                reason="expired",
                remedy=f"Sign in again: mailoauth login {talk.account.name} --device-code",
                account=talk.account.name,
            )


def _begin(talk: Conversation, redirect_uri: str) -> dict[str, Any]:
    flow = talk.ask(
        lambda app: app.initiate_auth_code_flow(
            talk.scopes,
            redirect_uri=redirect_uri,
            login_hint=talk.account.user,
            response_mode="form_post",
        )
    )
    # MSAL warns of "query" (RFC 9700 section 4.3.1), which browsers need here: a form
    # posted from https to http://localhost makes them warn the person.
    address = urlsplit(flow["auth_uri"])
    query = dict(parse_qsl(address.query)) | {"response_mode": "query"}
    return flow | {"auth_uri": address._replace(query=urlencode(query)).geturl()}


def _finish(talk: Conversation, flow: dict[str, Any], answer: dict[str, str]) -> Grant:
    """Redeem the code of an answer whose state has been found to be ours."""
    if "error" in answer:
        return talk.signed_in(answer)
    talk.restart()
    redeemed = {"code": answer["code"], "state": answer["state"]}
    return talk.signed_in(talk.ask(lambda app: app.acquire_token_by_auth_code_flow(flow, redeemed)))


def _query_of(text: str) -> dict[str, str] | None:
    """Return the answer in what a person pasted: an address, or its query alone."""
    # Terminals and mail programs break long addresses into lines.
    text = "".join(text.split()).strip("<>\"'")
    query = text.partition("?")[2] if "?" in text else text
    return parameters(query.partition("#")[0])


def _code_to_show(talk: Conversation, flow: dict[str, Any]) -> DeviceCode:
    shown = [flow.get(name) for name in ("user_code", "verification_uri", "device_code")]
    if not all(isinstance(value, str) and value for value in shown):
        raise ConnectionFailed(
            "The identity service gave no code to enter.",
            remedy="Sign in with the browser instead, or try again later.",
            account=talk.account.name,
        )
    user_code, address = printable(str(shown[0])), printable(str(shown[1]))
    message = flow.get("message")
    text = f"To sign in, open {address} in any browser and enter the code {user_code}."
    if isinstance(message, str) and message:
        text = printable(message)
    # An interval of 0 would make MSAL ask without a pause.
    flow["interval"] = min(max(1, int(flow.get("interval", 5))), int(_MAX_INTERVAL))
    return DeviceCode(user_code, address, float(flow["expires_at"]), text)


def _poll(talk: Conversation, flow: dict[str, Any]) -> tuple[dict[str, Any] | None, float]:
    """Ask once; return the answer that ends the wait, or None and how long to wait."""
    talk.restart()
    try:
        answer = talk.ask(
            lambda app: app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
        )
    except Throttled as error:
        return None, max(float(flow["interval"]), error.retry_after or 0.0)
    except ConnectionFailed:
        # The person may be on the way, and the code stays good (RFC 8628 section 3.5).
        flow["interval"] = min(flow["interval"] * 2, int(_MAX_INTERVAL))
        return None, float(flow["interval"])
    if answer.get("error") in {"authorization_pending", "slow_down"}:
        return None, float(flow["interval"])
    return answer, 0.0
