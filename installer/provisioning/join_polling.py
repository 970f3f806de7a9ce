"""Polling a device that is joining a network, for the protocols in which the state must be asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from installer.bluetooth.connection import Connection

JOINING = "the device was joining the network"

S = TypeVar("S")


async def pause(connection: Connection, seconds: float, doing: str = JOINING) -> None:
    """Wait. Raises CONNECTION_LOST as soon as the connection drops."""
    await connection.run_while_connected(asyncio.sleep(seconds), seconds + 1, doing)


async def poll_while_joining(
    connection: Connection,
    read_status: Callable[[], Awaitable[S]],
    is_joining: Callable[[S], bool],
    pauses: Iterator[float],
    timeout: float,
) -> S:
    """The first status in which the device is no longer joining; after `timeout` seconds the latest one.

    `pauses`: the seconds between two polls. Raises CONNECTION_LOST, and what `read_status` raises.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    while True:
        status = await read_status()
        if not is_joining(status) or clock() >= deadline:
            return status
        await pause(connection, next(pauses), JOINING)
