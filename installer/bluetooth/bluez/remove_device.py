"""Removes a device from BlueZ, with its keys, and waits until its object is gone (`bluez-behaviour`, rule 8).

A device that has lost its keys ends each link at once. BlueZ 5.82 then still takes it for connected, since its own
profiles (battery, device information) were not told: it answers the request, ends what is not there, and keeps the
device with its keys until the next link ends. Asked once more, it removes it (seen in the guest).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from installer.bluetooth.bluez.bus import ADAPTER, OBJECT_MANAGER, SERVICE, BluezError, Bus

if TYPE_CHECKING:
    from dbus_fast import Message

REMOVE_SECONDS = 10.0
# BlueZ takes 2 s to end a link before it removes the device.
AGAIN_SECONDS = 3.0
_UNKNOWN = "org.bluez.Error.DoesNotExist"


async def remove_device(bus: Bus, path: str) -> None:
    """Remove the device at this path; does nothing if there is none.

    Raises TimeoutError if BlueZ still has it after `REMOVE_SECONDS`, BluezError and the errors of the bus.
    """
    removed = asyncio.Event()

    def hear(message: Message) -> None:
        if message.member == "InterfacesRemoved" and message.body and message.body[0] == path:
            removed.set()

    await bus.listen(f"type='signal',sender='{SERVICE}',interface='{OBJECT_MANAGER}'", hear)
    async with asyncio.timeout(REMOVE_SECONDS):
        while not removed.is_set():
            try:
                await bus.call(path.rpartition("/")[0], ADAPTER, "RemoveDevice", "o", (path,))
            except BluezError as error:
                if error.name != _UNKNOWN:
                    raise
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await removed.wait()
