"""Ends the links that programs of this user have left open in BlueZ (`installer/bluetooth/own_links.py`).

`Disconnect()` also ends an attempt to connect that BlueZ goes on with after its client has died, for which no device is
connected yet (`bluez-behaviour` §3). A link from before the start of bluetoothd is gone with the daemon before it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from installer.bluetooth.bluez.bus import DEVICE, SERVICE, BluezError, Bus, system_bus
from installer.bluetooth.own_links import LeftLink
from installer.errors import InstallerError
from installer.text.bounded_read import read_bounded

# BlueZ takes 2 to 3 s for it.
END_SECONDS = 10.0
LOOK_SECONDS = 0.1
_GONE = ("org.freedesktop.DBus.Error.UnknownObject", "org.bluez.Error.NotConnected")


async def end_links(links: Sequence[LeftLink], bus_address: str | None = None) -> list[LeftLink]:
    """End these links; which of them were open. Never raises: what could not be ended is tried again another time."""
    try:
        async with asyncio.timeout(END_SECONDS), system_bus(address=bus_address) as bus:
            since = await _daemon_start(bus)
            objects = await bus.objects()
            ours, ended = [], []
            for link in links:
                if (since is not None and link.made < since) or DEVICE not in objects.get(link.path, {}):
                    link.note.remove()
                else:
                    ours.append(link)
            for link, problem in zip(ours, await asyncio.gather(*(_end(bus, link.path) for link in ours)), strict=True):
                if problem is None:
                    link.note.remove()
                    if objects[link.path][DEVICE].get("Connected") is True:
                        ended.append(link)
            return ended
    except (InstallerError, BluezError, TimeoutError):
        return []
    finally:
        for link in links:
            link.note.leave()


async def _end(bus: Bus, path: str) -> BluezError | None:
    """End this link, and wait until it is down. Returns why it could not be ended."""
    try:
        await bus.call(path, DEVICE, "Disconnect")
        while (await bus.objects()).get(path, {}).get(DEVICE, {}).get("Connected") is True:  # noqa: ASYNC110 - asks BlueZ
            await asyncio.sleep(LOOK_SECONDS)
    except BluezError as error:
        return None if error.name in _GONE else error
    return None


async def _daemon_start(bus: Bus) -> float | None:
    """When bluetoothd was started, in seconds after the system's start; None if that is not to be found out."""
    daemon = "org.freedesktop.DBus"
    with suppress(BluezError, OSError, ValueError, IndexError):
        pid = await bus.call(
            "/org/freedesktop/DBus", daemon, "GetConnectionUnixProcessID", "s", (SERVICE,), destination=daemon
        )
        # proc(5): field 22 is the start of the process. The name of the program, in brackets, may hold spaces.
        fields = read_bounded(Path(f"/proc/{int(pid)}/stat"), 4096).rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return None
