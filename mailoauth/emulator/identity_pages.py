"""The pages that a person sees at the identity service, as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
{content}
</body>
</html>
"""


def sign_in_page(hidden: Mapping[str, str], *, login: str = "", problem: str = "") -> str:
    """Return the page that asks who signs in; it posts to its own address."""
    content = f"""{_problem(problem)}
<p>This is an emulator: every account it knows signs in without a password.</p>
<form method="post">
{_hidden(hidden)}
<label>E-mail or user name <input name="login" value="{escape(login)}"></label>
<button name="action" value="sign_in">Sign in</button>
<button name="action" value="cancel">Cancel</button>
</form>"""
    return _PAGE.format(title="Sign in to your account", content=content)


def device_page(*, code: str = "", problem: str = "") -> str:
    """Return the page that asks for the code a device shows."""
    content = f"""{_problem(problem)}
<form method="post">
<label>Code <input name="user_code" value="{escape(code)}"></label>
<label>E-mail or user name <input name="login" value=""></label>
<button name="action" value="sign_in">Sign in</button>
<button name="action" value="cancel">Cancel</button>
</form>"""
    return _PAGE.format(title="Enter code", content=content)


def posting_page(address: str, answer: Mapping[str, str]) -> str:
    """Return the page of response_mode=form_post: a form that posts itself to the client."""
    content = f"""<form method="post" action="{escape(address)}">
{_hidden(answer)}
<noscript><button>Continue</button></noscript>
</form>
<script>document.forms[0].submit()</script>"""
    return _PAGE.format(title="Working...", content=content)


def message_page(title: str, text: str) -> str:
    """Return a page that only says something."""
    return _PAGE.format(title=escape(title), content=f"<p>{escape(text)}</p>")


def _problem(text: str) -> str:
    return f'<p role="alert">{escape(text)}</p>' if text else ""


def _hidden(fields: Mapping[str, str]) -> str:
    return "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
