"""The HTML pages of the lab's cloud: consent form, error page, home page. No scripts; every value is escaped."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse, Response

STYLE = """
:root { color-scheme: light dark; --ink: #14212b; --soft: #55636e; --line: #cfd8de; --paper: #fff; --ground: #eef2f4;
  --key: #0b6b63; --key-ink: #fff; --bad: #a3221c; --bad-ground: #fdecea; --note: #6a4b00; --note-ground: #fff4d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eef2; --soft: #a3b1bb; --line: #3a4852; --paper: #18222a;
  --ground: #0e151a; --key: #3fb8ab; --key-ink: #06201d; --bad: #ffb4ab; --bad-ground: #43201d; --note: #ffe1a1;
  --note-ground: #3d3213; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 27rem; background: var(--paper); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 1rem 0 .5rem; }
h2 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .5rem 0; } ul { margin: .25rem 0 0; padding-left: 1.25rem; } li { margin: .2rem 0; }
.lab { margin: 0; padding: .6rem .8rem; border-radius: 8px; background: var(--note-ground); color: var(--note);
  font-size: .9rem; }
.wrong { padding: .6rem .8rem; border-radius: 8px; background: var(--bad-ground); color: var(--bad); }
.soft { color: var(--soft); font-size: .9rem; }
label { display: block; margin-top: .9rem; font-weight: 600; }
input { width: 100%; margin-top: .25rem; padding: .7rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--soft); border-radius: 8px; }
.keys { display: flex; gap: .75rem; margin-top: 1.25rem; } .keys button { flex: 1; }
button { min-height: 44px; padding: .6rem 1rem; font: inherit; font-weight: 600; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--key); background: transparent; color: var(--key); }
button.first { background: var(--key); color: var(--key-ink); }
:focus-visible { outline: 3px solid var(--key); outline-offset: 2px; }
"""
LABEL = (
    "<strong>Practice cloud of the lab.</strong> This is not the vendor’s site. "
    "Sign in with the lab’s user only, never with a real account."
)


def consent(
    *, application: str, scopes: Sequence[str], csrf: str, email: str = "", error: str = "", demo: str = ""
) -> Response:
    """Sign-in and consent in one form. `scopes`: as text; `error`: of the last attempt; `demo`: the name of the demo
    user, who needs no password.

    The form's fields: `csrf`, `email`, `password` and the pressed button `decision` (`allow` or `cancel`).
    """
    if demo:
        who = f"<p>You are using the demo user <strong>{escape(demo)}</strong>, with made-up data.</p>"
    else:
        who = (
            '<label for="email">Email</label>'
            f'<input id="email" name="email" type="email" autocomplete="username" required value="{escape(email)}"'
            f"{'' if error else ' autofocus'}>"
            '<label for="password">Password</label>'
            '<input id="password" name="password" type="password" autocomplete="current-password" required'
            f"{' autofocus' if error else ''}>"
        )
    message = f'<p class="wrong" role="alert">{escape(error)}</p>' if error else ""
    items = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    return _page(
        "Sign in and allow access",
        f"<h1>Let “{escape(application)}” use your account?</h1>"
        f"{message}"
        "<h2>It asks to see</h2>"
        f"<ul>{items}</ul>"
        '<form method="post" action="/oauth2_user/authorize2">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        f"{who}"
        '<div class="keys">'
        '<button class="first" type="submit" name="decision" value="allow">Allow</button>'
        '<button type="submit" name="decision" value="cancel" formnovalidate>Cancel</button>'
        "</div></form>"
        '<p class="soft">Allow sends you back to the program with a code that lasts a few seconds.</p>',
    )


def problem(title: str, what: str, todo: str, status: int = 400) -> Response:
    """An error page: what is wrong with the request, and what to do."""
    body = f'<h1>{escape(title)}</h1><p class="wrong" role="alert">{escape(what)}</p><p>{escape(todo)}</p>'
    return _page(title, body, status)


def home(mode: str) -> Response:
    """The page at `/`."""
    return _page(
        "Practice cloud",
        f"<h1>The lab’s cloud is running</h1><p>Mode: <strong>{escape(mode)}</strong>. "
        "Programs sign in at <code>/oauth2_user/authorize2</code>; the lab’s state is at <code>/lab/state</code>.</p>",
    )


def _page(title: str, body: str, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(12)
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} – practice cloud</title><style nonce="{nonce}">{STYLE}</style></head>'
        f'<body><main><p class="lab">{LABEL}</p>{body}</main></body></html>'
    )
    # No form-action in the policy: browsers also apply it to the redirect after the form, and would block it.
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html, status, headers)
