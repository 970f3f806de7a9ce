"""Tells a device that has lost its keys from a bad link: it ends each link in a moment, while BlueZ calls it paired.

No signal of BlueZ names the cause. Source: measured in `bluez-behaviour` §6: `Connected` turns true and false within
0.1 s; `Connect()` answers well, or with `br-connection-canceled`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from installer.bluetooth.bluez.bus import DEVICE, PROPERTIES, BluezError, Bus
from installer.bluetooth.bluez.pair import is_paired
from installer.errors import InstallerError

if TYPE_CHECKING:
    from dbus_fast import Message

# A link that ends later than this after it was made ended for another reason.
AT_ONCE_SECONDS = 1.0
TRIES = 2
CONNECT_SECONDS = 5.0


async def is_lost(bus: Bus, path: str) -> bool:
    """Whether the paired device at this path ends each of `TRIES` links at once. Raises BluezError and bus errors."""
    if not await is_paired(bus, path):
        return False
    loop = asyncio.get_running_loop()
    links: asyncio.Queue[tuple[bool, float]] = asyncio.Queue()

    def hear(message: Message) -> None:
        if message.path != path or message.member != "PropertiesChanged" or message.body[0] != DEVICE:
            return
        connected = message.body[1].get("Connected")
        if connected is not None:
            links.put_nowait((connected.value is True, loop.time()))

    await bus.listen(f"type='signal',interface='{PROPERTIES}',member='PropertiesChanged',path='{path}'", hear)
    for _ in range(TRIES):
        if not await _ends_at_once(bus, path, links):
            return False
    return True


async def _ends_at_once(bus: Bus, path: str, links: asyncio.Queue[tuple[bool, float]]) -> bool:
    while not links.empty():
        links.get_nowait()
    connecting = asyncio.ensure_future(bus.call(path, DEVICE, "Connect", seconds=CONNECT_SECONDS))
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connected, _ = await links.get()
        if not connected:
            return False
        async with asyncio.timeout(AT_ONCE_SECONDS):
            connected, _ = await links.get()
            return not connected
    except TimeoutError:
        with contextlib.suppress(BluezError, InstallerError):
            await bus.call(path, DEVICE, "Disconnect")
        return False
    finally:
        connecting.cancel()
        with contextlib.suppress(BluezError, InstallerError, asyncio.CancelledError):
            await connecting
