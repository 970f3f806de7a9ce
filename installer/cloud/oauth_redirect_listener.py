"""OAuth redirect listener: the local web server to which the browser returns after the sign-in, and its page.

It listens on loopback addresses only, during one sign-in, and refuses requests for another host name. `GET /`
redirects to the cloud's page, so that a person can type a short address.
"""

from __future__ import annotations

import contextlib
import errno
import html
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from installer.cloud.embedded_web_server import mute_server_log, serving
from installer.errors import ErrorCode, InstallerError
from installer.settings import is_loopback

PORT_ATTEMPTS = 20
MAX_QUERY_LENGTH = 8192

Query = Mapping[str, str]

# The address of the page holds the code, so nothing may store it or send it on.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_STYLE = """
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

mute_server_log()


class RedirectListener:
    """Binds its port at once, so that the port is known, and serves while the context of `serve` lasts."""

    def __init__(self, redirect_uri: str) -> None:
        """Bind the port of `redirect_uri`; port 0 takes a free one. Raises SIGN_IN_FAILED if the port is in use.

        If `redirect_uri` is not on this computer, only the short address is served.
        """
        parts = urlsplit(redirect_uri)
        self._is_local = is_loopback(parts.hostname or "")
        host = (parts.hostname or "") if self._is_local else "localhost"
        wanted = (80 if parts.port is None else parts.port) if self._is_local and parts.scheme == "http" else 0
        self._sockets, self.port = _bind(host, wanted)
        shown = f"[{host}]" if ":" in host else host
        self.short_url = f"http://{shown}:{self.port}/"
        self._path = parts.path or "/"
        # A fixed port: exactly the text of the settings, because the cloud compares it with the registered one.
        self.redirect_uri = redirect_uri
        if self._is_local and parts.port == 0:
            self.redirect_uri = parts._replace(netloc=f"{shown}:{self.port}").geturl()

    @asynccontextmanager
    async def serve(
        self, authorize_url: str, redirected: Callable[[Query], Awaitable[Response]]
    ) -> AsyncIterator[None]:
        """Answer requests; `redirected` gets the query of a request to the redirect URI."""

        async def handle(request: Request) -> Response:
            if not is_loopback(_host_name(request.headers.get("host", ""))):
                return sign_in_page("Not here", "This address answers to this computer only.", 421)
            query = request.query_params
            if self._is_local and request.url.path == self._path and query.keys() & {"code", "error", "state"}:
                if len(request.url.query) > MAX_QUERY_LENGTH:
                    return sign_in_page("Too long", "This is not an answer of the cloud.", 414)
                return await redirected(dict(query))
            if request.url.path == "/":
                return RedirectResponse(authorize_url, 302, PAGE_HEADERS)
            return sign_in_page("Nothing here", "There is nothing at this address.", 404)

        app = Starlette(routes=[Route("/{path:path}", handle, methods=["GET"])])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # an address holds the code
            lifespan="off",
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=32 * 1024,
        )
        not_started = InstallerError(
            ErrorCode.SIGN_IN_FAILED,
            f"The address {self.short_url}, to which the browser returns, could not be served.",
            "Try again.",
        )
        async with serving(config, self._sockets, not_started):
            yield

    def close(self) -> None:
        """Close the port."""
        for listening in self._sockets:
            listening.close()


def _host_name(header: str) -> str:
    with contextlib.suppress(ValueError):
        return urlsplit(f"//{header}").hostname or ""
    return ""


def _bind(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Sockets on every loopback address that a browser may try for `host`, and their common port."""
    for _ in range(PORT_ATTEMPTS):
        try:
            return _bind_all(host, port)
        except OSError as error:
            in_use = error.errno in (errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEACCES", -1))
            if port == 0 and in_use:
                continue  # the port is free in one address family and in use in the other
            raise InstallerError(
                ErrorCode.SIGN_IN_FAILED,
                f"Port {port} of this computer, to which the browser returns, cannot be used ({error.strerror}).",
                "End the program that uses it, or register another redirect URI with the cloud and set redirect_uri "
                "in the settings.",
                port=port,
            ) from None
    raise InstallerError(
        ErrorCode.SIGN_IN_FAILED, "No port of this computer is free for the sign-in.", "Try again in a minute."
    )


def _bind_all(host: str, port: int) -> tuple[list[socket.socket], int]:
    wanted = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    if host != "localhost":
        wanted = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
    bound: list[socket.socket] = []
    try:
        for family, address in wanted:
            try:
                # asyncio sends small answers without delay only if the socket names its protocol.
                listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            except OSError:
                continue  # this computer does not have this address family
            bound.append(listening)
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                listening.bind((address, port))
                listening.listen(16)
            except OSError as error:
                # Another program at the other family's port would get the code. A missing family is no such risk.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                bound.remove(listening)
                listening.close()
                continue
            port = listening.getsockname()[1]
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, "no loopback address")
    except OSError:
        for listening in bound:
            listening.close()
        raise
    return bound, port


def sign_in_page(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A heading and a sentence, without scripts and external files. A `status` other than 200 styles it as an error."""
    kind = "" if status == 200 else ' class="wrong" role="alert"'
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_PAGE_STYLE}</style></head><body><main{kind}><h1>{html.escape(title)}</h1>"
        f"<p>{html.escape(text)}</p></main></body></html>"
    )
    return HTMLResponse(content, status, PAGE_HEADERS)
