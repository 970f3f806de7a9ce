"""A bleak client that notes its link, so that another program can end the link if this one dies."""

from __future__ import annotations

import asyncio
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice

from installer.bluetooth.own_links import Note, OwnLinks


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
        """Connect. An attempt that fails is cancelled by bleak, and noted no more."""
        if self._parting is not None and not self._parting.done():
            # The link that still stands would be taken for the new one, and then end.
            await asyncio.wait({self._parting})
        if self._note is None:
            self._note = self._links.hold(self._device.address, self._device.details["path"])
        try:
            await super().connect(**kwargs)
        except BaseException:
            self._forget()
            raise

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
