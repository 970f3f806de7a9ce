"""The Bluetooth service on the bus: who has its name, whether it answers, and starting it again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from installer.bluetooth.bluez.bus import SERVICE, BluezError
from installer.errors import InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.bluez.bus import Bus

DBUS, DBUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
BUS_ANSWER_SECONDS = 5.0
START_SERVICE_SECONDS = 8.0
# After a crash. Before that, systemd restarts it, if it is told to.
REVIVE_SECONDS = (2.0, 5.0, 10.0, 30.0)


class BluezService:
    """`owner`: the name of its connection to the bus, empty while it does not run. Whoever hears the bus sets it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.owner = ""

    async def look(self) -> None:
        """Ask the bus who it is. Raises what keeps the bus from answering."""
        with suppress(BluezError):
            self.owner = str(await self.ask_bus("GetNameOwner", "s", SERVICE))

    async def start(self) -> bool:
        """Have the bus start it. Whether it runs. Never raises."""
        with suppress(BluezError, InstallerError):
            await self.ask_bus("StartServiceByName", "su", SERVICE, 0, seconds=START_SERVICE_SECONDS)
            self.owner = str(await self.ask_bus("GetNameOwner", "s", SERVICE))
        return bool(self.owner)

    async def revive(self, is_over: Callable[[], bool]) -> None:
        """Start it after a crash: some systems start it with the next call only, and a gateway makes none."""
        for number in range(1_000_000):
            await asyncio.sleep(REVIVE_SECONDS[min(number, len(REVIVE_SECONDS) - 1)])
            if self.owner or is_over():
                return
            await self.start()

    async def answers(self, seconds: float) -> bool:
        """Whether it answers in time. Never raises."""
        try:
            await self._bus.call("/", "org.freedesktop.DBus.Peer", "Ping", seconds=seconds, destination=self.owner)
        except BluezError as error:
            return error.name.startswith("org.freedesktop.DBus.Error.Unknown")
        except InstallerError:
            return False
        return True

    async def ask_bus(self, member: str, signature: str, *body: object, seconds: float = BUS_ANSWER_SECONDS) -> object:
        """A call to the bus itself. Raises BluezError, and the InstallerErrors of the bus."""
        return await self._bus.call(DBUS_PATH, DBUS, member, signature, body, destination=DBUS, seconds=seconds)
