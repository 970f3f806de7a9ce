"""OAuth redirect listener: the local web server to which the browser returns after the sign-in, and its pages.

It listens on loopback addresses only, during one sign-in. It answers this user's programs only (where the system tells
whose a connection is), requests for a loopback host name only, and GET only. The link that the person opens counts for
one browser (`sign_in_link.py`); a browser that comes back without having opened it is refused.
"""

from __future__ import annotations

import errno
import html
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from urllib.parse import urlsplit

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from installer.cloud import guarded_web_server as guard
from installer.cloud.embedded_web_server import mute_server_log, serving
from installer.cloud.sign_in_link import SignInLink
from installer.errors import ErrorCode, InstallerError
from installer.settings import is_loopback

PORT_ATTEMPTS = 20
MAX_QUERY_LENGTH = 8192
MAX_CONNECTIONS = 32

Query = Mapping[str, str]

# The address of the page holds the code, so nothing may store it or send it on.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",  # a connection that waits for a second request would stay open
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


class Incident(Enum):
    """A request that was refused, and of which the person at the terminal hears."""

    OTHER_USER = "sign_in_other_user"
    SECOND_BROWSER = "sign_in_second_browser"
    UNKNOWN_BROWSER = "sign_in_unknown_browser"


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
        self.base_url = f"http://{shown}:{self.port}"
        self._host = host
        self._path = parts.path or "/"
        # A fixed port: exactly the text of the settings, because the cloud compares it with the registered one.
        self.redirect_uri = redirect_uri
        if self._is_local and parts.port == 0:
            self.redirect_uri = parts._replace(netloc=f"{shown}:{self.port}").geturl()

    @asynccontextmanager
    async def serve(
        self,
        link: SignInLink,
        authorize_url: Callable[[], str],
        redirected: Callable[[Query], Awaitable[Response]],
        refused: Callable[[Incident, str], None],
        seconds: float,
    ) -> AsyncIterator[None]:
        """Answer requests. `redirected` gets the query of a request to the redirect URI from the browser of the link.

        `refused` gets what the person at the terminal is to hear; its text is whose the request was, or empty.
        `seconds`: how long the sign-in lasts.
        """

        async def answer(request: Request) -> Response:
            headers = guard.headers_of(request.scope)
            if guard.is_foreign_host(headers):
                return sign_in_page("Not here", "This address answers to this computer only.", 421)
            who = guard.stranger_of(request.scope)
            if who is not None:
                refused(Incident.OTHER_USER, who)
                return _refusal_of_another_user()
            if request.method != "GET":
                return sign_in_page("Not so", "A browser opens this address.", 405)
            if guard.is_prefetch(headers) or guard.is_part_of_a_page(headers):
                return sign_in_page("Not yet", "Open this address yourself.", 503)
            cookies = headers.get("cookie", "")
            query = request.query_params
            if self._is_local and request.url.path == self._path and query.keys() & {"code", "error", "state"}:
                if len(request.url.query) > MAX_QUERY_LENGTH:
                    return sign_in_page("Too long", "This is not an answer of the cloud.", 414)
                if link.is_state(query.get("state", "")) and not link.is_browser(cookies):
                    refused(Incident.UNKNOWN_BROWSER, "")
                    return _refusal_of_an_unknown_browser()
                return await redirected(dict(query))
            if link.is_path(request.url.path):
                return self._open_link(link, headers, authorize_url(), refused, seconds)
            return sign_in_page("Nothing here", "Open the whole address that the program shows.", 404)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await answer(Request(scope, receive))
            await response(scope, receive, send)

        config = uvicorn.Config(
            app,
            http=guard.GuardedProtocol,
            log_config=None,
            access_log=False,  # an address holds the code
            lifespan="off",
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
            limit_concurrency=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=32 * 1024,
        )
        not_started = InstallerError(
            ErrorCode.SIGN_IN_FAILED,
            f"The address {self.base_url}, to which the browser returns, could not be served.",
            "Try again.",
        )
        async with serving(config, self._sockets, not_started):
            yield

    def _open_link(
        self,
        link: SignInLink,
        headers: Mapping[str, str],
        authorize_url: str,
        refused: Callable[[Incident, str], None],
        seconds: float,
    ) -> Response:
        if self._is_local and guard.host_name(headers.get("host", "")) != self._host:
            # The cookie belongs to the host name to which the cloud sends the browser back.
            return RedirectResponse(self.base_url + link.path, 302, PAGE_HEADERS)
        if not link.open(headers.get("cookie", "")):
            refused(Incident.SECOND_BROWSER, "")
            return sign_in_page(
                "This link was used",
                "Another browser has opened it, and it counts once. Go back to the program and ask for a new link "
                "there. If it was not you who opened it, tell nobody the new one.",
                410,
            )
        response = RedirectResponse(authorize_url, 302, PAGE_HEADERS)
        for cookie in link.cookies(self._path, seconds):
            response.headers.append("Set-Cookie", cookie)
        return response

    def close(self) -> None:
        """Close the port."""
        for listening in self._sockets:
            listening.close()


def _refusal_of_another_user() -> Response:
    return sign_in_page(
        "Not yours",
        "This sign-in belongs to another user of this computer. If it is yours: go back to the program, and paste the "
        "address there at which your browser ended.",
        403,
    )


def _refusal_of_an_unknown_browser() -> Response:
    return sign_in_page(
        "Not from this browser",
        "This browser did not open the link of the program, so the program took nothing. If this sign-in is yours: "
        "copy the address of this page and paste it in the program within 30 seconds. Or open the link that the "
        "program shows.",
        403,
    )


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
