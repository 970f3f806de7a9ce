"""How a connection comes about: several attempts, what holds them up, and whose fault it is if none succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakBluetoothNotAvailableError, BleakDeviceNotFoundError, BleakError

from installer.bluetooth.outage import run_unless_failed
from installer.bluetooth.pairing import bond_lost
from installer.bluetooth.system_errors import SYSTEM_ERRORS, is_busy, service_is_away
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter

CONNECT_SECONDS = 30.0
# How long a connection is tried that another program, or one that has died, still holds up.
BUSY_SECONDS = 10.0
BUSY_PAUSE_SECONDS = 0.5


async def connect(
    adapter: Adapter, device: BLEDevice, timeout: float, attempts: int, on_lost: Callable[[BleakClient], None]
) -> BleakClient:
    """A connected client with its GATT table, after up to `attempts` attempts within `timeout` seconds.

    `on_lost` is called with a client whose link has ended; also with that of an attempt that failed halfway.

    Raises CONNECTION_FAILED; BOND_LOST; DEVICE_TAKEN; or an adapter error (ADAPTER_FAILED) if the adapter is the cause.
    """
    from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

    def create_client(device: BLEDevice, disconnected_callback: Any, **kwargs: Any) -> BleakClient:
        return adapter.client(device, disconnected_callback, timeout / max(attempts, 1), **kwargs)

    async def establish() -> BleakClient:
        return await establish_connection(
            cast("type[BleakClientWithServiceCache]", create_client),
            device,
            device.name or device.address,
            disconnected_callback=on_lost,
            max_attempts=attempts,
            use_services_cache=False,
        )

    try:
        async with asyncio.timeout(timeout):
            return await run_unless_failed(adapter, _retry_while_busy(adapter, device, establish))
    except SYSTEM_ERRORS as error:
        failure = (await adapter.why_lost()) or _connect_error(adapter, device, error)
        if failure.code is ErrorCode.CONNECTION_FAILED and await adapter.bond_is_lost(device):
            failure = bond_lost(device.address.upper(), printable(device.name or "", 32))
        raise failure from error


async def _retry_while_busy(
    adapter: Adapter, device: BLEDevice, establish: Callable[[], Awaitable[BleakClient]]
) -> BleakClient:
    """Connect, for as long as BlueZ still connects for another program that may have died (`bluez-behaviour` §3)."""
    clock = asyncio.get_running_loop().time
    end = clock() + BUSY_SECONDS
    while True:
        try:
            return await establish()
        except BleakError as error:
            cause = error.__cause__ if error.__cause__ is not None else error
            if not (is_busy(error) or is_busy(cause)) or clock() > end:
                raise
        # This ends the attempt of a program that died; one that lives tries again, too.
        await adapter.cancel_connecting(device)
        await asyncio.sleep(BUSY_PAUSE_SECONDS)


def _connect_error(adapter: Adapter, device: BLEDevice, error: BaseException) -> InstallerError:
    # bleak-retry-connector wraps the real reason. The cause of a TimeoutError says nothing more.
    wrapped = isinstance(error, BleakError) and error.__cause__ is not None
    cause = error.__cause__ if wrapped and error.__cause__ is not None else error
    for candidate in (cause, error):
        if isinstance(candidate, (BleakBluetoothNotAvailableError, FileNotFoundError, PermissionError)):
            return adapter.to_installer_error(candidate)
    for candidate in (cause, error):
        if service_is_away(candidate):
            return adapter.to_installer_error(candidate)
    if adapter.failure is not None:
        return adapter.failure
    if isinstance(cause, (TimeoutError, BleakDeviceNotFoundError)):
        why = "it did not answer in time"
    elif is_busy(cause):
        why = "another program of this computer is connecting to it"
    else:
        why = printable(str(cause) or type(cause).__name__, 160)
    name = printable(device.name or "", 32) or "the device"
    return InstallerError(
        ErrorCode.CONNECTION_FAILED,
        f"The connection to {name} {device.address.upper()} failed: {why}.",
        "Bring it within a metre, wake it, end its connection to any phone, then try again.",
        address=device.address.upper(),
    )
