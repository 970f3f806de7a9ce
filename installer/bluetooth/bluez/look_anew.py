"""Lets BlueZ forget a device that is not paired, and find it again: so what it waits for at the device is gone, too.

A request that began a pairing for which nobody answered is never answered, and in BlueZ 5.82 it keeps its
characteristic busy (`InProgress`) also on the next link, as long as BlueZ knows the device.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from installer.bluetooth.bluez.bus import ADAPTER, OBJECT_MANAGER, SERVICE, BluezError, Bus
from installer.bluetooth.bluez.remove_device import remove_device
from installer.errors import InstallerError

if TYPE_CHECKING:
    from dbus_fast import Message

FIND_SECONDS = 20.0


async def look_anew(bus: Bus, path: str) -> None:
    """Remove the device at this path and scan until it is there again.

    Raises TimeoutError if it is not heard any more, BluezError and the errors of the bus.
    """
    adapter = path.rpartition("/")[0]
    await remove_device(bus, path)
    found = asyncio.Event()

    def hear(message: Message) -> None:
        if message.member == "InterfacesAdded" and message.body and message.body[0] == path:
            found.set()

    await bus.listen(f"type='signal',sender='{SERVICE}',interface='{OBJECT_MANAGER}'", hear)
    if path in await bus.objects():
        return  # another program scans, too
    from dbus_fast import Variant

    only_le: dict[str, Any] = {"Transport": Variant("s", "le")}
    await bus.call(adapter, ADAPTER, "SetDiscoveryFilter", "a{sv}", (only_le,))
    await bus.call(adapter, ADAPTER, "StartDiscovery")
    try:
        async with asyncio.timeout(FIND_SECONDS):
            await found.wait()
    finally:
        with contextlib.suppress(BluezError, InstallerError):
            await bus.call(adapter, ADAPTER, "StopDiscovery")
