"""What the system's adapter does for pairing: through BlueZ on Linux; macOS and Windows pair by themselves."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Protocol

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


class _Question(Protocol):
    async def __call__(
        self, device: BLEDevice, adapter: str, platform: str = sys.platform, bus: Bus | None = None
    ) -> bool: ...


def _question(ask: Callable[[Bus, str], Awaitable[bool]]) -> _Question:
    """Asks BlueZ about a device of a scan, by the path of its object. Never raises: False where nothing answers.

    `bus`: an open connection to ask over.
    """

    @functools.wraps(ask)
    async def answer(device: BLEDevice, adapter: str, platform: str = sys.platform, bus: Bus | None = None) -> bool:
        if platform == "linux":
            with contextlib.suppress(BluezError, InstallerError):
                async with system_bus(adapter) if bus is None else contextlib.nullcontext(bus) as opened:
                    return await ask(opened, _path(device))
        return False

    return answer


@_question
async def is_bonded(bus: Bus, path: str) -> bool:
    """Whether BlueZ has keys of the device."""
    from installer.bluetooth.bluez import pair

    return await pair.is_paired(bus, path)


@_question
async def has_other_agent(bus: Bus, path: str) -> bool:
    """Whether another program has registered an agent, which BlueZ asks for pairings that a request begins."""
    from installer.bluetooth.bluez import pair

    return await pair.has_agent(bus, path)


@_question
async def bond_is_lost(bus: Bus, path: str) -> bool:
    """Whether BlueZ has keys of the device, and the device has none. Connects to it."""
    from installer.bluetooth.bluez import lost_bond

    return await lost_bond.is_lost(bus, path)


def _path(device: BLEDevice) -> str:
    """The path of the device's D-Bus object."""
    return str(device.details["path"])
