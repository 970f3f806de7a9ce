"""An embedded web server (uvicorn): it runs beside other work, leaves signals alone, and stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager

import uvicorn

START_SECONDS, STOP_SECONDS = 10.0, 5.0
DATE_HEADER_SECONDS = 1.0


class EmbeddedServer(uvicorn.Server):
    """`ready` is set when the server answers; set `stop_requested` to end it. The program handles signals itself."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stop_requested = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set `ready`."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Serve until a stop is requested; uvicorn's own loop checks for that only ten times a second."""
        while not self.stop_requested.is_set():
            await self.on_tick(0)  # updates the Date header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop_requested.wait(), DATE_HEADER_SECONDS)
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no signal handlers."""
        yield


@asynccontextmanager
async def serving(config: uvicorn.Config, sockets: Sequence[socket.socket], failed: Exception) -> AsyncIterator[None]:
    """Serve at these sockets while the context lasts, then close them. Raises `failed` if the server does not start."""
    server = EmbeddedServer(config)
    task = asyncio.ensure_future(server.serve(sockets=list(sockets)))
    ready = asyncio.ensure_future(server.ready.wait())
    try:
        await asyncio.wait([task, ready], timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not server.started:
            raise failed
        yield
    finally:
        server.stop_requested.set()
        await asyncio.wait([task], timeout=STOP_SECONDS)
        task.cancel()
        ready.cancel()
        await asyncio.gather(task, ready, return_exceptions=True)
        for listening in sockets:
            listening.close()


def mute_server_log() -> None:
    """Keep uvicorn's warnings about odd requests off the screen: without a handler, Python prints them."""
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
