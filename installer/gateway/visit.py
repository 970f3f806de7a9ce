"""One visit to a device: connect, listen to its health profiles, keep what it sends, until it has no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bleak.backends.device import BLEDevice

from installer.bluetooth.adapter import Adapter
from installer.bluetooth.connection import Connection
from installer.catalog import Profile
from installer.errors import ErrorCode, InstallerError
from installer.gateway.intake import Intake
from installer.health import codec

WHAT = "waiting for measurements"


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
    intake: Intake,
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
        offered = [p for p in profiles if _offers(connection, p)]
        if not offered:
            raise InstallerError(
                ErrorCode.MEASUREMENT_FAILED,
                f"The device {connection.address} offers none of the health profiles {', '.join(profiles)}.",
                "Check that it is the right device, and that it is set up as its vendor's app wants it.",
                address=connection.address,
            )
        await _listen(connection, offered, profiles[0], intake, waits)
    except InstallerError as error:
        # A link that ends because nothing could be written ends for that reason.
        raise intake.failure or error from None
    finally:
        await connection.close()


async def _listen(
    connection: Connection, offered: Sequence[Profile], main: Profile, intake: Intake, waits: Waits
) -> None:
    arrived = asyncio.Event()

    def on(profile: Profile) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            arrived.set()
            intake.take(profile, raw)

        return take

    loop = asyncio.get_running_loop()
    end = loop.time() + waits.longest
    for profile in offered:
        try:
            await connection.subscribe(codec.CHARACTERISTICS[profile].uuid, on(profile))
        except InstallerError as error:
            # Some devices keep a second profile for whoever has paired with them.
            if error.code is not ErrorCode.DEVICE_REFUSED or profile is main or len(offered) == 1:
                raise
    quiet = waits.first
    while (left := min(quiet, end - loop.time())) > 0:
        try:
            await connection.race(arrived.wait(), left, WHAT)
        except TimeoutError:
            break
        arrived.clear()
        quiet = waits.quiet
    for profile in offered:
        with suppress(InstallerError):
            await connection.unsubscribe(codec.CHARACTERISTICS[profile].uuid)
    if intake.failure is not None:
        raise intake.failure


def _offers(connection: Connection, profile: Profile) -> bool:
    source = codec.CHARACTERISTICS[profile]
    return connection.has_characteristic(source.uuid, source.service)
