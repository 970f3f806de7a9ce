"""One visit to a device: connect, subscribe to its health profiles, write what it sends until it has no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.catalogue.model import Profile
from installer.errors import InstallerError
from installer.gateway.outbox_writer import OutboxWriter
from installer.health_profiles import reader


@dataclass(frozen=True)
class VisitTimeouts:
    """Seconds. `connect`: for a connection; `first`: until the first measurement; `quiet`: without a further one.

    `total`: for the whole visit. A device that was just switched on needs time to measure.
    """

    connect: float = 20.0
    first: float = 30.0
    quiet: float = 3.0
    total: float = 180.0


async def _take_any(_: Connection) -> None:
    """Whichever unit answers."""


async def visit_device(
    adapter: Adapter,
    device: BLEDevice,
    profiles: Sequence[Profile],
    writer: OutboxWriter,
    timeouts: VisitTimeouts,
    on_connected: Callable[[], None] = lambda: None,
    check: Callable[[Connection], Awaitable[None]] = _take_any,
) -> None:
    """Collect all measurements that the device has. `on_connected` is called when the connection is open.

    `check` raises if another unit answers, before anything is read from it.

    Raises CONNECTION_FAILED, CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED, MEASUREMENT_FAILED (it has none of
    the profiles), and what `writer` raised. What came before the error is written.
    """
    connection = await Connection.open(adapter, device, timeouts.connect, attempts=2)
    try:
        on_connected()
        await check(connection)
        stream = reader.collect(
            connection,
            profiles,
            timeouts.quiet,
            first=timeouts.first,
            limit=timeouts.total,
            keep=writer.write_measurement,
            malformed=writer.write_unreadable,
        )
        async with aclosing(stream) as measurements:
            async for _ in measurements:
                pass  # the writer has it already
    except InstallerError as error:
        # If a message could not be written, the connection ends; then the reason is the writer's.
        raise writer.failure or error from None
    finally:
        await connection.close()
