"""The receiver of notifications (webhook): a web server behind a secret path that stores notifications.

Its answers reveal nothing: 404 at every other path, and 200 whether the user is known or not. The length of a request
and every wait have limits, and connections are closed after the answer. A notification is on the disk before the
answer is sent. If it cannot be stored, the answer is 503, and the cloud repeats it.

The cloud tries the address with HEAD before it accepts it. A proxy in front may make GET of HEAD, and a person tries
the address with a browser or an empty POST. Whoever knows the path gets 200 for all of these.
"""

from __future__ import annotations

import asyncio
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

from installer.cloud.embedded_web_server import mute_server_log, serving
from installer.errors import ErrorCode, InstallerError
from installer.notifications.callback_url import is_secret_path
from installer.notifications.notification import MAX_BODY_BYTES, Notification, is_test, parse_notification
from installer.notifications.receiver_certificate import UnusableCertificate, check_certificate

# The cloud waits two seconds for the answer (§3.4).
HEAD_SECONDS, BODY_SECONDS, STORE_SECONDS = 3.0, 3.0, 1.5
MAX_HEAD_BYTES = 16 * 1024
MAX_CONNECTIONS = 200
FORM_TYPES = ("application/x-www-form-urlencoded", "")
# Nothing in front may answer in this receiver's place. nginx can be told to ignore `Cache-Control`.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Expires": "0", "Connection": "close"}
TEST_METHODS = ("HEAD", "GET", "OPTIONS")
ALLOWED = {"Allow": "GET, HEAD, OPTIONS, POST"}
# What a person reads who opens the address in a browser.
READY = "This address receives notifications.\n"

mute_server_log()

# Stores a notification durably; raises InstallerError if that fails.
StoreNotification = Callable[[Notification], Awaitable[None]]


class Receiver:
    """The ASGI application. `path`: the secret last part of the URL. `store` is called before the answer is sent."""

    def __init__(self, path: SecretStr, store: StoreNotification) -> None:
        self._path = path
        self._store = store
        self._storing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        status = await self._status(request)
        headers = HEADERS | (ALLOWED if status == 405 or (status, request.method) == (200, "OPTIONS") else {})
        text = READY if status == 200 and request.method in ("GET", "HEAD") else ""
        await Response(text or None, status, headers, "text/plain" if text else None)(scope, receive, send)

    async def _status(self, request: Request) -> int:
        if not is_secret_path(request.scope["path"], self._path):
            return 404
        if request.method in TEST_METHODS:
            return 200
        if request.method != "POST":
            return 405
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 12 or int(length) > MAX_BODY_BYTES:
            return 413
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(request)
        except (TimeoutError, ClientDisconnect):
            return 408
        if body is None:
            return 413
        return await self._status_of_body(body, request)

    async def _status_of_body(self, body: bytes, request: Request) -> int:
        if not body:
            return 200
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if kind not in FORM_TYPES or encoding != "identity":
            return 415
        if is_test(body):
            return 200
        notification = parse_notification(body)
        if notification is None:
            return 400  # damaged on its way: the cloud sends it again
        return 200 if await self._stored(notification) else 503

    async def _stored(self, notification: Notification) -> bool:
        """Whether it is on the disk in time. A slower task goes on; storing a notification twice does no harm."""
        task = asyncio.ensure_future(self._store(notification))
        self._storing.add(task)
        task.add_done_callback(self._task_ended)
        await asyncio.wait([task], timeout=STORE_SECONDS)
        return task.done() and not task.cancelled() and task.exception() is None

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._storing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, InstallerError):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "storing a notification failed", "exception": error}
            )

    @asynccontextmanager
    async def serve(
        self, listener: socket.socket, certificate: Path | None = None, key: Path | None = None
    ) -> AsyncIterator[None]:
        """Answer at this socket while the context lasts. Raises RECEIVER_FAILED, for example for the certificate."""
        config = _server_config(self, certificate, key)
        try:
            async with serving(config, [listener], _receiver_error("its web server did not start", "Try again.")):
                yield
        finally:
            await asyncio.gather(*self._storing, return_exceptions=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; port 0 takes a free one. Raises RECEIVER_FAILED."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sends small answers without delay only if the socket names its protocol.
        listener = socket.socket(family, kind, number or socket.IPPROTO_TCP)
    except OSError as error:
        raise _receiver_error(
            f"there is no address “{host}” ({error.strerror})", "Name another host with --host."
        ) from None
    try:
        if hasattr(socket, "SO_REUSEADDR") and hasattr(socket, "AF_UNIX"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _receiver_error(
            f"port {port} of {host} cannot be used ({error.strerror})",
            "End the program that uses it, or name another port with --port.",
        ) from None
    return listener


async def _read_body(request: Request) -> bytes | None:
    """The body; None if it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _server_config(app: Receiver, certificate: Path | None, key: Path | None) -> uvicorn.Config:
    if certificate is not None:
        try:
            check_certificate(certificate, key)
        except UnusableCertificate as why:
            raise _receiver_error(f"its certificate cannot be used: {why}", "Check --certificate and --key.") from None
    config = uvicorn.Config(
        app,
        http=_RequestTimeoutProtocol,
        log_config=None,
        access_log=False,  # the path is a secret
        lifespan="off",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    config.load()
    return config


class _RequestTimeoutProtocol(H11Protocol):
    """Closes a connection that sends no request in time: uvicorn itself has no such timeout."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout."""
        super().connection_made(transport)
        self._timeout = self.loop.call_later(HEAD_SECONDS, self._close_without_request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._timeout.cancel()
        super().connection_lost(exc)

    def _close_without_request(self) -> None:
        if not getattr(self, "scope", None):  # set when the head of a request is complete
            self.transport.close()


def _receiver_error(why: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.RECEIVER_FAILED, f"The receiver of notifications cannot run: {why}.", todo)
