"""A bleak client for BlueZ that notes its link, so that another program can end the link if this one dies.

It also waits for the whole GATT table. BlueZ keeps the tables of devices it knows, and on the next link it tells
`ServicesResolved` before the signals of the services (seen with 5.82); bleak then takes what has come so far.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTServiceCollection
from bleak.exc import BleakError

from installer.bluetooth.own_links import Note, OwnLinks, seconds_after_start
from installer.errors import ErrorCode, InstallerError

# How long, and how often, one of two programs that begin at the same moment looks whether the other gives way.
TIE_SECONDS = 1.0
TIE_LOOKS = 10
# The signals of a table follow within a moment. Later the table is taken as it is.
TABLE_SECONDS, TABLE_LOOK_SECONDS = 3.0, 0.02
GATT = {f"org.bluez.Gatt{part}1" for part in ("Service", "Characteristic", "Descriptor")}

# What BlueZ has: the interfaces of each object, by its path; empty if it does not answer.
Objects = Callable[[], Awaitable[Mapping[str, Mapping[str, Any]]]]


class NotedClient(BleakClient):
    """The note is made before connecting, because the system goes on to connect when its client dies meanwhile."""

    def __init__(
        self,
        device: BLEDevice,
        *arguments: Any,
        links: OwnLinks,
        parting: asyncio.Future[None] | None,
        objects: Objects,
        **named: Any,
    ) -> None:
        """`parting`: done when an earlier link to the device is down that this process has let go."""
        super().__init__(device, *arguments, **named)
        self._parting = parting
        self._device = device
        self._links = links
        self._note: Note | None = None
        self._objects = objects
        self._whole_table: BleakGATTServiceCollection | None = None

    @property
    def services(self) -> BleakGATTServiceCollection:
        """The whole table."""
        return super().services if self._whole_table is None else self._whole_table

    async def connect(self, **kwargs: Any) -> None:
        """Connect. An attempt that fails is cancelled by bleak, and noted no more. Raises DEVICE_TAKEN."""
        if self._parting is not None and not self._parting.done():
            # The link that still stands would be taken for the new one, and then end.
            await asyncio.wait({self._parting})
        made, path = seconds_after_start(), self._device.details["path"]
        if self._note is None:
            self._note = self._links.hold(self._device.address, path)
        try:
            await self._need_device_for_itself(path, made)
            self._whole_table = None
            await super().connect(**kwargs)
        except BaseException:
            self._forget()
            raise
        try:
            self._whole_table = await self._wait_for_table(path)
        except BaseException:
            # The caller was cancelled, and knows of no link.
            await self.disconnect()
            raise

    async def _wait_for_table(self, path: str) -> BleakGATTServiceCollection | None:
        """The table, once bleak has heard of all that BlueZ has; None if bleak's first one has to do."""
        from bleak.backends.bluezdbus.manager import get_global_bluez_manager

        table: BleakGATTServiceCollection | None = None
        with contextlib.suppress(TimeoutError, BleakError):
            async with asyncio.timeout(TABLE_SECONDS):
                manager = await get_global_bluez_manager()
                table = await manager.get_services(path, False, None)
                while not _paths(table) >= _parts(await self._objects(), path):
                    await asyncio.sleep(TABLE_LOOK_SECONDS)
                    table = await manager.get_services(path, False, None)
        return table

    async def _need_device_for_itself(self, path: str, made: float) -> None:
        """Raise DEVICE_TAKEN if another program of this user has a link to the device, or makes one.

        For BlueZ it would be one link, and the first of the two that lets go would end it for both.
        """
        for _ in range(TIE_LOOKS):
            other = self._links.held_elsewhere(path)
            if other is None:
                return
            if other <= made:
                break
            # It was noted after this one, so it gives way, unless it looked before this one was written.
            await asyncio.sleep(TIE_SECONDS / TIE_LOOKS)
        address = self._device.address.upper()
        raise InstallerError(
            ErrorCode.DEVICE_TAKEN,
            f"Another run of this program on this computer has a connection to {address} now.",
            "Wait until it has ended, then try again.",
            address=address,
        )

    async def disconnect(self) -> None:
        """End the link. One that may still stand is left to the next search."""
        try:
            await super().disconnect()
        except BaseException:
            note, self._note = self._note, None
            if note is not None:
                note.leave()
            raise
        self._forget()

    def is_ending(self) -> None:
        """The system ends the link by itself from now on: nobody has to see to it any more."""
        self._forget()

    def _forget(self) -> None:
        note, self._note = self._note, None
        if note is not None:
            note.remove()


def _paths(table: BleakGATTServiceCollection) -> set[str]:
    """The D-Bus objects of the services, characteristics and descriptors."""
    parts: list[Any] = [*table.services.values(), *table.characteristics.values(), *table.descriptors.values()]
    return {part.obj[0] for part in parts}


def _parts(objects: Mapping[str, Mapping[str, Any]], device: str) -> set[str]:
    """Those that BlueZ has of this device."""
    return {path for path, interfaces in objects.items() if path.startswith(f"{device}/") and GATT & interfaces.keys()}
