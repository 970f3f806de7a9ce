"""Bonds: the keys that the system keeps of paired devices (BlueZ, over D-Bus), and how they are erased.

With a bond's key somebody can read what the device sends, or pass for this computer. macOS and Windows let no
program list or erase them. Those of devices that were paired over a raw adapter are in a file of this program
(`installer.flow.bluetooth_keys`).

Source: the D-Bus API of BlueZ (`org.bluez.Adapter1`, `org.bluez.Device1`).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bleak.exc import BleakDBusError

from installer.bluetooth import system_errors
from installer.bluetooth.bluez.bus import ADAPTER, DEVICE, BluezError, Bus, system_bus
from installer.bluetooth.bluez.remove_device import remove_device
from installer.errors import ErrorCode, InstallerError

_WHERE = {
    "darwin": "Open System Settings > Bluetooth, the (i) of the device, and choose “Forget This Device”.",
    "win32": "Open Settings > Bluetooth & devices > Devices, the menu of the device, and choose “Remove device”.",
}


@dataclass(frozen=True)
class Bond:
    """A device of which this computer keeps keys. `adapter`: such as `hci0`; `path`: of its D-Bus object.

    Over a raw adapter: `hci:`, or `lab`; the path of the file.
    """

    address: str
    name: str
    adapter: str
    connected: bool
    path: str


async def list_bonds(
    adapter: str | None = None, *, platform: str = sys.platform, address: str | None = None
) -> list[Bond]:
    """The system's bonds of this adapter, or of all, by address. `address`: of the D-Bus, by default the system's.

    Raises ERASURE_INCOMPLETE where the system lets no program do this, and the BLUETOOTH_* errors, ADAPTER_FAILED.
    """
    async with _system_bus(adapter, platform, address) as bus:
        return await _bonds(bus, adapter)


async def forget_bonds(
    addresses: Iterable[str],
    adapter: str | None = None,
    *,
    platform: str = sys.platform,
    address: str | None = None,
) -> list[Bond]:
    """Erase the keys of the devices with these addresses; which bonds these were. A connection to them ends.

    Raises ERASURE_INCOMPLETE if one is still there, and as `list_bonds`.
    """
    wanted = {one.upper() for one in addresses}
    async with _system_bus(adapter, platform, address) as bus:
        found = [bond for bond in await _bonds(bus, adapter) if bond.address.upper() in wanted]
        for bond in found:
            await _remove(bus, bond)
        return found


async def _bonds(bus: Bus, adapter: str | None) -> list[Bond]:
    """Those of one adapter, by its name or address; None or `system`: of all."""
    found = []
    objects = await bus.objects()
    for path, interfaces in objects.items():
        device = interfaces.get(DEVICE, {})
        # Older versions of BlueZ know `Paired` only.
        if device.get("Bonded", device.get("Paired")) is not True:
            continue
        adapter_path = str(device.get("Adapter", ""))
        own_adapter = adapter_path.rpartition("/")[2]
        own_address = str(objects.get(adapter_path, {}).get(ADAPTER, {}).get("Address", ""))
        if adapter is None or adapter == "system" or adapter.upper() in (own_adapter.upper(), own_address.upper()):
            name = str(device.get("Alias") or device.get("Name") or "")
            connected = device.get("Connected") is True
            found.append(Bond(str(device.get("Address", "")), name, own_adapter, connected, str(path)))
    return sorted(found, key=lambda bond: (bond.address, bond.adapter))


async def _remove(bus: Bus, bond: Bond) -> None:
    try:
        await remove_device(bus, bond.path)
    except TimeoutError:
        raise _incomplete(
            f"The Bluetooth service still has the keys of {bond.address}, though it took the request to remove them.",
            "Switch the device off, then give this command again.",
        ) from None


@asynccontextmanager
async def _system_bus(adapter: str | None, platform: str, address: str | None) -> AsyncIterator[Bus]:
    if platform != "linux":
        raise _incomplete(
            "This system lets no program list or erase the keys of paired devices.",
            _WHERE.get(platform, "Do it in the Bluetooth settings of the system."),
        )
    try:
        async with system_bus(adapter, address) as bus:
            yield bus
    except BluezError as error:
        failure = system_errors.adapter_error(BleakDBusError(error.name, []), bus.adapter)
        raise _without_lab(failure) from None
    except InstallerError as error:
        raise _without_lab(error) from None


def _incomplete(what: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.ERASURE_INCOMPLETE, what, todo)


def _without_lab(error: InstallerError) -> InstallerError:
    # The lab's bonds are no help here.
    return error.with_advice(error.todo.removesuffix(system_errors.TRY_LAB_HINT))
