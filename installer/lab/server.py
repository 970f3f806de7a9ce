"""The lab as a process: HTTP and HCI ports, state file, signals, and the idle timeout."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from installer.cloud.embedded_web_server import serving
from installer.cloud.guarded_web_server import GuardedProtocol
from installer.errors import ErrorCode, InstallerError
from installer.lab import scenario as scenarios
from installer.lab.cloud.app import build_app
from installer.lab.control_api import routes
from installer.lab.guard import LabGuard
from installer.lab.world import World
from installer.storage.atomic_write import replace_file
from installer.storage.unusable_paths import unwritable
from installer.text.bounded_read import read_bounded

HOST = "127.0.0.1"
MAX_STATE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Options:
    """`port`: 0 takes a free one. `idle`: seconds without use after which the lab ends; 0 means never."""

    scenario: Path | None = None
    state: Path | None = None
    port: int = 0
    idle: float = 0


class LastUse:
    """Middleware that records when the lab was last used; what its guard refuses is no use."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.time = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any HTTP request is use."""
        self.time = time.monotonic()
        await self._app(scope, receive, send)


async def serve(options: Options) -> None:
    """Run the lab until a signal, `POST /lab/stop`, or idleness ends it. Raises SCENARIO_INVALID, LAB_UNAVAILABLE."""
    scenario = scenarios.load(options.scenario)
    world = World(scenario, log)
    listener = _listen(options.port)
    hci_port = await world.start()
    end = asyncio.Event()
    app = LastUse(build_app(world.store, routes(world, end.set)))
    token = secrets.token_urlsafe(32)
    world.hci_server.on_change = lambda: setattr(app, "time", time.monotonic())
    config = uvicorn.Config(
        LabGuard(app, token, log),
        http=GuardedProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(log, "ended")
        stack.push_async_callback(world.stop)
        await stack.enter_async_context(serving(config, [listener], _unavailable("the HTTP server did not start")))
        stack.callback(_remove_state_file, options.state)
        http = f"http://{HOST}:{listener.getsockname()[1]}"
        _write_state_file(options.state, _state_file_content(world, http, hci_port, token))
        log(f"ready: {http}, --adapter hci:tcp-client:{HOST}:{hci_port}, scenario {scenario.name}")
        await _wait_for_end(end, options.idle, world, app)


def run(*, scenario: Path | None = None, state: Path | None = None, port: int = 0, idle: float = 0) -> None:
    """Run `serve` in a new event loop, with the lab's log on standard error."""
    # Bumble logs packets, and packets contain passphrases.
    for name, level in (("bumble", logging.ERROR), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logging.getLogger(name).setLevel(level)
    asyncio.run(serve(Options(scenario, state, port, idle)))


def log(words: str) -> None:
    """Write one line to the lab's log."""
    safe = "".join(c if c.isprintable() else "\ufffd" for c in words)
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} lab: {safe}\n".encode("utf-8", "replace").decode("utf-8"))
    sys.stderr.flush()


async def _wait_for_end(end: asyncio.Event, idle: float, world: World, last_use: LastUse) -> None:
    while not end.is_set():
        left: float | None = None
        if idle:
            now = time.monotonic()
            left = idle if world.hci_server.connections else last_use.time + idle - now
            if left <= 0:
                log(f"the lab was not used for {idle:g} s")
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), left)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise _unavailable(f"the port {port} cannot be used ({error.strerror})") from None


def _unavailable(why: str) -> InstallerError:
    return InstallerError(ErrorCode.LAB_UNAVAILABLE, f"The lab cannot start: {why}.", "Choose another port, or 0.")


def _state_file_content(world: World, http: str, hci_port: int, token: str) -> dict[str, object]:
    cloud = world.scenario.cloud
    user = cloud.users[0]
    return {
        "version": 1,
        "pid": os.getpid(),
        "http": http,
        "adapter": f"hci:tcp-client:{HOST}:{hci_port}",
        "cloud": http,
        "token": token,
        "client_id": cloud.client_id,
        "client_secret": cloud.client_secret.get_secret_value(),
        "user": {"email": user.email, "password": user.password.get_secret_value()},
        "scenario": world.scenario.name,
        "started": time.time(),
    }


def _write_state_file(path: Path | None, state: dict[str, object]) -> None:
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, [json.dumps(state).encode()])
    except OSError as error:
        raise unwritable(f"The state file {path} cannot be written", path, error) from None


def _remove_state_file(path: Path | None) -> None:
    if path is None:
        return
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
        # Another lab may have written its own by now.
        if json.loads(read_bounded(path, MAX_STATE_BYTES)).get("pid") == os.getpid():
            path.unlink()
