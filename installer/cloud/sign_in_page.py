"""The page that a browser shows at the end of the sign-in: whole in itself, no script, nothing fetched."""

from __future__ import annotations

import html

from starlette.responses import HTMLResponse

# The address of this page holds the code: no store, no referrer, nothing that could send it on.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #14212b; --soft: #4f5d68; --paper: #fff; --ground: #eef2f4; --mark: #0b6b63; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eef2; --soft: #a3b1bb; --paper: #18222a; --ground: #0e151a; --mark: #3fb8ab; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 1.05rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { box-sizing: border-box; width: min(30rem, 100% - 2rem); padding: 2rem; border-radius: 14px;
  background: var(--paper); border-top: 6px solid var(--mark); overflow-wrap: anywhere; }
main.wrong { --mark: #b3261e; }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; line-height: 1.25; } p { margin: .5rem 0 0; color: var(--soft); }
"""


def page(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A heading and a sentence. A `status` other than 200 makes it a page about something wrong."""
    kind = "" if status == 200 else ' class="wrong" role="alert"'
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main{kind}><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(text)}</p></main></body></html>"
    )
    return HTMLResponse(content, status, HEADERS)
