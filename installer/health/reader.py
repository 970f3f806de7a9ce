"""Takes a measurement of a device over its connection, by the health profile that the catalogue names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from installer.bluetooth.connection import Connection
from installer.catalog import Profile
from installer.errors import ErrorCode, InstallerError
from installer.health import codec
from installer.measurement import Measurement

WHAT = "waiting for a measurement"


async def take_measurement(connection: Connection, profile: Profile, timeout: float = 60.0) -> Measurement:
    """The first measurement that the device sends within `timeout` seconds.

    Raises MEASUREMENT_FAILED (none came, or the device has no such profile), DEVICE_MISBEHAVED
    (it makes no sense), CONNECTION_LOST.
    """
    async with aclosing(measurements(connection, profile, timeout)) as stream:
        async for measurement in stream:
            return measurement
    raise InstallerError(
        ErrorCode.MEASUREMENT_FAILED,
        f"The device {connection.address} sent no measurement within {timeout:g} s.",
        "Use it once while it is connected, close to this computer, then try again.",
        address=connection.address,
    )


async def measurements(connection: Connection, profile: Profile, quiet: float) -> AsyncGenerator[Measurement]:
    """The measurements that the device sends, until none came for `quiet` seconds. Raises as `take_measurement`.

    The device counts a measurement as delivered when it was indicated, so take them all.
    """
    source = codec.CHARACTERISTICS[profile]
    if not connection.has_characteristic(source.uuid, source.service):
        raise InstallerError(
            ErrorCode.MEASUREMENT_FAILED,
            f"The device {connection.address} does not offer the health profile “{profile}” over Bluetooth.",
            "Check that the model is the right one, and that the device is set up as its vendor's app wants it.",
            address=connection.address,
        )
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    await connection.subscribe(source.uuid, arrived.put_nowait)
    loop = asyncio.get_running_loop()
    try:
        deadline = loop.time() + quiet
        while True:
            try:
                data = await connection.race(arrived.get(), deadline - loop.time(), WHAT)
            except TimeoutError:
                return
            try:
                measurement = codec.decode(profile, data)
            except codec.NoValue:
                continue  # the person measures again
            except codec.CodecError as error:
                raise InstallerError(
                    ErrorCode.DEVICE_MISBEHAVED,
                    f"The device {connection.address} sent a measurement that makes no sense: {error}.",
                    "Measure again; if this stays, its firmware breaks the standard.",
                    address=connection.address,
                ) from None
            yield measurement
            deadline = loop.time() + quiet
    finally:
        with suppress(InstallerError):
            await connection.unsubscribe(source.uuid)
