"""The receiver of notifications: a small web server behind a secret path, which answers at once and works afterwards.

What it answers tells nobody anything: 404 at every other path, and the same 200 whether the user is known or not. It
reads no more than a notification is long, waits for nobody for long, and keeps no connection open. A notification is
on the disk before it is answered; if it cannot be kept the answer is 503, and the cloud repeats it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from pydantic import SecretStr
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from installer.cloud.embedded_web_server import EmbeddedServer
from installer.errors import ErrorCode, InstallerError
from installer.notifications.callback_url import is_path
from installer.notifications.notification import MAX_BODY, Notification, parse

# The cloud waits two seconds for the answer (§3.4), and so does nobody else for longer here.
HEAD_SECONDS, BODY_SECONDS, KEEP_SECONDS = 3.0, 3.0, 1.5
START_SECONDS, STOP_SECONDS = 10.0, 5.0
MAX_HEAD = 16 * 1024
MAX_CONNECTIONS = 200
FORM = ("application/x-www-form-urlencoded", "")
HEADERS = {"Cache-Control": "no-store", "Connection": "close"}

# Without a handler, a warning about somebody's odd request would be printed between the words for the person.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())

# Keeps a notification of whoever it is (`async`), durably; raises InstallerError where that fails.
Keep = Callable[[Notification], Awaitable[None]]


class Receiver:
    """The application. `path`: the secret last part of the address. `keep` is called before the answer goes out."""

    def __init__(self, path: SecretStr, keep: Keep) -> None:
        self._path = path
        self._keep = keep
        self._keeping: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        status = await self._status(request)
        headers = {**HEADERS, "Allow": "HEAD, POST"} if status == 405 else HEADERS
        await Response(status_code=status, headers=headers)(scope, receive, send)

    async def _status(self, request: Request) -> int:
        if not is_path(request.scope["path"], self._path):
            return 404
        if request.method == "HEAD":
            return 200
        if request.method != "POST":
            return 405
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in FORM:
            return 415
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 12 or int(length) > MAX_BODY:
            return 413
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return 408
        if body is None:
            return 413
        notice = parse(body)
        if notice is None:
            return 400
        return 200 if await self._kept(notice) else 503

    async def _kept(self, notice: Notification) -> bool:
        """Whether it is on the disk in time. What takes longer goes on by itself; keeping it twice does no harm."""
        task = asyncio.ensure_future(self._keep(notice))
        self._keeping.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait([task], timeout=KEEP_SECONDS)
        return task.done() and not task.cancelled() and task.exception() is None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._keeping.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, InstallerError):
            asyncio.get_running_loop().call_exception_handler({"message": "keeping failed", "exception": error})

    @asynccontextmanager
    async def serve(
        self, listener: socket.socket, certificate: Path | None = None, key: Path | None = None
    ) -> AsyncIterator[None]:
        """Answer at this socket while the context lasts. Raises RECEIVER_FAILED (the certificate, mostly)."""
        server = EmbeddedServer(_config(self, certificate, key))
        task = asyncio.ensure_future(server.serve(sockets=[listener]))
        ready = asyncio.ensure_future(server.ready.wait())
        try:
            await asyncio.wait([task, ready], timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not server.started:
                raise _failed("its web server did not start", "Try again.")
            yield
        finally:
            ready.cancel()
            server.enough.set()
            await asyncio.wait([task], timeout=STOP_SECONDS)
            task.cancel()
            await asyncio.gather(task, ready, *self._keeping, return_exceptions=True)
            listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; port 0 takes a free one. Raises RECEIVER_FAILED."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sends small answers at once only where the socket names its protocol.
        listener = socket.socket(family, kind, number or socket.IPPROTO_TCP)
    except OSError as error:
        raise _failed(f"there is no address “{host}” ({error.strerror})", "Name another with --host.") from None
    try:
        if hasattr(socket, "SO_REUSEADDR") and hasattr(socket, "AF_UNIX"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _failed(
            f"port {port} of {host} cannot be taken ({error.strerror})",
            "End the program that uses it, or name another with --port.",
        ) from None
    return listener


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return body


def _config(app: Receiver, certificate: Path | None, key: Path | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=_Patience,
        log_config=None,
        access_log=False,  # the path is a secret
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=MAX_HEAD,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
        raise _failed(f"its certificate cannot be used ({why})", "Check --certificate and --key.") from None
    return config


class _Patience(H11Protocol):
    """Closes a connection whose request has not come soon: the library itself would wait for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_SECONDS, self._enough)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def _enough(self) -> None:
        if not getattr(self, "scope", None):  # it is there with the first whole head of a request
            self.transport.close()


def _failed(why: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.RECEIVER_FAILED, f"The receiver of notifications cannot run: {why}.", todo)
