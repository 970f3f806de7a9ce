"""A bleak client that notes its link, so that another program can end the link if this one dies."""

from __future__ import annotations

import asyncio
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice

from installer.bluetooth.own_links import Note, OwnLinks, seconds_after_start
from installer.errors import ErrorCode, InstallerError

# How long, and how often, one of two programs that begin at the same moment looks whether the other gives way.
TIE_SECONDS = 1.0
TIE_LOOKS = 10


class NotedClient(BleakClient):
    """The note is made before connecting, because the system goes on to connect when its client dies meanwhile."""

    def __init__(
        self, device: BLEDevice, *arguments: Any, links: OwnLinks, parting: asyncio.Future[None] | None, **named: Any
    ) -> None:
        """`parting`: done when an earlier link to the device is down that this process has let go."""
        super().__init__(device, *arguments, **named)
        self._parting = parting
        self._device = device
        self._links = links
        self._note: Note | None = None

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
            await super().connect(**kwargs)
        except BaseException:
            self._forget()
            raise

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
