"""Bonds: the keys that the system keeps of paired devices (BlueZ, over D-Bus), and how they are erased.

With a bond's key somebody can read what the device sends, or pass for this computer. macOS and Windows let no
program list or erase them. This program's driver of a raw adapter keeps none.

Source: the D-Bus API of BlueZ (`org.bluez.Adapter1.RemoveDevice`, `org.bluez.Device1`); measured in
`bluez-behaviour`: a removed object may live on for a moment, so its end is waited for.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.bluetooth import system_errors
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

SERVICE = "org.bluez"
DEVICE, ADAPTER = "org.bluez.Device1", "org.bluez.Adapter1"
CALL_SECONDS = 10.0
GONE_SECONDS = 10.0
LOOK_SECONDS = 0.1
RAW_HCI_PREFIX = "hci:"

_WHERE = {
    "darwin": "Open System Settings > Bluetooth, the (i) of the device, and choose “Forget This Device”.",
    "win32": "Open Settings > Bluetooth & devices > Devices, the menu of the device, and choose “Remove device”.",
}


@dataclass(frozen=True)
class Bond:
    """A device of which the system keeps keys. `adapter`: such as `hci0`; `path`: of its D-Bus object."""

    address: str
    name: str
    adapter: str
    connected: bool
    path: str


def keeps_bonds(adapter: str | None) -> bool:
    """Whether bonds are kept with this adapter (`--adapter`): not with a raw one."""
    return adapter is None or not adapter.startswith(RAW_HCI_PREFIX)


async def list_bonds(
    adapter: str | None = None, *, platform: str = sys.platform, address: str | None = None
) -> list[Bond]:
    """The bonds of this adapter, or of all, by address. `address`: of the D-Bus, by default the system's.

    Raises ERASURE_INCOMPLETE where the system lets no program do this, and the BLUETOOTH_* errors, ADAPTER_FAILED.
    """
    if not keeps_bonds(adapter):
        return []
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
    if not keeps_bonds(adapter):
        return []
    wanted = {one.upper() for one in addresses}
    async with _system_bus(adapter, platform, address) as bus:
        found = [bond for bond in await _bonds(bus, adapter) if bond.address.upper() in wanted]
        for bond in found:
            await _remove(bus, bond)
        return found


async def _bonds(bus: MessageBus, adapter: str | None) -> list[Bond]:
    found = []
    objects = await _call(bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", name=adapter)
    for path, interfaces in (objects if isinstance(objects, dict) else {}).items():
        device = interfaces.get(DEVICE) if isinstance(interfaces, dict) else None
        # Older versions of BlueZ know `Paired` only.
        if not isinstance(device, dict) or device.get("Bonded", device.get("Paired")) is not True:
            continue
        own_adapter = str(device.get("Adapter", "")).rpartition("/")[2]
        if adapter in (None, "system", own_adapter):
            name = str(device.get("Alias") or device.get("Name") or "")
            connected = device.get("Connected") is True
            found.append(Bond(str(device.get("Address", "")), name, own_adapter, connected, str(path)))
    return sorted(found, key=lambda bond: (bond.address, bond.adapter))


async def _remove(bus: MessageBus, bond: Bond) -> None:
    try:
        await _call(bus, bond.path.rpartition("/")[0], ADAPTER, "RemoveDevice", bond.path, name=bond.adapter)
    except _DoesNotExist:
        return  # somebody else has removed it
    try:
        async with asyncio.timeout(GONE_SECONDS):
            while any(other.path == bond.path for other in await _bonds(bus, None)):  # noqa: ASYNC110 - asks BlueZ
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise _incomplete(
            f"The Bluetooth service still has the keys of {bond.address}, though it took the request to remove them.",
            "Switch the device off, then give this command again.",
        ) from None


class _DoesNotExist(Exception):
    """BlueZ does not have this device."""


@asynccontextmanager
async def _system_bus(adapter: str | None, platform: str, address: str | None) -> AsyncIterator[MessageBus]:
    if platform != "linux":
        raise _incomplete(
            "This system lets no program list or erase the keys of paired devices.",
            _WHERE.get(platform, "Do it in the Bluetooth settings of the system."),
        )
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, DBusFastError

    try:
        bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
        async with asyncio.timeout(CALL_SECONDS):
            await bus.connect()
    except AuthError:
        raise _without_lab(system_errors.bluetooth_denied()) from None
    except (OSError, EOFError, TimeoutError, ValueError, TypeError, LookupError, DBusFastError) as error:
        raise _failed(error, adapter) from None
    try:
        yield bus
    finally:
        bus.disconnect()


async def _call(bus: MessageBus, path: str, interface: str, member: str, *objects: str, name: str | None = None) -> Any:
    """What a method of BlueZ returns, without D-Bus variants. `objects`: its arguments, which are paths."""
    from bleak.exc import BleakDBusError
    from dbus_fast import Message, MessageType
    from dbus_fast.unpack import unpack_variants

    message = Message(
        destination=SERVICE,
        path=path,
        interface=interface,
        member=member,
        signature="o" * len(objects),
        body=list(objects),
    )
    try:
        async with asyncio.timeout(CALL_SECONDS):
            answer = await bus.call(message)
    except (OSError, EOFError, TimeoutError) as error:
        raise _failed(error, name) from None
    if answer is None or answer.message_type is not MessageType.METHOD_RETURN:
        error_name = (answer.error_name if answer is not None else "") or ""
        if error_name == "org.bluez.Error.DoesNotExist":
            raise _DoesNotExist
        raise _failed(BleakDBusError(error_name, []), name)
    body = unpack_variants(answer.body)
    return body[0] if body else None


def _incomplete(what: str, todo: str) -> InstallerError:
    return InstallerError(ErrorCode.ERASURE_INCOMPLETE, what, todo)


def _failed(error: BaseException, name: str | None) -> InstallerError:
    return _without_lab(system_errors.adapter_error(error, name or "system"))


def _without_lab(error: InstallerError) -> InstallerError:
    # The lab keeps no bonds.
    return error.with_advice(error.todo.removesuffix(system_errors.TRY_LAB_HINT))
