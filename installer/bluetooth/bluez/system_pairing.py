"""What the system's adapter does for pairing: through BlueZ on Linux; macOS and Windows pair by themselves."""

from __future__ import annotations

import contextlib
import sys

from bleak.backends.device import BLEDevice

from installer.bluetooth.bluez.bus import BluezError, Bus, system_bus
from installer.bluetooth.pairing import PairingDialog, pairing_left_to_system
from installer.errors import InstallerError


async def pair(device: BLEDevice, adapter: str, dialog: PairingDialog | None, platform: str = sys.platform) -> None:
    """Pair with a device of a scan. Raises PAIRING_NEEDED where the system does it, and as `bluez.pair.pair`."""
    if platform != "linux":
        raise pairing_left_to_system(device.address.upper(), platform)
    from installer.bluetooth.bluez import pair

    async with system_bus(adapter) as bus:
        await pair.pair(bus, _path(device), device.address.upper(), device.name or "", dialog)


async def look_anew(device: BLEDevice, adapter: str, platform: str = sys.platform) -> None:
    """Let BlueZ find a device that is not paired anew. Raises CONNECTION_LOST and adapter errors."""
    if platform == "linux":
        from installer.bluetooth.bluez import pair

        async with system_bus(adapter) as bus:
            await pair.look_anew(bus, _path(device), device.address.upper())


async def is_bonded(device: BLEDevice, adapter: str, platform: str = sys.platform, bus: Bus | None = None) -> bool:
    """Whether BlueZ has keys of the device. `bus`: an open connection to ask over. Never raises."""
    if platform == "linux":
        from installer.bluetooth.bluez import pair

        with contextlib.suppress(BluezError, InstallerError):
            async with system_bus(adapter) if bus is None else contextlib.nullcontext(bus) as opened:
                return await pair.is_paired(opened, _path(device))
    return False


async def has_other_agent(device: BLEDevice, adapter: str, platform: str = sys.platform) -> bool:
    """Whether another program has registered an agent, which BlueZ asks for pairings that a request begins."""
    if platform == "linux":
        from installer.bluetooth.bluez import pair

        with contextlib.suppress(BluezError, InstallerError):
            async with system_bus(adapter) as bus:
                return await pair.has_agent(bus, _path(device))
    return False


async def bond_is_lost(device: BLEDevice, adapter: str, platform: str = sys.platform) -> bool:
    """Whether BlueZ has keys of the device, and the device has none. Connects to it. Never raises."""
    if platform == "linux":
        from installer.bluetooth.bluez import lost_bond

        with contextlib.suppress(BluezError, InstallerError):
            async with system_bus(adapter) as bus:
                return await lost_bond.is_lost(bus, _path(device))
    return False


def _path(device: BLEDevice) -> str:
    """The path of the device's D-Bus object."""
    return str(device.details["path"])
