"""The listener on this computer to which the browser comes back after the sign-in.

It listens on loopback addresses only, for as long as one sign-in goes on, and answers nobody who got here by
another host name. `GET /` leads to the cloud's page, so that a person can type a short address.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from installer.cloud.embedded_web_server import EmbeddedServer
from installer.cloud.sign_in_page import HEADERS, page
from installer.errors import ErrorCode, InstallerError
from installer.settings import is_loopback

START_SECONDS = 10.0
STOP_SECONDS = 5.0
_PORT_TRIES = 20

Query = Mapping[str, str]

# Without a handler, a warning about somebody's odd request would be printed over the screen.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class Listener:
    """Binds at once, so that the port is known; serves while its context lasts."""

    def __init__(self, redirect_uri: str) -> None:
        """Bind the port of `redirect_uri` (0: any free one; one that is elsewhere: only the short link is served).

        Raises SIGN_IN_FAILED if the port is taken.
        """
        parts = urlsplit(redirect_uri)
        self._here = is_loopback(parts.hostname or "")
        host = (parts.hostname or "") if self._here else "localhost"
        wanted = (80 if parts.port is None else parts.port) if self._here and parts.scheme == "http" else 0
        self._sockets, self.port = _bind(host, wanted)
        shown = f"[{host}]" if ":" in host else host
        self.short_url = f"http://{shown}:{self.port}/"
        self._path = parts.path or "/"
        # The very text of the settings where the port is fixed: the cloud compares it with the registered one.
        self.redirect_uri = redirect_uri
        if self._here and parts.port == 0:
            self.redirect_uri = parts._replace(netloc=f"{shown}:{self.port}").geturl()

    @property
    def comes_back(self) -> bool:
        """Whether the browser comes back here by itself."""
        return self._here

    @asynccontextmanager
    async def serve(self, authorize_url: str, arrived: Callable[[Query], Awaitable[Response]]) -> AsyncIterator[None]:
        """Answer requests; `arrived` gets the query of whoever comes to the redirect URI."""

        async def handle(request: Request) -> Response:
            if not is_loopback(_host(request.headers.get("host", ""))):
                return page("Not here", "This address answers to this computer itself only.", 421)
            query = request.query_params
            if self._here and request.url.path == self._path and query.keys() & {"code", "error", "state"}:
                if len(request.url.query) > 8192:
                    return page("Too long", "This is not an answer of the cloud.", 414)
                return await arrived(dict(query))
            if request.url.path == "/":
                return RedirectResponse(authorize_url, 302, HEADERS)
            return page("Nothing here", "There is nothing at this address.", 404)

        app = Starlette(routes=[Route("/{path:path}", handle, methods=["GET"])])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # an address holds the code
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=32 * 1024,
        )
        server = EmbeddedServer(config)
        task = asyncio.ensure_future(server.serve(sockets=self._sockets))
        ready = asyncio.ensure_future(server.ready.wait())
        try:
            await asyncio.wait([task, ready], timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not server.started:
                raise InstallerError(
                    ErrorCode.SIGN_IN_FAILED,
                    f"The address {self.short_url}, where the browser is to come back, could not be served.",
                    "Try again.",
                )
            yield
        finally:
            ready.cancel()
            server.enough.set()
            done, _ = await asyncio.wait([task], timeout=STOP_SECONDS)
            if not done:
                task.cancel()
                await asyncio.wait([task], timeout=STOP_SECONDS)
            self.close()

    def close(self) -> None:
        """Give the port back."""
        for listening in self._sockets:
            listening.close()


def _host(header: str) -> str:
    with contextlib.suppress(ValueError):
        return urlsplit(f"//{header}").hostname or ""
    return ""


def _bind(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Sockets on every loopback address that a browser may try for `host`, all on one port."""
    for _ in range(_PORT_TRIES):
        try:
            return _bind_all(host, port)
        except OSError as error:
            taken = error.errno in (errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEACCES", -1))
            if port == 0 and taken:
                continue  # the free port of one address family was taken in the other
            raise InstallerError(
                ErrorCode.SIGN_IN_FAILED,
                f"Port {port} of this computer, where the browser is to come back, cannot be used ({error.strerror}).",
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
                # asyncio sends small answers at once only where the socket names its protocol.
                listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            except OSError:
                continue  # a computer without this family
            bound.append(listening)
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                listening.bind((address, port))
                listening.listen(16)
            except OSError as error:
                # Somebody else at the other family's port would get the code; a missing family is no such risk.
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
