"""One visit to a device: connect, listen to its health profiles, keep what it sends, until it has no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.catalogue.catalogue import Profile
from installer.errors import InstallerError
from installer.gateway.outbox_writer import OutboxWriter
from installer.health_profiles import reader


@dataclass(frozen=True)
class Waits:
    """Seconds. `first`: for the first measurement; `quiet`: after the last one; `longest`: a whole visit.

    `connect`: for a connection. A device that was switched on by being used needs a while until it has measured.
    """

    connect: float = 20.0
    first: float = 30.0
    quiet: float = 3.0
    longest: float = 180.0


async def collect(
    adapter: Adapter,
    device: BLEDevice,
    profiles: Sequence[Profile],
    intake: OutboxWriter,
    waits: Waits,
    connected: Callable[[], None] = lambda: None,
) -> None:
    """Take all that the device has. `connected` is called when the link is up.

    Raises CONNECTION_FAILED, CONNECTION_LOST, DEVICE_REFUSED, DEVICE_MISBEHAVED, MEASUREMENT_FAILED (it has none of
    the profiles), and what `intake` raised; what had come until then is kept.
    """
    connection = await Connection.open(adapter, device, waits.connect, attempts=2)
    try:
        connected()
        stream = reader.collect(
            connection,
            profiles,
            waits.quiet,
            first=waits.first,
            limit=waits.longest,
            keep=intake.keep,
            strange=intake.strange,
        )
        async with aclosing(stream) as measurements:
            async for _ in measurements:
                pass  # it is kept already
    except InstallerError as error:
        # A link that ends because nothing could be written ends for that reason.
        raise intake.failure or error from None
    finally:
        await connection.close()
