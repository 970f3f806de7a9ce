"""The lab as a process: HTTP and HCI ports, the state file, signals, and the end when nobody uses it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from installer.errors import ErrorCode, InstallerError
from installer.lab import scenario as scenarios
from installer.lab.cloud.app import build_app
from installer.lab.control_api import routes
from installer.lab.world import World

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """`port` 0 takes a free one; `idle`: seconds without use after which the lab ends, 0 is never."""

    scenario: Path | None = None
    state: Path | None = None
    port: int = 0
    idle: float = 0


class Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the lab has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class Used:
    """Notes when the lab was last used."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Any HTTP request is use."""
        self.last = time.monotonic()
        await self._app(scope, receive, send)


async def serve(options: Options) -> None:
    """Run the lab until a signal, `POST /lab/stop`, or idleness ends it. Raises SCENARIO_INVALID, LAB_UNAVAILABLE."""
    scenario = scenarios.load(options.scenario)
    world = World(scenario, log)
    listener = _listen(options.port)
    hci_port = await world.start()
    end = asyncio.Event()
    app = Used(build_app(world.store, routes(world, end.set)))
    world.doorway.changed = lambda: setattr(app, "last", time.monotonic())
    server = Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    try:
        while not server.started:
            if serving.done():
                raise _unavailable("the HTTP server did not start")
            await asyncio.sleep(0.005)
        http = f"http://{HOST}:{listener.getsockname()[1]}"
        _announce(options.state, _state(world, http, hci_port))
        log(f"ready: {http}, --adapter hci:tcp-client:{HOST}:{hci_port}, scenario {scenario.name}")
        await _until_over(end, options.idle, world, app)
    finally:
        _withdraw(options.state)
        server.should_exit = True
        world.stop()
        await asyncio.wait([serving], timeout=5)
        log("ended")


def run(*, scenario: Path | None = None, state: Path | None = None, port: int = 0, idle: float = 0) -> None:
    """`serve` in an event loop of its own, with the lab's log on standard error."""
    # Bumble logs packets, and packets hold passphrases.
    for name, level in (("bumble", logging.ERROR), ("uvicorn", logging.WARNING), ("asyncio", logging.WARNING)):
        logging.getLogger(name).setLevel(level)
    asyncio.run(serve(Options(scenario, state, port, idle)))


def log(words: str) -> None:
    """One line for the lab's log."""
    safe = "".join(c if c.isprintable() else "\ufffd" for c in words)
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} lab: {safe}\n".encode("utf-8", "replace").decode("utf-8"))
    sys.stderr.flush()


async def _until_over(end: asyncio.Event, idle: float, world: World, used: Used) -> None:
    while not end.is_set():
        left: float | None = None
        if idle:
            now = time.monotonic()
            left = idle if world.doorway.ports else used.last + idle - now
            if left <= 0:
                log(f"nobody used the lab for {idle:g} s")
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), left)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise _unavailable(f"the port {port} cannot be taken ({error.strerror})") from None


def _unavailable(why: str) -> InstallerError:
    return InstallerError(ErrorCode.LAB_UNAVAILABLE, f"The lab cannot start: {why}.", "Choose another port, or 0.")


def _state(world: World, http: str, hci_port: int) -> dict[str, object]:
    cloud = world.scenario.cloud
    user = cloud.users[0]
    return {
        "version": 1,
        "pid": os.getpid(),
        "http": http,
        "adapter": f"hci:tcp-client:{HOST}:{hci_port}",
        "cloud": http,
        "client_id": cloud.client_id,
        "client_secret": cloud.client_secret.get_secret_value(),
        "user": {"email": user.email, "password": user.password.get_secret_value()},
        "scenario": world.scenario.name,
        "started": time.time(),
    }


def _announce(path: Path | None, state: dict[str, object]) -> None:
    if path is None:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(state, file)
        draft.replace(path)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE, f"The state file {path} cannot be written ({error.strerror}).", "Name another."
        ) from None


def _withdraw(path: Path | None) -> None:
    if path is None:
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # Another lab may have written its own by now.
        if json.loads(path.read_text("utf-8")).get("pid") == os.getpid():
            path.unlink()
